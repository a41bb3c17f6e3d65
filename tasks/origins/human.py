"""Human: people's responses, as the benchmark has them."""

from collections.abc import Iterator
from typing import Literal

import pyarrow as pa
from pydantic import Field

from data import kinds
from data.errors import InputError, at
from tasks.kinds.origins import Context, Look
from tasks.models.sampling import RESPONSE
from tasks.origins._responses import Responses
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.storage.rows import Row, Rows, Streamed, with_columns


@stage(adds=RESPONSE)
def references(questions: Rows, column: str, *, work: Work | None = None) -> Rows:
    """A person's response to each question that has one, from `column` (`reference`, or another of the benchmark's).

    Adds `sample` (0), `model` ("human") and `response`. Questions without one are left out and counted.

    Raises:
        InputError: no question has such a response.
    """
    if column not in questions.columns:
        texts = [name for name in questions.columns if name not in ("id", "question", "gold")]
        raise InputError(f"origin human: {kinds.unknown('column', column, texts)}")
    asked = len(questions)
    answered = sum(bool(text) for b in questions.batches([column]) for text in b.column(column).to_pylist())
    if not answered:
        raise InputError(
            f"origin human: column {column!r} is empty in all {asked} questions, or the file has none. Allowed: one "
            "with people's responses, named by `column` here or by columns.reference of the benchmark"
        )
    if work:
        work.facts.update(questions=asked, answered=answered)

    def made() -> Iterator[Row]:
        return ({**row, "sample": 0, "model": "human", "response": row[column]} for row in questions if row[column])

    added = {"sample": pa.int64(), "model": pa.string(), "response": questions.schema.field(column).type}
    return Streamed.lines(with_columns(questions.schema, added), answered, made)


class Human(Responses):
    """Responses written by people, from a column of the benchmark."""

    kind: Literal["human"] = "human"
    column: str = Field(
        default="reference",
        description="Column with the response: `reference`, or another of the benchmark's.",
    )

    def check(self, questions: Rows, look: Look) -> None:
        with at(f"origins.{look.origin}.column"):
            references.function(questions, self.column)

    def responses(self, questions: Node, context: Context) -> Node:
        return references(questions, self.column).named(context.label, self.kind)
