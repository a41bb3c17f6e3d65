"""Origins that look at the steps of another origin's responses: how the student goes on from them."""

import re
from abc import ABC

from pydantic import Field, field_validator

from data.bounds import MOST_TOKENS, Temperature, Whole
from tasks.kinds.origins import Context, Origin
from tasks.models.sampling import Sampling
from tasks.pipeline.stage import Node
from tasks.step_values import step_values
from tasks.steps.search import Where
from tasks.steps.splitting import WAYS


class RolledOut(Origin, ABC):
    """An origin that needs step values of another origin's responses."""

    of: str = Field(description="The origin whose responses are looked at; it needs several samples a question.")
    by: str = Field(default="", description="An arm whose student goes on from the steps; empty: before any training.")
    rollouts: Whole = Field(default=5, ge=1, le=1000, description="Tries from the steps that are looked at.")
    temperature: Temperature = Field(default=0.7, description="Of the tries. 0 is greedy, higher is more varied.")
    max_tokens: Whole = Field(default=512, ge=1, le=MOST_TOKENS, description="Tokens after which a try is cut off.")
    steps: str = Field(
        default="sentences",
        description="Where steps end: sentences, lines, or a regular expression that matches at their ends.",
    )

    @field_validator("steps")
    @classmethod
    def _can_be_used(cls, way: str) -> str:
        try:
            re.compile(WAYS.get(way, way))
        except re.error as error:
            raise ValueError(f"no regular expression ({error}), nor {' or '.join(WAYS)}") from error
        return way

    def values(self, responses: Node, where: Where, again: int, context: Context) -> Node:
        """The step values of these responses.

        Raises:
            InputError: the benchmark has no verifier; `by` names no arm.
        """
        sampling = Sampling(n=self.rollouts, temperature=self.temperature, max_tokens=self.max_tokens)
        node = step_values(
            responses,
            context.student,
            context.prompt,
            context.judge(self.kind),
            self.steps,
            where,
            sampling,
            again,
            context.seed,
            *context.live(self.by),
        )
        return node.named(context.label, self.kind)
