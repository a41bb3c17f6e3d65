"""Teacher: a stronger model answers the questions itself, without seeing a human response."""

from typing import Literal

from pydantic import Field

from tasks import model
from tasks.generate import generate
from tasks.origins import Context, Origin
from tasks.sampling import Sampling
from tasks.stage import Node


class Teacher(Origin):
    """Responses that another model writes to the bare questions."""

    kind: Literal["teacher"] = "teacher"
    model: str = Field(description="A bundled model, a folder, or a hub id with a revision (owner/name@commit).")
    samples: int = Field(default=1, ge=1, le=1000, description="Responses to each question; one correct one is kept.")
    temperature: float = Field(default=0.0, ge=0, le=10, description="0 is greedy, higher is more varied.")
    top_p: float = Field(default=1.0, gt=0, le=1, description="Share of probability kept, likeliest tokens first.")
    max_tokens: int = Field(default=512, ge=1, description="Tokens after which a response is cut off.")

    def responses(self, questions: Node, context: Context) -> Node:
        sampling = Sampling(n=self.samples, temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
        node = generate(questions, model.resolve(self.model), context.prompt, sampling, context.seed)
        return node.named(context.label, self.kind)
