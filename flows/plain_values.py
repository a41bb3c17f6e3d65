"""What a study may hold at all, before its schema is asked: what JSON, a Prefect server and its database can keep."""

from collections.abc import Mapping
from typing import Any

from data.errors import InputError, shown

DEEPEST = 50
"""Lists and maps inside one another."""
SMALLEST, LARGEST = -(2**63), 2**63 - 1


def check(given: Any, where: str = "", depth: int = 0) -> None:
    """Raises InputError at a number of more than 64 bits, infinity or NaN, a text that cannot be stored, a key that is
    no text, or too many lists and maps inside one another; names the place."""
    place = where or "the file"
    if depth > DEEPEST:
        raise InputError(f"{place[:80]}…: more than {DEEPEST} lists and maps inside one another")
    if isinstance(given, Mapping):
        for key, value in given.items():
            if not isinstance(key, str):
                raise InputError(f"{place}: the key {shown(key)} is not allowed: texts are")
            _check_text(key, f"a name in {place}")
            check(value, f"{where}.{key}".lstrip("."), depth + 1)
    elif isinstance(given, list):
        for at, value in enumerate(given):
            check(value, f"{where}.{at}", depth + 1)
    elif isinstance(given, str):
        _check_text(given, place)
    elif isinstance(given, int) and not SMALLEST <= given <= LARGEST:
        raise InputError(f"{place}: {shown(given)} is not allowed: whole numbers of at most 64 bits are")
    elif isinstance(given, float) and not float("-inf") < given < float("inf"):
        raise InputError(f"{place}: {given} is not allowed: finite numbers are")


def _check_text(text: str, place: str) -> None:
    if "\0" in text or (not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text)):
        raise InputError(f"{place}: {shown(text)} is not allowed: texts of Unicode characters other than NUL are")
