"""A response that is missing: a call that failed, a null or NaN in a file, a reply without an answer.

It is not the empty text, which a model may well say: it is not judged, not scored, not trained on, and counted apart.
In a study its row stays, with a `response` that is null, so that everything made of it can count it.
"""

import math
from collections.abc import Mapping
from typing import Any

from data import row_values
from tasks.answer.turn import ended
from tasks.models.sampling import NO_ROOM

UNANSWERED = frozenset({"error", NO_ROOM})
"""Values of `finish` of rows in which nothing was said."""


def is_missing(row: Mapping[str, Any]) -> bool:
    """Whether a row has no response."""
    return row["response"] is None or row.get("finish") in UNANSWERED


def from_file(place: str, row: Mapping[str, Any], column: str, csv: bool) -> tuple[str | None, bool]:
    """A file's response and whether a turn ended in it: the text up to there, or None where it is missing.

    A byte-order mark in front is no part of it.

    Args:
        csv: whether the file is CSV, which has no null: an empty field is one.

    Raises:
        InputError: the column is missing, or holds something else than text or a number.
    """
    given = row_values.value(place, dict(row), column)
    if given is None or (isinstance(given, float) and math.isnan(given)) or (csv and given == ""):
        return None, False
    text = row_values.text_or_none(place, dict(row), column) or str(given)
    return ended(text.removeprefix("\ufeff"))
