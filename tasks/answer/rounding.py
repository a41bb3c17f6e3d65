"""Decimals that a computer printed for a value that has no finite decimal: neither right nor surely wrong."""

import re
from typing import Any

import sympy

FLOAT_DIGITS = 10
"""Digits from which a decimal that is another value rounded, or cut off, is taken for a computer's."""

_DECIMAL = re.compile(r"-?(\d*)\.(\d+)")


def is_rounded(decimal: str, exact: Any) -> bool:
    """Whether a text is a long decimal that a real number (sympy) was rounded to, or cut off after."""
    found = _DECIMAL.fullmatch(decimal)
    if not found or len((found[1] + found[2]).lstrip("0")) < FLOAT_DIGITS:
        return False
    if not exact.is_extended_real or exact.free_symbols:
        return False
    places = 10 ** len(found[2])
    if (exact * places).is_Integer:
        return False
    return bool(abs((exact - sympy.Rational(decimal)) * places).evalf(5) < 1)
