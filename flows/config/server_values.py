"""Values that a Prefect server can keep and give out again.

One run with a value that it cannot (an integer beyond 64 bits, a byte 0, half of a surrogate pair, NaN) makes its list
of runs fail for everybody, until somebody deletes the row from the database. So none leaves this process.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from data.errors import InputError, one_line, shown
from tasks.endpoint.secrets import masked

MOST = 2**63 - 1
"""Of an integer, in SQLite, PostgreSQL and Prefect's own JSON."""
LONGEST_TEXT = 100_000
"""Characters of one text; the longest that are needed are templates with examples."""
LONGEST_NAME = 1_000
"""Of a key, a name or a path."""
LONGEST = 500_000
"""Bytes of all values together as JSON; Prefect takes about this much of a run's parameters."""
DEEPEST = 40
"""Lists and maps inside each other."""
LONGEST_PLACE = 200
"""Characters of a place that a message shows."""
UNKEPT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that no text of a study has: control characters but tab and line breaks, and what is no character."""
OF_LINES = ("name", "about", "notes", "claim", "prompt", "response", "licence", "labels", "columns", "extra")
"""Keys whose texts, and those inside them, may have line breaks, or have a rule of their own (`name`); the others hold
names of files, models and others, which stand in lists."""
NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]{1,200}")
"""A name on one line."""


def check(given: Any) -> None:
    """See that values can be sent.

    Raises:
        InputError: one line with the place, the value and what is allowed.
    """
    _check(given, (), 0)
    size = len(json.dumps(given, default=str))
    if size > LONGEST:
        raise InputError(f"the values are {size:,} bytes of JSON; allowed are {LONGEST:,}. Give long texts as files")


def bounded(schema: Any) -> Any:
    """A JSON Schema whose numbers are those that can be kept, also where anything is taken.

    A form's number beyond them would be sent by the browser as a whole one.
    """
    if isinstance(schema, list):
        return [bounded(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: bounded(value) if key != "enum" else value for key, value in schema.items()}
    if schema.get("type") in ("integer", "number"):
        inner.setdefault("maximum", MOST)
        inner.setdefault("minimum", -MOST)
    if schema.get("type") == "object" and schema.get("additionalProperties") is True:
        inner["additionalProperties"] = _anything(DEEPEST // 10)
    return inner


def _anything(depth: int) -> dict[str, Any]:
    """A schema of whatever can be kept: what is said of numbers holds for numbers alone, and so on."""
    if not depth:
        return {"type": ["string", "number", "boolean", "null"], "minimum": -MOST, "maximum": MOST}
    inner = _anything(depth - 1)
    return {"minimum": -MOST, "maximum": MOST, "items": inner, "additionalProperties": inner}


def _check(value: Any, place: tuple[str, ...], depth: int) -> None:
    where = one_line(".".join(place))[:LONGEST_PLACE] or "the file"
    if depth > DEEPEST:
        raise InputError(f"{where}: more than {DEEPEST} lists and maps inside one another")
    match value:
        case Mapping():
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise InputError(f"{where}: the key {shown(key)} is not allowed: texts are")
                _check_text(key, f"a name in {where}", LONGEST_NAME)
                _check(inner, (*place, key), depth + 1)
        case list() | tuple():
            for number, inner in enumerate(value):
                _check(inner, (*place, str(number)), depth + 1)
        case str():
            of_lines = any(key in OF_LINES for key in place)
            _check_text(value, where, LONGEST_TEXT if of_lines else LONGEST_NAME, "" if of_lines else "\n\r")
        case None | bool() | BaseModel():
            return
        case int():
            if not -MOST <= value <= MOST:
                raise InputError(f"{where}: {shown(value)} is not allowed: whole numbers of at most 64 bits are")
        case float():
            if not math.isfinite(value):
                raise InputError(f"{where}: {value} is not allowed: finite numbers are")
        case _:  # a date, say, as YAML reads it where it stands without quotes
            what = type(value).__name__
            raise InputError(f"{where}: a {what}. Allowed: texts (in quotes), numbers, lists and maps")


def _check_text(text: str, where: str, longest: int, also: str = "") -> None:
    start = shown(masked(text[:LONGEST_NAME], ()))
    if len(text) > longest:
        raise InputError(f"{where}: a text of {len(text):,} characters ({start}). Allowed: {longest:,}")
    if UNKEPT.search(text) or any(character in text for character in also):
        what = "control characters and line breaks" if also else "control characters"
        raise InputError(f"{where}: {start} is not allowed: texts of Unicode characters without {what} are")
