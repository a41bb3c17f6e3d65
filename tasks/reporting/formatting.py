"""Words and numbers of the report: what its template's filters say."""

import math
from collections.abc import Mapping
from typing import Any

from tasks.comparison.phrasing import MINUS, signed


def ranged(text: str, low: float, high: float, sign: bool = True) -> str:
    """A number with its interval, ends given as shares; alone where there is none."""
    return text if math.isnan(low) else f"{text} ({signed(100 * low, sign=sign)} to {signed(100 * high, sign=sign)})"


def known(number: float | None) -> float:
    """The number, NaN for none."""
    return math.nan if number is None else number


def percent(share: float | None) -> str:
    return "–" if math.isnan(known(share)) else f"{100 * known(share):.1f}"


def points(difference: float | None) -> str:
    return signed(100 * known(difference))


def points_apart(difference: float | None) -> str:
    """A difference that is never below zero."""
    return signed(100 * known(difference), sign=False)


def coefficient(number: float | None) -> str:
    """A correlation."""
    return signed(known(number), 2)


def ratio(number: float | None, log: bool = False) -> str:
    number = known(number)
    if math.isnan(number):
        return "–"
    number = math.exp(min(700.0, number)) if log else number
    return f"{number:.2f}" if number < 100 else f"{number:,.0f}" if number < 1e6 else f"{number:.1e}"


def chance(p: float | None) -> str:
    """A p-value."""
    p = known(p)
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float) -> str:
    """A duration in the unit that suits it."""
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 99.5 else f"{minutes / 60:.1f} h"


def glue(text: str) -> str:
    """Keep "95 %" and "5.2 points" on one line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" points", "\N{NO-BREAK SPACE}points")


def count(number: float) -> str:
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def setting(value: Any) -> str:
    """A setting as one line: maps as `name value`, lists with commas, null as a dash."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {setting(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(setting(item) for item in value)
    return "–" if value is None or value == "" else str(value)


def fact(value: Any) -> str:
    """What a step says of itself: counts whole, other numbers with the digits that matter; several by their names."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {fact(number)}" for name, number in value.items() if number) or "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return setting(value)
    if math.isnan(value):
        return "–"
    whole = isinstance(value, int) or (abs(value) >= 10 and value.is_integer())
    text = count(value) if whole else f"{value:,.2f}" if abs(value) >= 0.1 else f"{value:.4g}"
    return text.replace("-", MINUS, 1) if value < 0 else text


FILTERS = {
    "percent": percent,
    "points": points,
    "points_apart": points_apart,
    "coefficient": coefficient,
    "ratio": ratio,
    "p": chance,
    "value": setting,
    "fact": fact,
    "n": count,
    "glue": glue,
}
