"""Why a response, or a question, is not trained on.

A response is held against the checks of `OBSTACLES` in their order; what it fails first is its reason. A question's
reason is that of its response that came furthest: one whose only correct response is too long is too long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.models.sampling import NO_ROOM
from tasks.selection.match import Match

if TYPE_CHECKING:
    import numpy as np

OBSTACLES = {
    "no_response": "no response",
    "no_room": "question too long to be answered",
    "no_verdict": "not verified",
    "not_correct": "not correct",
    "cut_off": "cut off at the token limit",
    "too_long": "too long for the student",
}
"""What keeps a response from being taken, and what a reader calls it."""
TAKEABLE = len(OBSTACLES)
"""The number of a response that nothing keeps from being taken."""
REASONS = OBSTACLES | {
    "other_questions": "not among the questions that these arms are given",
    "unmatched": "no match in another arm",
    "lengths": "left out to bring the lengths together",
    "surplus": "more than an arm gets",
}
"""Why a question is not trained on; the last four keep out questions with a response that could be taken."""
COLUMNS = ("verdict", "response", "finish", "tokens", "prompt_tokens", "nll", "rejected_tokens")
"""What `obstacles` looks at; the last column only pairs have."""


def obstacles(table: pa.Table, match: Match, longest: int | None) -> np.ndarray:
    """For each response the place in `OBSTACLES` of what keeps it from being taken, or `TAKEABLE`: int8 (n,).

    Too long is what `score` gave no likelihood, since prompt and response are longer than the student's context, and
    what has more tokens than `longest` (None: the context alone). Columns that the rows lack keep nothing out.
    """
    import numpy as np

    correct = equal(table, "verdict", "correct")
    no_room = equal(table, "finish", NO_ROOM)
    said = filled(pc.greater(pc.binary_length(table.column("response").cast(pa.string())), 0))
    failed = {
        "no_response": ~said & ~no_room,
        "no_room": no_room,
        "no_verdict": ~(correct | equal(table, "verdict", "wrong") | equal(table, "verdict", "unparseable")),
        "not_correct": ~correct & (match.correct == "only"),
        "cut_off": equal(table, "finish", "length") & (not match.cut_off),
        "too_long": _too_long(table, longest),
    }
    found = np.full(table.num_rows, TAKEABLE, np.int8)
    for number, name in reversed(list(enumerate(OBSTACLES))):
        found[failed[name]] = number
    return found


def in_words(left_out: Mapping[str, int]) -> str:
    """How many have no response that may be taken, for each reason, in brackets; the commonest first."""
    counts = Counter({OBSTACLES[name]: left_out[name] for name in OBSTACLES if left_out.get(name)})
    return f" ({', '.join(f'{count} {reason}' for reason, count in counts.most_common())})" if counts else ""


def _too_long(table: pa.Table, longest: int | None) -> np.ndarray:
    import numpy as np

    found = np.zeros(table.num_rows, bool)
    if "nll" in table.column_names:
        found |= filled(pc.is_nan(table.column("nll").cast(pa.float64())))
    if longest is not None and "prompt_tokens" in table.column_names:
        for tokens in ("tokens", "rejected_tokens"):
            if tokens in table.column_names:
                found |= filled(pc.greater(pc.add(table.column("prompt_tokens"), table.column(tokens)), longest))
    return found


def equal(table: pa.Table, column: str, value: str) -> np.ndarray:
    """Where a column of text has a value; nowhere where there is no such column."""
    import numpy as np

    if column not in table.column_names:
        return np.zeros(table.num_rows, bool)
    return filled(pc.equal(table.column(column).cast(pa.string()), value))


def filled(mask: Any) -> np.ndarray:
    """A mask with False where it is null."""
    return pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
