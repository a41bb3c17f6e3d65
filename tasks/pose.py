"""Make questions of what a model wrote when it was asked for one more like those it was shown."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.models.sampling import GENERATED
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.questions import normalised
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows
from tasks.synthesis.left_out import left_out_in_words
from tasks.verification.missing_response import is_missing

SHORTEST, LONGEST = 0.5, 2.0
"""Characters that a posed question may have: of the shortest and of the longest question of the benchmark."""
REASONS = {
    "missing": "no response",
    "empty": "empty",
    "cut_off": "cut off at the token limit",
    "short": f"shorter than {SHORTEST:g} of the benchmark's shortest question",
    "long": f"longer than {LONGEST:g} of its longest",
    "copied": "a question of the benchmark",
    "repeated": "posed before",
}
"""Why a response is no new question, in the order in which this is looked at."""


def step_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """How many were asked for and posed, and why the others were left out."""
    return {
        "questions asked for": f"{facts['asked']:,}",
        "posed": f"{facts['posed']:,}",
        "left out": left_out_in_words(facts["left_out"], REASONS),
    }


@stage(facts=(Fact("asked", reported=True), Fact("posed", reported=True)), table=step_table, own_questions=True)
def pose(responses: Rows, benchmark: Rows, *, work: Work) -> Iterator[Row]:
    """The questions that responses to `examples` are, each text once, without those that can be none.

    A response as a whole is one question, white space around it aside. Texts are compared by `questions.normalised`.
    Rows keep their columns, but for those of a response and `examples`, and gain `question`; they have no `gold` yet.

    Args:
        benchmark: the questions that the examples were drawn from.

    Facts: `asked` (responses), `posed` (questions) and `left_out` by reason (`REASONS`).

    Raises:
        StageFailed: there is no question; says why not.
    """
    known, shortest, longest = _seen(benchmark)
    posed: set[str] = set()
    left_out: Counter[str] = Counter()
    asked = 0
    for row in responses:
        asked += 1
        text = "" if is_missing(row) else row["response"].strip()
        same = normalised(text)
        obstacles = {
            "missing": is_missing(row),
            "empty": not text,
            "cut_off": row["finish"] == "length",
            "short": len(text) < SHORTEST * shortest,
            "long": len(text) > LONGEST * longest,
            "copied": same in known,
            "repeated": same in posed,
        }
        if reason := next((name for name in REASONS if obstacles[name]), None):
            left_out[reason] += 1
            continue
        posed.add(same)
        own = {name: value for name, value in row.items() if name not in (*GENERATED, "examples")}
        yield {**own, "id": _id(row), "question": text}
    work.facts.update(asked=asked, posed=len(posed), left_out=dict(left_out))
    if not posed:
        why = left_out_in_words(left_out, REASONS)
        raise StageFailed(f"{work.run_name}: none of {asked:,} responses is a new question: {why}")


def _seen(benchmark: Rows) -> tuple[set[str], int, int]:
    """A benchmark's questions, normalised, and how many characters the shortest and the longest have."""
    texts = benchmark.column("question")
    lengths = [len(text) for text in texts]
    return {normalised(text) for text in texts}, min(lengths), max(lengths)


def _id(row: Row) -> str:
    """Several responses to one group of examples are questions of their own."""
    return f"{row['id']}/{row['sample']}" if row["sample"] else str(row["id"])
