"""Origins of responses: who answers is all that one of them says; verdict and perplexity of each come side by side."""

from abc import ABC, abstractmethod

from pydantic import Field

from data.bounds import MOST_TOKENS, Share, Temperature, Whole
from tasks.kinds.origins import Context, Origin, OriginRows
from tasks.models.sampling import Sampling
from tasks.pipeline.stage import Node
from tasks.score import score
from tasks.verify import verify


def judged_and_scored(answered: Node, origin: Origin, context: Context) -> OriginRows:
    """The verdicts on an origin's responses, and beside them their perplexities.

    Raises:
        InputError: the benchmark has no verifier.
    """
    named = (context.label, *answered.tags)
    return OriginRows(
        verify(answered, context.judge(origin.kind)).named(*named),
        score(answered, context.student, origin.prompt_template(context)).named(*named),
    )


class Responses(Origin, ABC):
    """An origin whose rows are responses to the benchmark's questions."""

    @abstractmethod
    def responses(self, questions: Node, context: Context) -> Node:
        """The stage that answers the questions: rows with `sample`, `model` and `response`."""

    def rows(self, questions: Node, context: Context) -> OriginRows:
        return judged_and_scored(self.responses(questions, context), self, context)


class Written(Responses, ABC):
    """An origin whose responses a model writes, and how they are drawn from it."""

    samples: Whole = Field(default=1, ge=1, le=1000, description="Responses to each question.")
    temperature: Temperature = Field(default=0.0, description="0 is greedy, higher is more varied.")
    top_p: Share = Field(default=1.0, description="Share of probability kept, likeliest tokens first.")
    max_tokens: Whole = Field(
        default=512, ge=1, le=MOST_TOKENS, description="Tokens after which a response is cut off."
    )

    keep: Whole = Field(
        default=1, ge=1, le=1000, description="Responses to each question that an arm trains on, at most."
    )

    @property
    def sampling(self) -> Sampling:
        return Sampling(n=self.samples, temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
