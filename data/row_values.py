"""The values of a row of a table, by column: as they are, or as text."""

import difflib
import math
from decimal import Decimal
from typing import Any

from data.errors import InputError, shown

Row = dict[str, Any]


def in_digits(number: float) -> str:
    """A float as the shortest digits that mean it, without an exponent: 0.00001 and not 1e-05."""
    return format(Decimal(repr(number)), "f") if math.isfinite(number) else str(number)


def value(place: str, row: Row, column: str) -> Any:
    """A row's value, whatever it is.

    Raises:
        InputError: the row at `place` has no such column; names the nearest and those it has.
    """
    if column in row:
        return row[column]
    near = difflib.get_close_matches(column, row, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"{place}: column {column!r} is missing (has: {', '.join(map(str, row)) or 'none'}{hint})")


def is_nothing(found: Any) -> bool:
    """Whether a value is null, NaN or blank text."""
    if isinstance(found, str):
        return not found.strip()
    return found is None or (isinstance(found, float) and math.isnan(found))


def text(place: str, row: Row, column: str) -> str:
    """A row's value as text: text as it is, numbers in digits.

    Raises:
        InputError: it is missing, empty, or something else.
    """
    found = text_or_none(place, row, column)
    if found is None:
        raise InputError(f"{place}: column {column!r} is empty")
    return found


def text_or_none(place: str, row: Row, column: str) -> str | None:
    """Like `text`, and None where the value is null or blank."""
    found = value(place, row, column)
    if is_nothing(found):
        return None
    if isinstance(found, float):
        found = in_digits(found)
    if isinstance(found, Decimal) and found.is_finite():
        found = format(found, "f")
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise InputError(f"{place}: column {column!r} is {kind(found)}; allowed: text or a number")
    found = str(found)
    check_text(place, column, found)
    return found


def check_text(place: str, column: str, found: str) -> None:
    """Raises InputError at half a surrogate pair (JSON's `\\ud83d` alone), which no file and no model can take."""
    if not is_text(found):
        raise InputError(f"{place}: column {column!r} is not valid UTF-8 text: {shown(found)}")


def is_text(found: str) -> bool:
    """Whether a text can be written as UTF-8."""
    return found.isascii() or not any("\ud800" <= character <= "\udfff" for character in found)


def kind(value: Any) -> str:
    """What sort of thing a value is, in words."""
    kinds = {dict: "an object", list: "a list", bool: "true or false", str: "text", int: "a number", float: "a number"}
    kinds |= {Decimal: "a number", bytes: "bytes"}
    return "null" if value is None else kinds.get(type(value), f"a {type(value).__name__}")
