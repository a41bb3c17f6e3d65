"""Numbers in sentences: per cent, points and ratios, with intervals, as a reader says them."""

import math
from collections.abc import Callable, Sequence

from tasks.comparison.statistics import Estimate

MINUS = "\N{MINUS SIGN}"


def signed(value: float, decimals: int = 1, sign: bool = True) -> str:
    """A number with a true minus sign, and with `sign` a plus sign too; never "-0.0"."""
    if math.isnan(value):
        return "–"
    text = f"{abs(value):.{decimals}f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+" if sign else "") + text


def percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"


def points(difference: float, sign: bool = False) -> str:
    """A difference of shares in percentage points."""
    return f"{signed(100 * difference, sign=sign)} points"


def times(log_ratio: float) -> str:
    """A ratio given as its natural logarithm."""
    if math.isnan(log_ratio):
        return "–"
    ratio = math.exp(min(log_ratio, 700.0))
    return f"{ratio:.{2 if ratio < 10 else 1}f}×" if ratio < 10_000 else f"{ratio:.1e}×"


def interval(estimate: Estimate, say: Callable[[float], str] | None = None) -> str:
    """The 95 % interval in words; points of a share unless `say` words its ends."""
    if math.isnan(estimate.low):
        return "no interval: too few items"
    ends = [say(end) if say else signed(100 * end, sign=False) for end in (estimate.low, estimate.high)]
    return f"95 % interval {ends[0]} to {ends[1]}"


def listed(names: Sequence[str]) -> str:
    """a, b and c"""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1] if names else "") if part)
