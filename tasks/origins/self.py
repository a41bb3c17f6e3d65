"""Self: the student answers the questions itself, before any fine-tuning; several tries, one of the correct is kept.

Ren et al. 2024 (arXiv 2402.11192): what a model says itself is most familiar to it.
"""

from typing import Literal

from pydantic import Field

from data.bounds import Temperature, Whole
from tasks.generate import generate
from tasks.kinds.origins import Context, Written
from tasks.pipeline.stage import Node


class Own(Written):
    """Responses that the student itself writes to the bare questions."""

    kind: Literal["self"] = "self"
    samples: Whole = Field(default=4, ge=1, le=1000, description="Responses to each question; one correct one is kept.")
    temperature: Temperature = Field(default=0.7, description="0 is greedy, higher is more varied.")

    def responses(self, questions: Node, context: Context) -> Node:
        node = generate(questions, context.student, context.prompt, self.sampling, context.seed)
        return node.named(context.label, self.kind)
