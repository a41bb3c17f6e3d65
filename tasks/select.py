"""Choose one response per question and origin, so that what is compared is the origin.

Nothing is held of a response but the number of its row, so that millions of them are chosen among in little memory.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.bounds import MOST_QUESTIONS, Share, Whole
from tasks.candidates import Candidates, candidates, equal, filled, marks, shuffled, values_at
from tasks.errors import StageFailed
from tasks.in_order import POSITION, Run, merged, write_run
from tasks.rows import Rows, Streamed
from tasks.stage import Work, stage
from tasks.surprise import COLUMNS
from tasks.token_match import within_tolerance
from tasks.verifiers import Outcome

if TYPE_CHECKING:
    import numpy as np


class Match(BaseModel):
    """In what the arms of a study are made alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    questions: bool = Field(
        default=True, description="All origins answer the same questions: those that each of them can."
    )
    correct: Literal["only", "any", "same"] = Field(
        default="only",
        description="only: correct responses alone. any: whatever the verdict, errors excepted. same: on each "
        "question, all origins' responses are correct or none is.",
    )
    pick: Literal["first", "random", "lowest_perplexity", "highest_perplexity"] = Field(
        default="first", description="Which of an origin's responses to a question is taken, among those that may be."
    )
    tokens: Share | None = Field(
        default=None,
        description="Mean response tokens of the origins differ by at most this share (0.05: 5 %).",
    )
    cut_off: bool = Field(default=False, description="Take responses that were cut off at the token limit as well.")
    minimum: Whole = Field(
        default=10, ge=1, le=MOST_QUESTIONS, description="Fewer questions than this in any arm, and the stage fails."
    )

    @model_validator(mode="after")
    def _over_the_same_questions(self) -> Match:
        if not self.questions and (self.tokens is not None or self.correct == "same"):
            raise ValueError("`tokens` and `correct: same` compare question by question: they need `questions: true`")
        return self


Chosen = dict[str, "np.ndarray"]
"""By origin, the numbers of the rows that are taken, one a question; where questions are matched, in one order."""


@stage()
def select(
    scored: dict[str, Rows],
    match: Match,
    count: int | None,
    seed: int,
    within: Rows | None = None,
    *,
    work: Work | None = None,
) -> Rows:
    """One response per question and origin: the training sets of the arms, all of one size.

    Args:
        scored: verified (and, for `tokens` and perplexities, scored) responses by origin.
        match: in what the arms are made alike.
        count: questions an arm gets (None: all there are); a random part, by `seed`, in the original order.
        within: rows whose questions alone may be taken (None: any).

    Adds `origin`. Facts, by origin: questions, responses, verdicts, pass rates, and mean tokens, mean and median
    perplexity of what was taken; and how many questions were left after each step (`usable`: that the origin has a
    response to that may be taken; `shared`: that all have; `taken`: after matching lengths and the count).

    Raises:
        StageFailed: fewer than `match.minimum` questions are left; names the origin that limits them.
    """
    import numpy as np

    scored = dict(sorted(scored.items()))
    offered = {
        origin: candidates(rows, lambda table: _allowed(table, match), match.pick, f"{seed} {origin}")
        for origin, rows in scored.items()
    }
    if within is not None:
        asked = np.concatenate([marks(batch.column("id")) for batch in within.batches(["id"])])
        offered = {origin: of.only(np.isin(of.questions, asked)) for origin, of in offered.items()}
    left = {"usable": {origin: len(of.questions) for origin, of in offered.items()}}
    if match.questions:
        offered, before = _shared(offered)
        left["shared"] = {origin: len(rows) for origin, rows in before.items()}
    else:
        before = {origin: of.rows["any"] for origin, of in offered.items()}
    _enough(before, left["usable"], match)
    chosen, tokens_within = _sized(scored, before, match, count, seed)
    left["taken"] = {origin: len(rows) for origin, rows in chosen.items()}
    if work:
        work.facts.update(
            left=left,
            tokens_within=tokens_within,
            origins={origin: _facts(scored[origin], offered[origin], chosen[origin]) for origin in scored},
        )
        taken = min(left["taken"].values())
        if count is not None and taken < count:
            work.note(f"{taken} questions an arm in place of {count}: {_limit(left['usable'])}")
        possible = min(len(rows) for rows in before.values())
        if tokens_within is not None and taken < min(possible, count or possible):
            work.note(_of_one_length(scored, before, chosen, match))

    def made() -> Iterator[pa.Table]:
        for origin, places in chosen.items():
            for table in _rows_at(scored[origin], places, work.scratch / "chosen" if work else None):
                yield _of(table, origin)

    schemas = [_of(rows.schema.empty_table(), origin).schema for origin, rows in scored.items()]
    schema = pa.unify_schemas([one.remove_metadata() for one in schemas], promote_options="permissive")
    return Streamed(schema, sum(left["taken"].values()), made)


def _of(table: pa.Table, origin: str) -> pa.Table:
    """Rows as they are taken: with their origin, without what was only kept for the report."""
    table = table.drop_columns([name for name in (*COLUMNS, "origin") if name in table.column_names])
    return table.append_column("origin", pa.array([origin] * table.num_rows, pa.string()))


def _rows_at(rows: Rows, places: np.ndarray, scratch: Path | None) -> Iterator[pa.Table]:
    """The rows at some places, in the order of the places."""
    import numpy as np

    order = np.argsort(places, kind="stable")
    wanted = places[order]
    rising = bool((np.diff(order) == 1).all())
    held: list[pa.Table] = []
    runs: list[Run] = []
    start = begun = 0
    for batch in rows.batches():
        end = int(np.searchsorted(wanted, start + batch.num_rows))
        found = pa.Table.from_batches([batch]).take(pa.array(wanted[begun:end] - start))
        if rising:
            yield found
        elif scratch is None:
            held.append(found)
        elif end > begun:
            scratch.mkdir(parents=True, exist_ok=True)
            path = scratch / f"{start:012d}.parquet"
            write_run(path, found, order[begun:end].tolist())
            runs.append(Run.of(path))
        start, begun = start + batch.num_rows, end
    if held:
        yield pa.concat_tables(held, promote_options="permissive").take(pa.array(np.argsort(order)))
    if runs and scratch is not None:
        for table in merged(runs, scratch / "longer"):
            yield table.drop_columns([POSITION])
        shutil.rmtree(scratch)


def _of_one_length(scored: Mapping[str, Rows], before: Chosen, after: Chosen, match: Match) -> str:
    """What matching the lengths cost."""
    shared, taken = (len(next(iter(rows.values()))) for rows in (before, after))
    return (
        f"response tokens within {match.tokens:.0%} of each other: {taken} of {shared} questions remain "
        f"(mean tokens before: {_mean_tokens(scored, before)}; after: {_mean_tokens(scored, after)})"
    )


def _mean_tokens(scored: Mapping[str, Rows], chosen: Chosen) -> str:
    means = {origin: _tokens(scored[origin], rows).mean() for origin, rows in chosen.items()}
    return ", ".join(f"{origin} {mean:.1f}" for origin, mean in means.items())


def _tokens(rows: Rows, places: np.ndarray) -> np.ndarray:
    return values_at(rows, "tokens", places).to_numpy()


def _allowed(table: pa.Table, match: Match) -> dict[str, np.ndarray]:
    """Which of an origin's responses may be taken."""
    correct = equal(table, "verdict", "correct")
    allowed = correct if match.correct == "only" else ~equal(table, "verdict", "error")
    said = table.column("response").cast(pa.string())
    allowed = allowed & filled(pc.greater(pc.binary_length(said), 0))
    if not match.cut_off and "finish" in table.column_names:
        allowed &= ~equal(table, "finish", "length")
    if match.correct == "same":
        return {"correct": allowed & correct, "other": allowed & ~correct}
    return {"any": allowed}


def _shared(offered: Mapping[str, Candidates]) -> tuple[dict[str, Candidates], Chosen]:
    """The questions that all origins have, in the order of the first one's rows, and what is picked for each.

    Where correctness is matched: correct responses where all origins have one, else others where all have one.
    """
    import numpy as np

    first = next(iter(offered.values()))
    common = np.ones(len(first.questions), bool)
    for of in offered.values():
        common &= np.isin(first.questions, of.questions)
    shared = first.questions[common]
    rows: dict[str, dict[str, np.ndarray]] = {}
    for origin, of in offered.items():
        order = np.argsort(of.questions)
        at = order[np.searchsorted(of.questions, shared, sorter=order)]
        rows[origin] = {kind: picked[at] for kind, picked in of.rows.items()}
    chosen: Chosen = {}
    if "any" in first.rows:
        chosen = {origin: kinds["any"] for origin, kinds in rows.items()}
    else:
        correct, other = (
            np.logical_and.reduce([kinds[kind] >= 0 for kinds in rows.values()]) for kind in ("correct", "other")
        )
        for origin, kinds in rows.items():
            chosen[origin] = np.where(correct, kinds["correct"], kinds["other"])[correct | other]
    return dict(offered), chosen


def _sized(
    scored: Mapping[str, Rows], chosen: Chosen, match: Match, count: int | None, seed: int
) -> tuple[Chosen, float | None]:
    """The same number of questions for each origin; and how far apart their mean tokens then are, if matched."""
    import numpy as np

    size = min(len(rows) for rows in chosen.values())
    size = size if count is None else min(count, size)
    if not match.questions:
        return {origin: rows[_some(len(rows), size, f"{seed} {origin}")] for origin, rows in chosen.items()}, None
    shared = len(next(iter(chosen.values())))
    if match.tokens is None:
        kept = _some(shared, size, str(seed))
        return {origin: rows[kept] for origin, rows in chosen.items()}, None
    order = np.asarray(shuffled(shared, str(seed)), dtype=np.int64)
    tokens: dict[str, Any] = {origin: _tokens(scored[origin], rows[order]) for origin, rows in chosen.items()}
    places, apart = within_tolerance(tokens, match.tokens, size)
    if len(places) < match.minimum:
        raise StageFailed(
            f"select: mean response tokens cannot be brought within {match.tokens:.0%} of each other over at least "
            f"{match.minimum} questions: {len(places)} of {shared} would remain (mean tokens before matching: "
            f"{_mean_tokens(scored, chosen)}). Allow more (match.tokens), or leave an origin out"
        )
    kept = np.sort(order[places])
    return {origin: rows[kept] for origin, rows in chosen.items()}, apart


def _some(count: int, size: int, seed: str) -> np.ndarray:
    """`size` of 0 to count - 1, rising."""
    import numpy as np

    if size == count:
        return np.arange(count)
    return np.sort(np.asarray(shuffled(count, seed)[:size], dtype=np.int64))


def _enough(chosen: Chosen, usable: Mapping[str, int], match: Match) -> None:
    left = min(len(rows) for rows in chosen.values())
    if left >= match.minimum:
        return
    what = {"only": "correct", "any": "usable", "same": "equally correct"}[match.correct]
    of = "that all origins have in common " if match.questions else ""
    raise StageFailed(
        f"select: {left} questions with {what} responses {of}are left, at least {match.minimum} are needed "
        f"(match.minimum). {_limit(usable)}"
    )


def few(scored: Mapping[str, Rows], match: Match) -> dict[str, int]:
    """Origins with fewer than `match.minimum` questions with a response that may be taken, and how many they have."""
    counts = {
        origin: len(candidates(rows, lambda table: _allowed(table, match), match.pick, origin).questions)
        for origin, rows in scored.items()
    }
    return {origin: count for origin, count in counts.items() if count < match.minimum}


def _limit(usable: Mapping[str, int]) -> str:
    fewest = min(usable, key=lambda origin: usable[origin])
    counts = ", ".join(f"{origin} {number}" for origin, number in usable.items())
    return f"{fewest} limits it: questions with a usable response are {counts}"


def _facts(rows: Rows, offered: Candidates, taken: np.ndarray) -> dict[str, Any]:
    import numpy as np

    responses = offered.verdicts.total() - offered.verdicts["missing"]
    facts: dict[str, Any] = {
        "questions": offered.asked,
        "responses": responses,
        "verdicts": {verdict: offered.verdicts[verdict] for verdict in get_args(Outcome)},
        "pass_rate": offered.verdicts["correct"] / responses if responses else math.nan,
        "questions_passed": offered.passed,
        "taken": len(taken),
        "taken_correct": int(
            equal(pa.table({"verdict": values_at(rows, "verdict", taken)}), "verdict", "correct").sum()
        ),
    }
    for column, summaries in (("tokens", ("mean",)), ("perplexity", ("mean", "median"))):
        if column not in rows.columns:
            continue
        values = pc.cast(pc.drop_null(values_at(rows, column, taken)), pa.float64()).to_numpy()
        for summary in summaries:
            of = np.median if summary == "median" else _mean
            facts[f"{column}_{summary}"] = float(of(values)) if len(values) else math.nan
    return facts


def _mean(values: np.ndarray) -> float:
    return math.fsum(values) / len(values)
