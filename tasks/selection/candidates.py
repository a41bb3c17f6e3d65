"""An origin's responses that may be taken: which row is picked for each question, in a few bytes a question.

Ids are compared by a 64-bit hash of their text, the same in every process: two of a million questions share one with a
chance of 3 in 100 million.

Not DuckDB or Polars: measured in tasks/storage/external_sort.py.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.selection.exclusions import COLUMNS, OBSTACLES, TAKEABLE, equal, obstacles
from tasks.selection.match import Match
from tasks.storage.rows import Rows

if TYPE_CHECKING:
    import numpy as np

READ = ("id", "sample", "perplexity", *COLUMNS)
"""Columns that decide what may be taken and what is."""
ROW_SENTINEL = 1 << 62
"""Larger than the number of any row: a question without a row that may be taken."""


@dataclass
class Candidates:
    """What an origin has to offer."""

    questions: np.ndarray
    """Marks of the ids of questions with a response that may be taken, in the order of the rows: uint64 (n,)."""
    rows: dict[str, np.ndarray]
    """Which row is picked for each question, int64 (n,), -1 where there is none: among "any" response that may be
    taken, or among the "correct" ones and among the "other" ones."""
    asked: int = 0
    """Questions with any response at all."""
    passed: int = 0
    """Questions with a correct one."""
    verdicts: Counter[str] = field(default_factory=Counter)
    responses_left_out: Counter[str] = field(default_factory=Counter)
    """How many responses each of `OBSTACLES` keeps from being taken."""
    questions_left_out: Counter[str] = field(default_factory=Counter)
    """How many questions each keeps from having a response that may be taken."""

    def only(self, mask: np.ndarray) -> Candidates:
        """Some of the questions."""
        rows = {kind: picked[mask] for kind, picked in self.rows.items()}
        return replace(self, questions=self.questions[mask], rows=rows)


def candidates(rows: Rows, match: Match, longest: int | None, seed: str) -> Candidates:
    """Go through an origin's rows once and pick for each question.

    Rows of one question are expected beside each other; where they are not, the columns that decide are held in memory.

    Args:
        match: which responses may be taken, and which of these is picked.
        longest: tokens of prompt and response that a response may have (None: the student's context).
        seed: of a random pick; the question's id is added to it.
    """
    import numpy as np

    for beside in (True, False):
        found = Candidates(np.empty(0, np.uint64), {})
        asked: list[np.ndarray] = []
        begun: list[np.ndarray] = []
        picked: dict[str, list[np.ndarray]] = {}
        for table, numbers in _whole_questions(rows, beside):
            found.verdicts.update(table.column("verdict").to_pylist())
            each, group = _groups(marks(table.column("id")))
            asked.append(each)
            correct = np.zeros(len(each), bool)
            correct[group[equal(table, "verdict", "correct")]] = True
            found.passed += int(correct.sum())
            reached = obstacles(table, match, longest)
            furthest = np.zeros(len(each), np.int8)
            np.maximum.at(furthest, group, reached)
            found.responses_left_out.update(_counted(reached))
            found.questions_left_out.update(_counted(furthest))
            first = np.full(len(each), ROW_SENTINEL)
            for kind, mask in _kinds(table, reached == TAKEABLE, match).items():
                places = _picked(table, group, mask, len(each), match.pick, seed)
                np.minimum.at(first, group[mask], numbers[mask])
                picked.setdefault(kind, []).append(np.where(places >= 0, numbers[places], -1))
            begun.append(first)
        if not asked:
            nothing = rows.schema.empty_table()
            found.rows = {kind: np.empty(0, np.int64) for kind in _kinds(nothing, np.zeros(0, bool), match)}
            return found
        questions, since = np.concatenate(asked), np.concatenate(begun)
        if len(np.unique(questions)) == len(questions) or not beside:
            break
    found.asked = len(questions)
    order = np.argsort(since, kind="stable")[: np.count_nonzero(since < ROW_SENTINEL)]
    found.questions = questions[order]
    found.rows = {kind: np.concatenate(parts)[order] for kind, parts in picked.items()}
    return found


def _kinds(table: pa.Table, takeable: np.ndarray, match: Match) -> dict[str, np.ndarray]:
    """Which rows may be taken, by what is picked among."""
    if match.correct != "same":
        return {"any": takeable}
    correct = equal(table, "verdict", "correct")
    return {"correct": takeable & correct, "other": takeable & ~correct}


def _counted(reached: np.ndarray) -> dict[str, int]:
    """How many have been kept out by each of `OBSTACLES`."""
    import numpy as np

    counts = np.bincount(reached, minlength=TAKEABLE)
    return {name: int(count) for name, count in zip(OBSTACLES, counts, strict=False) if count}


def marks(ids: Any) -> np.ndarray:
    """A number for each id, by its text: uint64."""
    import pandas as pd

    return pd.util.hash_array(ids.to_numpy(zero_copy_only=False).astype(object), categorize=False)


def values_at(rows: Rows, column: str, places: np.ndarray) -> pa.ChunkedArray:
    """A column's values at some places, in the order of the places, without holding the rest of it."""
    import numpy as np

    order = np.argsort(places, kind="stable")
    wanted = places[order]
    found: list[pa.Array] = []
    start = begun = 0
    for batch in rows.batches([column]):
        end = int(np.searchsorted(wanted, start + batch.num_rows))
        found.append(batch.column(column).take(pa.array(wanted[begun:end] - start)))
        start, begun = start + batch.num_rows, end
    values = pa.concat_tables([pa.table({column: part}) for part in found], promote_options="permissive").column(column)
    back = np.empty(len(places), dtype=np.int64)
    back[order] = np.arange(len(places))
    return values.take(pa.array(back))


def shuffled(count: int, seed: str) -> Sequence[int]:
    """0 to count - 1 in random order, the same for the same seed."""
    from array import array

    order = array("q", range(count))
    random.Random(seed).shuffle(order)
    return order


def _whole_questions(rows: Rows, beside: bool) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Rows with their numbers, a few thousand at a time: all of a question's together, by sample."""
    import numpy as np

    columns = [name for name in READ if name in rows.columns]
    tables = (pa.Table.from_batches([batch]) for batch in rows.batches(columns))
    if not beside:
        table = pa.concat_tables(tables, promote_options="permissive")
        _, first, group = np.unique(marks(table.column("id")), return_index=True, return_inverse=True)
        order = np.lexsort((table.column("sample").to_numpy(), first[group]))
        yield table.take(pa.array(order)), order
        return
    start = 0
    rest: pa.Table | None = None
    for fresh in tables:
        table = fresh if rest is None else pa.concat_tables([rest, fresh], promote_options="permissive")
        of = marks(table.column("id"))
        changes = np.flatnonzero(of[1:] != of[:-1])
        cut = int(changes[-1]) + 1 if len(changes) else 0
        if cut:
            yield _by_sample(table.slice(0, cut), start)
        start, rest = start + cut, table.slice(cut)
    if rest is not None and rest.num_rows:
        yield _by_sample(rest, start)


def _by_sample(table: pa.Table, start: int) -> tuple[pa.Table, np.ndarray]:
    import numpy as np

    _, group = _groups(marks(table.column("id")))
    order = np.lexsort((table.column("sample").to_numpy(), group))
    return (table if (np.diff(order) == 1).all() else table.take(pa.array(order))), start + order


def _groups(of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each run of equal marks, and the number of the run that each row belongs to."""
    import numpy as np

    starts = np.concatenate([[True], of[1:] != of[:-1]])
    return of[starts], np.cumsum(starts) - 1


def _picked(table: pa.Table, group: np.ndarray, mask: np.ndarray, count: int, pick: str, seed: str) -> np.ndarray:
    """The row picked for each of `count` questions among those of the mask, -1 where there is none."""
    import numpy as np

    places = np.flatnonzero(mask)
    if pick in ("lowest_perplexity", "highest_perplexity"):
        sign = 1 if pick == "lowest_perplexity" else -1
        value = sign * pc.cast(table.column("perplexity"), pa.float64()).to_numpy()[places]
        places = places[np.lexsort((places, np.where(np.isnan(value), np.inf, value), group[places]))]
    of, first, sizes = np.unique(group[places], return_index=True, return_counts=True)
    if pick == "random":
        for index in np.flatnonzero(sizes > 1):
            id = table.column("id")[int(places[first[index]])].as_py()
            first[index] += random.Random(f"{seed} {id}").choice(range(sizes[index]))
    found = np.full(count, -1, dtype=np.int64)
    found[of] = places[first]
    return found
