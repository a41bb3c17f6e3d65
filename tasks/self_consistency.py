"""Give inputs that a model wrote the output that most of its own responses agree on."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from types import FunctionType
from typing import Any, Literal

from tasks.kinds.verifiers import Verdict
from tasks.majority import REASONS as VOTE_REASONS
from tasks.majority import STAND_INS, Vote, vote
from tasks.models.sampling import GENERATED
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import one_a_question, stage
from tasks.pipeline.work import Work
from tasks.pose_in_rounds import Task
from tasks.reporting.formatting import percent
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows
from tasks.synthesis.labels import label_set
from tasks.synthesis.left_out import left_out_in_words

Pick = Literal["agreeing", "first"]
REASONS = {**VOTE_REASONS, "no_label": "the answer is no label of the task"}
"""Why an input is left without an output."""


def step_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """How many inputs have responses and an output, why others were left out, and how far responses agree."""
    return {
        "inputs with responses": f"{facts['inputs']:,}",
        "kept": f"{facts['kept']:,} ({percent(facts['kept'] / facts['inputs'])} %)",
        "left out": left_out_in_words(facts["left_out"], REASONS),
        "responses that agree, %": percent(facts["agreement"]),
    }


@stage(
    facts=(
        Fact("kept", reported=True),
        Fact("left_out", reported=True),
        Fact("agreement", reported=True),
    ),
    table=step_table,
    rows=one_a_question,
)
def self_consistency(
    responses: Rows,
    benchmark: Rows,
    verifier: FunctionType,
    agreement: float,
    task: Task,
    pick: Pick,
    *,
    work: Work,
) -> Iterator[Row]:
    """The inputs with `gold`, the answer that most of the responses to each give, `agreement` (the share of them that
    give it), `solutions` (how many there are) and `reference` (the response that is learnt).

    Answers are compared by the verifier (`majority.vote`), where SELF-GUIDE (arXiv 2407.12874) compares whole texts;
    inputs whose most frequent answers are as frequent are left out, where it takes the shortest.

    Args:
        responses: those that filters left, several to an input, one after the other.
        benchmark: questions with gold answers that the verifier can read.
        agreement: the smallest share that is enough.
        task: in classification the answer has to be one of the benchmark's labels, and `gold` is spelt as it is.
        pick: "agreeing" learns the first response that gives this answer, "first" the first of all, whatever it says.

    Facts: `inputs`, `kept`, `left_out` by reason (`REASONS`), `agreement` (the mean over those kept).

    Raises:
        InputError: the benchmark has one label alone.
        StageFailed: no input is kept; says why not.
    """
    golds = list(dict.fromkeys(benchmark.column("gold")))[:STAND_INS]
    labels = label_set(benchmark, work.run_name) if task == "classification" else None
    left_out: Counter[str] = Counter()
    shares: list[float] = []
    for _, group in itertools.groupby(responses, key=lambda row: row["id"]):
        rows = list(group)
        found = vote(rows, verifier, golds)
        if isinstance(found, Vote) and found.agreement < agreement:
            found = "agreement"
        if not isinstance(found, Vote):
            left_out[found] += 1
            continue
        gold = found.gold if labels is None else _label(found.gold, rows[0], labels, verifier)
        if gold is None:
            left_out["no_label"] += 1
            continue
        shares.append(found.agreement)
        learnt = rows[0] if pick == "first" else _first_of(gold, rows, verifier)
        question = {name: value for name, value in learnt.items() if name not in GENERATED}
        output = {"gold": gold, "reference": learnt["response"]}
        yield {**question, **output, "agreement": found.agreement, "solutions": len(rows)}
    inputs = len(shares) + left_out.total()
    if not shares:
        why = left_out_in_words(left_out, REASONS)
        raise StageFailed(f"{work.run_name}: none of {inputs:,} inputs has an output: {why}")
    work.facts |= {"inputs": inputs, "kept": len(shares), "left_out": dict(left_out), "agreement": fmean(shares)}


def _judged(response: str, gold: str, row: Row, verifier: FunctionType) -> Verdict:
    verdict = verifier(response, {**row, "gold": gold})
    assert isinstance(verdict, Verdict)
    return verdict


def _label(answer: str, row: Row, labels: Sequence[str], verifier: FunctionType) -> str | None:
    """The label that an answer is, as the benchmark spells it; None where it is none."""
    return next((label for label in labels if _judged(answer, label, row, verifier).verdict == "correct"), None)


def _first_of(gold: str, rows: Sequence[Row], verifier: FunctionType) -> Row:
    """The first response that gives this answer; `vote` has seen that there is one."""
    return next(row for row in rows if _judged(row["response"] or "", gold, row, verifier).verdict == "correct")
