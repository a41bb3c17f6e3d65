"""Judge responses against their gold answers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any, get_args

import pyarrow as pa
import pyarrow.compute as pc

from tasks.kinds.verifiers import Outcome
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.reporting.formatting import percent
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows
from tasks.verification.parallel_verdicts import judged_all
from tasks.verification.verdict import VERDICT

ERROR_SHARE = 0.01
"""Share of verdicts that may be errors before the verdicts as a whole are not believed."""

NAMED = 5
"""Rows an error names."""


def counts(judged: Rows) -> dict[str, int]:
    """How many responses got each verdict."""
    found: Counter[str] = Counter()
    for batch in judged.batches(["verdict"]):
        found.update(batch.column("verdict").to_pylist())
    return {verdict: found[verdict] for verdict in get_args(Outcome)}


def step_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """The counts, and the share of correct ones among those that could be judged."""
    *verdicts, missing = get_args(Outcome)
    judged = sum(facts[verdict] for verdict in verdicts if verdict != "error")
    shown = [*verdicts, missing] if facts.get(missing) else verdicts
    correct = percent(facts["correct"] / judged) if judged else "–"
    return {verdict: f"{facts[verdict]:,}" for verdict in shown} | {"correct, %": correct}


def judged_ones(rows: pa.Table, _: int) -> pa.Table:
    """Rows but for those on which the verifier failed, which another run judges again."""
    return rows.filter(pc.not_equal(rows.column("verdict"), "error"))


@stage(per_row=True, summary=counts, unit="responses", adds=VERDICT, table=step_table, adopted=judged_ones)
def verify(
    responses: Rows, verifier: FunctionType, limit: float = ERROR_SHARE, *, work: Work | None = None
) -> Iterator[Row]:
    """Judge each response by the verifier (a `judge` from `tasks.verifiers`).

    Adds `verdict` (correct, wrong, unparseable, error, or missing where there is no response), `answer` (what was
    extracted, or null) and `score` (0 to 1, NaN for an error and a missing response). Errors are held back until the
    rest is judged, so that a stage that fails over them judges them again on the next try. Facts: how many there are of
    each verdict.

    Raises:
        StageFailed: more than `limit` of all verdicts are errors.
    """
    total = work.total if work else len(responses)
    yield from judged(responses, verifier, total, limit, "verify", partial=bool(work and work.partial))


def judged(
    responses: Iterable[Row], verifier: FunctionType, total: int, limit: float, where: str, partial: bool
) -> Iterator[Row]:
    """The responses with their verdicts, errors last.

    Args:
        total: of how many verdicts errors may be a share of `limit`.
        where: the stage's name, for the failure.
        partial: whether others judge the rest, so that errors are left to whoever puts all together.
    """
    errors: list[Row] = []
    reasons: Counter[str] = Counter()
    for row, verdict in judged_all(responses, verifier):
        made = {**row, "verdict": verdict.verdict, "answer": verdict.answer, "score": verdict.score}
        if verdict.verdict == "error":
            reasons[verdict.reason] += 1
            if len(errors) <= max(NAMED, limit * total):  # with more, the stage fails: no row is needed
                errors.append(made)
        else:
            yield made
    believe(errors, reasons, total, limit, where)
    if not partial:
        yield from errors


def believe(errors: list[Row], reasons: Counter[str], total: int, limit: float, where: str) -> None:
    """Fail when errors, of which `reasons` counts all, are more than `limit` of `total` verdicts.

    Raises:
        StageFailed: naming the most common reasons and the first rows.
    """
    found = reasons.total()
    if found <= limit * total:
        return
    why = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
    which = ", ".join(str(row["id"]) for row in errors[:NAMED])
    raise StageFailed(
        f"{where}: {found} of {total} responses could not be judged, more than the {limit:.1%} allowed. "
        f"{why}. First rows: {which}"
    )
