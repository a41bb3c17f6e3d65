"""Teacher: a stronger model answers the questions itself, without seeing a human response.

A study with two or more teachers names this kind once for each of them.
"""

from typing import Literal

from pydantic import Field

from tasks.generate import generate
from tasks.kinds.origins import Context
from tasks.origins._responses import Written
from tasks.pipeline.stage import Node


class Teacher(Written):
    """Responses that another model writes to the bare questions."""

    kind: Literal["teacher"] = "teacher"
    model: str = Field(description="A bundled model, a folder, or a hub id with a revision (owner/name@commit).")

    @property
    def models_asked(self) -> tuple[str, ...]:
        return (self.model,)

    def responses(self, questions: Node, context: Context) -> Node:
        node = generate(
            questions, context.model(self.model), context.prompt, self.sampling, self.sampling.drawn_by(context.seed)
        )
        return node.named(context.label, self.kind)
