"""Take responses that were judged as drafts, on which somebody is to give feedback."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.models.sampling import GENERATED
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows
from tasks.synthesis.left_out import left_out_in_words
from tasks.verification.missing_response import is_missing
from tasks.verification.verdict import VERDICT

REASONS = {
    "missing": "no response",
    "empty": "empty",
    "cut_off": "cut off at the token limit",
    "repeated": "the same text as another",
    "surplus": "more than are asked for",
}
"""Why a response is no draft, in the order in which this is looked at."""
OF_A_RESPONSE = frozenset((*GENERATED, *VERDICT)) - {"sample"}


def _rows(node: Node) -> int:
    return node.asked.expected_rows * int(node.values["most"])


def step_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """How many drafts there are, by verdict, and why other responses are none."""
    return {
        "drafts": f"{facts['drafts']:,}",
        "verdicts": ", ".join(f"{count:,} {verdict}" for verdict, count in facts["verdicts"].items()),
        "left out": left_out_in_words(facts["left_out"], REASONS),
    }


@stage(facts=(Fact("drafts", reported=True),), table=step_table, rows=_rows)
def judged_drafts(responses: Rows, most: int, *, work: Work) -> Iterator[Row]:
    """The first `most` complete responses to each question, each text once, as `draft` with its `draft_verdict`.

    Rows keep their columns and their `sample`, without the other columns of a response and of a verdict.

    Args:
        responses: `verify`'s rows.

    Facts: `drafts`, their `verdicts`, and `left_out` (responses, by `REASONS`).

    Raises:
        StageFailed: there is no draft; or none that is wrong, while the verifier could not judge some: it may not be
            able to tell a wrong one, and feedback would be told that every answer is right.
    """
    verdicts: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for _, group in itertools.groupby(responses, key=lambda row: row["id"]):
        texts: set[str] = set()
        for row in sorted(group, key=lambda row: row["sample"]):
            text = "" if is_missing(row) else row["response"]
            obstacles = {
                "missing": is_missing(row),
                "empty": not text.strip(),
                "cut_off": row.get("finish") == "length",
                "repeated": text in texts,
                "surplus": len(texts) >= most,
            }
            if reason := next((name for name in REASONS if obstacles[name]), None):
                left_out[reason] += 1
                continue
            texts.add(text)
            verdicts[row["verdict"]] += 1
            kept = {name: value for name, value in row.items() if name not in OF_A_RESPONSE}
            yield {**kept, "draft": text, "draft_verdict": row["verdict"]}
    work.facts.update(drafts=verdicts.total(), verdicts=dict(verdicts), left_out=dict(left_out))
    if not verdicts:
        why = left_out_in_words(left_out, REASONS)
        raise StageFailed(f"{work.run_name}: there is no response to give feedback on: {why}")
    judged = verdicts["correct"] + verdicts["wrong"]
    if not verdicts["wrong"] and judged < verdicts.total():
        raise StageFailed(
            f"{work.run_name}: of {verdicts.total():,} drafts none is judged wrong, and {verdicts.total() - judged:,} "
            "could not be judged: feedback needs a verifier that can say that an answer is wrong"
        )
