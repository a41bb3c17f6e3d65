"""Self: the student answers the questions itself, before any fine-tuning or after an arm; several tries a question.

Ren et al. 2024 (arXiv 2402.11192): what a model says itself is most familiar to it.
"""

from typing import Literal

from pydantic import Field

from data.bounds import Temperature, Whole
from tasks.generate import generate
from tasks.kinds.origins import Context
from tasks.origins._responses import Written
from tasks.pipeline.stage import Node


class Own(Written):
    """Responses that the student itself writes to the bare questions: as it is, or after an arm of the study."""

    kind: Literal["self"] = "self"
    samples: Whole = Field(default=4, ge=1, le=1000, description="Responses to each question.")
    of: str = Field(default="", description="An origin whose questions are answered; empty: the benchmark's.")
    by: str = Field(default="", description="An arm whose student answers, after its training; empty: before any.")
    temperature: Temperature = Field(default=0.7, description="0 is greedy, higher is more varied.")

    @property
    def own_words(self) -> bool:
        return not self.by and not self.of

    def responses(self, questions: Node, context: Context) -> Node:
        live = context.live(self.by)
        node = generate(
            questions, context.student, context.prompt, self.sampling, self.sampling.drawn_by(context.seed), *live
        )
        return node.named(context.label, self.kind)
