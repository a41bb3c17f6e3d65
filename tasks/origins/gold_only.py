"""Gold only: the right answer and nothing else, no step towards it.

The least detail there can be (`gold label only` in the follow-up logs of Ren et al. 2024).
"""

from typing import Literal

from pydantic import Field

from data.prompt import template
from tasks.filled import filled
from tasks.origins import Context, Origin
from tasks.stage import Node


class GoldOnly(Origin):
    """The benchmark's gold answer alone, in the form that its prompt asks for."""

    kind: Literal["gold_only"] = "gold_only"
    response: str = Field(
        default="Final answer: {{ gold }}", description="A template of the response, over the question's columns."
    )

    def responses(self, questions: Node, context: Context) -> Node:
        return filled(questions, template(self.response, context.roots, f"origins.{context.origin}.response")).named(
            context.label, self.kind
        )
