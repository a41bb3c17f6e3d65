"""Human: people's responses, as the benchmark has them."""

from typing import Literal

from pydantic import Field

from data.errors import at
from tasks.origins import Context, Look, Origin
from tasks.references import references
from tasks.rows import Rows
from tasks.stage import Node


class Human(Origin):
    """Responses written by people, from a column of the benchmark."""

    kind: Literal["human"] = "human"
    column: str = Field(
        default="reference",
        description="Column with the response; abacus also has `reference_terse`, which leaves steps out.",
    )

    def check(self, questions: Rows, look: Look) -> None:
        with at(f"origins.{look.origin}.column"):
            references.function(questions, self.column)

    def responses(self, questions: Node, context: Context) -> Node:
        return references(questions, self.column).named(context.label, self.kind)
