"""Posed: a model writes new questions like the benchmark's, and answers them.

Setlur et al. 2024 (arXiv 2406.14532) train on problems that a stronger model poses and solves. There one answer of the
model is the gold answer, with its errors; here it is the answer that most of several solutions agree on.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from data.bounds import MOST_QUESTIONS, Share, Temperature, Whole
from data.errors import InputError
from data.prompt import template
from tasks.examples import examples
from tasks.generate import generate
from tasks.kinds.origins import Context, Look
from tasks.majority import majority
from tasks.models.endpoint import Endpoint
from tasks.models.model import Model
from tasks.models.sampling import Sampling
from tasks.origins._responses import Written
from tasks.pipeline.stage import Node
from tasks.pose import pose
from tasks.storage.rows import Row
from tasks.verification import golds

Varied = Annotated[Temperature, Field(gt=0)]
"""A temperature at which samples of one prompt differ."""


class Posed(Written):
    """Questions that a model poses after examples of the benchmark's, and its responses to them.

    The gold answer of a question is the one that most of the model's solutions give; questions without a majority are
    left out. The responses that are trained on are drawn on their own, and verified by this gold answer.
    """

    kind: Literal["posed"] = "posed"
    model: str = Field(
        default="",
        description="Who poses and answers: a bundled model, a folder, a hub id with a revision, or api:<id>; empty: "
        "the student, before any training.",
    )
    count: Whole = Field(
        default=200, ge=1, le=MOST_QUESTIONS, description="Questions that the model is asked for; some are left out."
    )
    shown: Whole = Field(default=3, ge=1, le=100, description="The benchmark's questions shown as examples each time.")
    prompt: str = Field(
        default="pose",
        description="How a question is asked for: a template's text (with {{ examples }}, a list of texts), a .jinja "
        "file, or one of the project's.",
    )
    posing_temperature: Temperature = Field(default=1.0, description="Temperature at which questions are written.")
    solutions: Whole = Field(default=5, ge=3, le=100, description="Solutions whose majority is the gold answer.")
    solving_temperature: Varied = Field(default=0.7, description="Temperature of the solutions, above 0.")
    agreement: Share = Field(default=0.5, description="Share of the solutions that have to give the same answer.")

    @property
    def posed_at_most(self) -> int:
        return self.count

    @property
    def models_asked(self) -> tuple[str, ...]:
        return (self.model,) if self.model else ()

    def templates(self, look: Look | Context) -> Mapping[str, tuple[str, Row]]:
        text = template(self.prompt, look.roots, f"origins.{look.origin}.prompt")
        return {"prompt": (text, {"examples": ["A question.", "Another."]})}

    def questions(self, asked: Node, context: Context) -> Node:
        if context.verifier is None:
            raise InputError(f"origins.{context.origin}: {self.kind} needs a benchmark with a verifier")
        if not golds.are_answers(context.verifier):
            raise InputError(
                f"origins.{context.origin}: nothing can pose questions of {context.benchmark}, whose gold answers are "
                "tests; allowed are benchmarks whose gold answers are answers"
            )
        ((told, _),) = self.templates(context).values()
        model, seed = self._model(context), context.seed
        named = (context.label, self.kind)
        shown = examples(asked, self.shown, self.count, context.prompt, seed).named(*named)
        written = generate(shown, model, told, self._sampling(1, self.posing_temperature), seed)
        posed = pose(written.named(f"{context.label} questions", self.kind), asked).named(*named)
        solved = generate(posed, model, context.prompt, self._sampling(self.solutions, self.solving_temperature), seed)
        solved = solved.named(f"{context.label} solutions", self.kind)
        return majority(solved, asked, context.verifier, self.agreement).named(*named)

    def responses(self, questions: Node, context: Context) -> Node:
        node = generate(
            questions, self._model(context), context.prompt, self.sampling, self.sampling.drawn_by(context.seed)
        )
        return node.named(context.label, self.kind)

    def _model(self, context: Context) -> Model | Endpoint:
        return context.model(self.model) if self.model else context.student

    def _sampling(self, n: int, temperature: float) -> Sampling:
        return self.sampling.model_copy(update={"n": n, "temperature": temperature})
