"""Put together the feedback of several annotators, and see whether it states the verdict that a draft has."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.reporting.formatting import percent
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows
from tasks.verification.stated_verdict import VerdictWords

ONLY_BEFORE = frozenset({"feedback", "in_place_of"})
"""Columns that only the steps before this one need."""


def _rows(node: Node) -> int:
    return sum(each.expected_rows for each in node.upstream)


def step_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """Rows of feedback, and how often each source agrees with the verifier."""
    agreeing = facts["agreement_by_source"]
    counts = {f"feedback by {source}": f"{count:,}" for source, count in facts["sources"].items()}
    shares = {f"{source} agrees with the verifier, %": percent(share) for source, share in agreeing.items()}
    return counts | shares | ({"answers": f"{facts['answers']:,}"} if facts["answers"] else {})


@stage(
    facts=(
        Fact("feedback", reported=True),
        Fact("agreement", reported=True),
        Fact("answers", reported=True, unless_zero=True),
    ),
    table=step_table,
    rows=_rows,
)
def annotate(
    annotated: Mapping[str, Rows], words: VerdictWords, answers: Rows | None = None, *, work: Work
) -> list[Row]:
    """Rows whose `response` is feedback on a `draft`, by question.

    Adds `verdict` (correct where the feedback states the verdict that the verifier gave the draft, wrong where it
    states the other one, unparseable where it states none or both, or where the draft could not be judged), `answer`
    (what it states: right, wrong or null) and `score`. All rows have `draft`, `draft_verdict`, `annotator` (who gave
    the feedback), `source` (rule, model or human) and `saw_gold` (whether the annotator was shown the right answer;
    null where nobody knows).

    Args:
        annotated: rows with these columns and `feedback`, by any names.
        words: by which feedback states a verdict.
        answers: judged responses to the questions that are learnt beside the feedback; they have no draft (null).

    Facts: `feedback` (rows), `sources` (rows by source), `agreement` (the share of rows whose draft was judged and
    that state a verdict in which it is the verifier's), `agreement_by_source`, `answers` (rows).

    Raises:
        StageFailed: there is no feedback.
    """
    rows = [_judged(row, words) for each in annotated.values() for row in each]
    if not rows:
        raise StageFailed(f"{work.run_name}: there is no feedback")
    sources = sorted({row["source"] for row in rows})
    made = list(answers or ())
    work.facts.update(
        feedback=len(rows),
        sources=dict(Counter(row["source"] for row in rows)),
        agreement=_agreement(rows),
        agreement_by_source={name: _agreement(row for row in rows if row["source"] == name) for name in sources},
        answers=len(made),
    )
    return sorted(_numbered(rows, made), key=lambda row: (str(row["id"]), row["sample"]))


def _judged(row: Row, words: VerdictWords) -> Row:
    made = {name: value for name, value in row.items() if name not in ONLY_BEFORE} | {"response": row["feedback"]}
    verdict = words.judged(made)
    return {**made, "verdict": verdict.verdict, "answer": verdict.answer, "score": verdict.score}


def _agreement(rows: Iterable[Row]) -> float:
    found = Counter(row["verdict"] for row in rows)
    stated = found["correct"] + found["wrong"]
    return found["correct"] / stated if stated else math.nan


def _numbered(feedback: list[Row], answers: list[Row]) -> Iterator[Row]:
    """All rows, an answer's `sample` after those of the feedback on the same question."""
    after: Counter[str] = Counter()
    for row in feedback:
        after[row["id"]] = max(after[row["id"]], row["sample"] + 1)
    yield from feedback
    yield from ({**row, "sample": row["sample"] + after[row["id"]], "draft": None} for row in answers)
