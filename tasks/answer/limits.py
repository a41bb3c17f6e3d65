"""Numbers too large to compute with: an alarm does not stop one long multiplication, so they are refused before it."""

from typing import Any

import sympy

from tasks.answer.errors import Unreadable

BITS = 50_000
"""Binary digits that a power, a factorial or a binomial may have."""

EXPONENT = 100_000
"""The largest exponent of what is no whole number, and of e."""

DEGREE = 10_000
"""The largest exponent of what has symbols in it."""


def check_power(base: Any, exponent: Any) -> None:
    """Raises Unreadable where the power is too large to compute."""
    if not exponent.is_number or exponent.is_infinite:
        return
    size = abs(exponent) if exponent.is_Rational else abs(exponent.evalf(5))
    if not size.is_comparable:
        return
    if base.is_Rational:
        bits = max(abs(base.p).bit_length(), abs(base.q).bit_length())
        too_large = base not in (0, 1, -1) and bool(size * bits > BITS)
    else:
        too_large = bool(size > (DEGREE if base.free_symbols else EXPONENT))
    if too_large:
        raise Unreadable("a power too large to compute")


def check_factorial(value: Any) -> None:
    """Raises Unreadable where the factorial is too large to compute, or the value has none."""
    if value.is_number and not (value.is_Integer and 0 <= value <= BITS // 12):
        raise Unreadable("a factorial too large to compute, or of what has none")


def check_binomial(upper: Any, lower: Any) -> None:
    """Raises Unreadable where the binomial coefficient is too large to compute."""
    if any(value.is_number and not (value.is_Integer and abs(value) <= BITS) for value in (upper, lower)):
        raise Unreadable("a binomial too large to compute, or of what has none")
    if isinstance(upper, sympy.Integer) and isinstance(lower, sympy.Integer):
        size = min(lower, upper - lower) if upper >= 0 else lower
        if size * int(abs(upper)).bit_length() > BITS:
            raise Unreadable("a binomial too large to compute")
