"""Human: people's responses, as the benchmark has them."""

from typing import Literal

from pydantic import Field

from tasks.origins import Context, Origin
from tasks.references import references
from tasks.stage import Node


class Human(Origin):
    """Responses written by people, from a column of the benchmark."""

    kind: Literal["human"] = "human"
    column: str = Field(
        default="reference",
        description="Column with the response; abacus also has `reference_terse`, which leaves steps out.",
    )

    def responses(self, questions: Node, context: Context) -> Node:
        return references(questions, self.column).named(context.label, self.kind)
