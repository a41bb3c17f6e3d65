"""Mixture: responses of several origins, by share."""

from typing import Annotated, Literal

from pydantic import Field

from tasks.bounds import Real
from tasks.mix import mix
from tasks.origins import Context, Origin
from tasks.stage import Node

Portion = Annotated[Real, Field(gt=0, le=1_000_000)]
"""A part in proportion to the others: they need not sum to 1."""


class Mixture(Origin):
    """Each question gets the responses of one of several origins; how often which one is given by shares."""

    kind: Literal["mixture"] = "mixture"
    of: dict[str, Portion] = Field(
        min_length=2, description="Share of the questions by origin, as {human: 1, self: 3}."
    )

    def responses(self, questions: Node, context: Context) -> Node:
        sources = {name: context.responses_of(name, questions) for name in self.of}
        return mix(sources, self.of, context.seed).named(context.label, self.kind)
