"""Numbers within formulas, as exact fractions."""

from typing import Any

from sympy import Integer, Rational

from tasks.answer import arithmetic
from tasks.answer.errors import Unreadable
from tasks.answer.quantity import LONGEST, quantity
from tasks.answer.reader import Reader


def number(reader: Reader) -> Any:
    r"""A number with its exponent, its repeating digits (`0.1\overline{6}`), or the fraction of a mixed number."""
    token = reader.take().replace(",", "")
    if len(token) > LONGEST:
        raise Unreadable(f"a number of more than {LONGEST} digits")
    if reader.next == "\\overline" and "." in token:
        reader.take()
        return _repeating(reader, token)
    if "e" in token.lower():
        return _scientific(reader, token)
    value = Rational(token)
    if reader.next == "\\frac" and "." not in token:
        start = reader.at
        reader.take()
        upper, lower = reader.argument(), reader.argument()
        if upper.is_Integer and lower.is_Integer and upper > 0 and lower > 0:
            if upper >= lower:
                raise Unreadable(f"can be read in two ways: {reader.text[:60]}")
            return value + arithmetic.quotient(upper, lower)
        reader.at = start
    return value


def _scientific(reader: Reader, token: str) -> Any:
    found = quantity(token)
    if found is None or reader.next[:1].isalnum():
        raise Unreadable(f"can be read in two ways: {reader.text[:60]}")
    return Rational(found.value.numerator, found.value.denominator)


def _repeating(reader: Reader, token: str) -> Any:
    r"""`0.1\overline{6}` as 1/6: its digits over nines."""
    reader.expect("{")
    digits = reader.take()
    reader.expect("}")
    whole, _, fixed = token.partition(".")
    nines = Integer(10 ** len(digits) - 1) * 10 ** len(fixed)
    return Rational(int(f"{whole}{fixed}" or "0"), 10 ** len(fixed)) + Rational(int(digits), 1) / nines
