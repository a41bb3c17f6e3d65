"""Sums, products, powers and roots of sympy values; what is too large to compute is refused before it is.

An alarm does not stop one long multiplication.
"""

from typing import Any

import sympy
from sympy import Expr

from tasks.answer.errors import Unreadable

BITS = 50_000
"""Binary digits that a power, a factorial or a binomial may have."""

EXPONENT = 100_000
"""The largest exponent of what is no whole number, and of e."""

DEGREE = 10_000
"""The largest exponent of what has symbols in it."""


def sum(terms: list[Any]) -> Any:
    value = terms[0]
    for term in terms[1:]:
        if isinstance(value, sympy.MatrixBase) != isinstance(term, sympy.MatrixBase):
            raise Unreadable("a sum of a matrix and a number")
        if isinstance(value, sympy.MatrixBase) and value.shape != term.shape:
            raise Unreadable("a sum of matrices of different shape")
        value = value + term
    return value


def product(one: Any, two: Any) -> Any:
    if isinstance(one, sympy.MatrixBase) and isinstance(two, sympy.MatrixBase) and one.shape[1] != two.shape[0]:
        raise Unreadable("a product of matrices that do not fit")
    return one * two


def quotient(one: Any, two: Any) -> Any:
    if isinstance(two, sympy.MatrixBase):
        raise Unreadable("a division by a matrix")
    return one / two


def power(base: Any, exponent: Any) -> Any:
    if isinstance(base, sympy.MatrixBase) or isinstance(exponent, sympy.MatrixBase):
        raise Unreadable("a power of a matrix")
    _check_power(base, exponent)
    if base.is_negative and exponent.is_Rational and exponent.q % 2 and exponent.q > 1:
        raise Unreadable("a fractional power of a negative number can be read in two ways")
    return base**exponent


def root(value: Any, degree: Any) -> Any:
    """A root; an odd one of a negative number is the negative one, as in school."""
    if isinstance(value, Expr) and value.is_negative and degree.is_Integer and degree.is_odd:
        return -(root(-value, degree))
    return power(value, 1 / degree)


def logarithm(base: Any, value: Any) -> Any:
    return sympy.log(value) / sympy.log(base)


def _check_power(base: Any, exponent: Any) -> None:
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


def factorial(value: Any) -> Any:
    """Raises Unreadable where it is too large to compute, or the value has none."""
    if value.is_number and not (value.is_Integer and 0 <= value <= BITS // 12):
        raise Unreadable("a factorial too large to compute, or of what has none")
    return sympy.factorial(value)


def binomial(upper: Any, lower: Any) -> Any:
    """Raises Unreadable where it is too large to compute."""
    if any(value.is_number and not (value.is_Integer and abs(value) <= BITS) for value in (upper, lower)):
        raise Unreadable("a binomial too large to compute, or of what has none")
    if isinstance(upper, sympy.Integer) and isinstance(lower, sympy.Integer):
        size = min(lower, upper - lower) if upper >= 0 else lower
        if size * int(abs(upper)).bit_length() > BITS:
            raise Unreadable("a binomial too large to compute")
    return sympy.binomial(upper, lower)
