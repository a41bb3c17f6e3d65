"""Further responses to the questions that were chosen, for origins of which several a question are kept."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.selection.candidates import READ, marks
from tasks.selection.exclusions import TAKEABLE, equal, obstacles
from tasks.selection.match import Match
from tasks.storage.rows import Rows

if TYPE_CHECKING:
    import numpy as np


def with_more(rows: Rows, places: np.ndarray, keep: int, match: Match, longest: int | None, seed: str) -> np.ndarray:
    """The rows chosen, one a question, each followed by up to `keep` - 1 more of its question.

    What may be taken and what is taken first is decided as for the first response; where arms are matched for
    correctness, by responses that are as right as it. Responses of the same text are taken once, of those to drafts
    once for each draft.

    Args:
        rows: an origin's responses.
        places: the number of the row chosen for each question, (questions,).
        seed: of a random order.

    Returns:
        Row numbers, in the order of the questions: (questions,) to (questions x keep,).
    """
    import numpy as np

    if keep <= 1 or not len(places):
        return places
    columns = [name for name in (*READ, "draft") if name in rows.columns]
    table = pa.concat_tables(map(_as_table, rows.batches(columns)), promote_options="permissive")
    questions = marks(table.column("id"))
    taken = questions[places]
    order = np.argsort(taken)
    at = np.minimum(np.searchsorted(taken, questions, sorter=order), len(taken) - 1)
    which = order[at]
    of_taken = taken[which] == questions
    takeable = of_taken & (obstacles(table, match, longest) == TAKEABLE)
    if match.correct == "same":
        correct = equal(table, "verdict", "correct")
        takeable &= correct == correct[places[which]]
    rank = _rank(table, match.pick, seed)
    first = np.zeros(table.num_rows, bool)
    first[places] = True
    candidates = np.flatnonzero(takeable | first)
    candidates = candidates[np.lexsort((rank[candidates], ~first[candidates], which[candidates]))]
    texts = _texts(table)
    found: list[int] = []
    current = -1
    seen: set[int] = set()
    for row in candidates.tolist():
        if which[row] != current:
            current, seen = which[row], set()
        if len(seen) < keep and texts[row] not in seen:
            seen.add(texts[row])
            found.append(row)
    return np.asarray(found, dtype=np.int64)


def _texts(table: pa.Table) -> np.ndarray:
    """A number for each response by its text, and by that of the draft to which it responds: uint64 (rows,)."""
    responses = table.column("response").cast(pa.string())
    if "draft" in table.column_names:
        drafts = pc.fill_null(table.column("draft").cast(pa.string()), "")
        responses = pc.binary_join_element_wise(drafts, responses, "\0", null_handling="replace")
    return marks(responses)


def _rank(table: pa.Table, pick: str, seed: str) -> np.ndarray:
    """In which order responses are taken, the lowest first: float (rows,)."""
    import numpy as np

    if pick == "random":
        ids, samples = table.column("id").to_pylist(), table.column("sample").to_pylist()
        return np.asarray([random.Random(f"{seed} {id} {n}").random() for id, n in zip(ids, samples, strict=True)])
    if pick in ("lowest_perplexity", "highest_perplexity"):
        values: Any = pc.cast(table.column("perplexity"), pa.float64()).to_numpy()
        return np.nan_to_num(values if pick == "lowest_perplexity" else -values, nan=np.inf)
    return np.asarray(pc.fill_null(table.column("sample"), 0).to_numpy(), dtype=np.float64)


def _as_table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])
