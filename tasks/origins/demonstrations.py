"""Demonstrations: the examples that a task's prompt shows, as training rows of their own.

Fine-tuning on the few examples alone is what SELF-GUIDE (Zhao et al. 2024, arXiv 2407.12874) is held against: whatever
it gains beyond that comes of what the student wrote.
"""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from tasks.kinds.origins import Context, Look
from tasks.origins.gold_only import GoldOnly
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows
from tasks.synthesis.demonstrations import COLUMN, demonstrations
from tasks.synthesis.shared_columns import shared_columns

MOST = 1000
"""Examples that a task has at most."""


def _unknown(node: Node) -> None:
    """How many examples there are is not known before they are read."""


@stage(own_questions=True, rows=_unknown)
def shown_examples(questions: Rows, *, work: Work) -> Iterator[Row]:
    """Each example as a question, whose own prompt shows the other examples: else it would show its own answer.

    Rows have `id`, `question`, `gold` and `reference` (both the output) and the columns in which all questions are the
    same.

    Raises:
        InputError: the questions have no examples.
        StageFailed: there is one alone, which leaves its own prompt none.
    """
    shared = shared_columns(questions)
    examples = demonstrations(shared, work.run_name)
    if len(examples) < 2:
        raise StageFailed(f"{work.run_name}: the task has one example alone; two or more are needed to train on them")
    for number, one in enumerate(examples):
        others = [given for at, given in enumerate(shared[COLUMN]) if at != number]
        output = {"gold": one.output, "reference": one.output}
        yield {**shared, COLUMN: others, "id": f"example/{number:03d}", "question": one.input, **output}


class Demonstrations(GoldOnly):
    """The few examples of the task's prompt alone: their inputs and outputs."""

    kind: Literal["demonstrations"] = "demonstrations"  # type: ignore[assignment]
    response: str = Field(
        default="{{ gold }}", description="A template of the response, over the question's columns; gold: the output."
    )

    @property
    def posed_at_most(self) -> int:
        return MOST

    def check(self, questions: Rows, look: Look) -> None:
        demonstrations(next(iter(questions)), f"origins.{look.origin}")

    def questions(self, asked: Node, context: Context) -> Node:
        return shown_examples(asked).named(context.label, self.kind)
