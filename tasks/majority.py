"""Give posed questions the answer that most of several solutions agree on as their gold answer."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import FunctionType
from typing import Any, Literal

from tasks.models.sampling import GENERATED
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import one_a_question, stage
from tasks.pipeline.work import Work
from tasks.reporting.formatting import percent
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows
from tasks.synthesis.left_out import left_out_in_words
from tasks.verification.missing_response import is_missing
from tasks.verification.parallel_verdicts import judged_all

STAND_INS = 3
"""Gold answers of the benchmark by which an answer is read, one after the other until one of them reads it."""
Obstacle = Literal["no_answer", "tie", "agreement"]
REASONS = {
    "no_answer": "no solution has an answer that can be read",
    "tie": "several answers are as frequent",
    "agreement": "too few solutions agree",
}
"""Why a question is left without a gold answer."""


@dataclass(frozen=True)
class Vote:
    """What most solutions say."""

    gold: str
    agreement: float
    """Share of all solutions that agree with it, above 0 to 1."""


def step_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """How many questions were posed and kept, why others were left out, and how far solutions agree."""
    return {
        "questions posed": f"{facts['posed']:,}",
        "kept": f"{facts['kept']:,}",
        "left out": left_out_in_words(facts["left_out"], REASONS),
        "solutions that agree, %": percent(facts["agreement"]),
    }


@stage(facts=(Fact("kept", reported=True), Fact("agreement", reported=True)), table=step_table, rows=one_a_question)
def majority(
    solutions: Rows, benchmark: Rows, verifier: FunctionType, agreement: float, *, work: Work
) -> Iterator[Row]:
    """The questions with `gold`, the answer that most solutions give, `agreement` (the share of all solutions that
    give it) and `solutions` (how many there are).

    A verifier says whether a response gives a gold answer, not what a response without one says. So each answer is
    read with a gold answer of the benchmark in place of the unknown one, and then taken for the gold answer by which
    the solutions are judged: two solutions agree where one is correct by the other's answer. Solutions that are
    missing, cut off or unparseable agree with none, and count among all.

    Args:
        solutions: several responses to each question, one after the other.
        benchmark: questions with gold answers that the verifier can read.
        agreement: the smallest share that is enough.

    Facts: `posed` (questions), `kept`, `left_out` by reason (`REASONS`), `agreement` (the mean over those kept).

    Raises:
        StageFailed: no question is kept; says why not.
    """
    golds = list(dict.fromkeys(benchmark.column("gold")))[:STAND_INS]
    left_out: Counter[str] = Counter()
    shares: list[float] = []
    for _, group in itertools.groupby(solutions, key=lambda row: row["id"]):
        rows = list(group)
        found = vote(rows, verifier, golds)
        if isinstance(found, Vote) and found.agreement < agreement:
            found = "agreement"
        if not isinstance(found, Vote):
            left_out[found] += 1
            continue
        shares.append(found.agreement)
        question = {name: value for name, value in rows[0].items() if name not in GENERATED}
        yield {**question, "gold": found.gold, "agreement": found.agreement, "solutions": len(rows)}
    posed = len(shares) + left_out.total()
    if not shares:
        why = left_out_in_words(left_out, REASONS)
        raise StageFailed(f"{work.run_name}: none of {posed:,} posed questions has a gold answer: {why}")
    work.facts.update(posed=posed, kept=len(shares), left_out=dict(left_out), agreement=fmean(shares))


def vote(solutions: Sequence[Row], verifier: FunctionType, golds: Sequence[str]) -> Vote | Obstacle:
    """The answer of one question that most of its solutions give, as the first of them has it, or why there is none.

    Args:
        golds: gold answers of other questions, which the verifier can read.
    """
    answers = _answers(solutions, verifier, golds)
    said = [at for at, answer in enumerate(answers) if answer is not None]
    agreeing: dict[str, frozenset[int]] = {}
    for at in said:
        gold = answers[at]
        assert gold is not None
        if gold not in agreeing:
            judged = judged_all([{**solutions[other], "gold": gold} for other in said], verifier)
            agreed = (other for other, (_, verdict) in zip(said, judged, strict=True) if verdict.verdict == "correct")
            agreeing[gold] = frozenset(agreed)
            if at not in agreeing[gold]:  # no gold answer, if it does not even let its own response be right
                agreeing[gold] = frozenset()
    most = max(map(len, agreeing.values()), default=0)
    if not most:
        return "no_answer"
    best = [gold for gold, who in agreeing.items() if len(who) == most]
    if len({agreeing[gold] for gold in best}) > 1:
        return "tie"
    return Vote(best[0], most / len(solutions))


def _answers(solutions: Sequence[Row], verifier: FunctionType, golds: Sequence[str]) -> list[str | None]:
    """What each solution gives as its answer; None where nothing can be read."""
    found: list[str | None] = [None] * len(solutions)
    whole = [at for at, row in enumerate(solutions) if not is_missing(row) and row["finish"] != "length"]
    for gold in golds:
        left = [at for at in whole if found[at] is None]
        judged = judged_all([{**solutions[at], "gold": gold} for at in left], verifier)
        for at, (_, verdict) in zip(left, judged, strict=True):
            if verdict.verdict in ("correct", "wrong"):
                found[at] = verdict.answer
    return found
