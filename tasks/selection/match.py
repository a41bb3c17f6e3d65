"""In what the arms of a study are made alike."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data.bounds import MOST_QUESTIONS, Share, Whole


class Match(BaseModel):
    """In what the arms of a study are made alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    questions: bool = Field(
        default=True, description="All origins answer the same questions: those that each of them can."
    )
    count: bool = Field(
        default=True, description="All arms train on the same number of questions: as many as the least of them has."
    )
    correct: Literal["only", "any", "same"] = Field(
        default="only",
        description="only: correct responses alone. any: whatever the verdict, errors excepted. same: on each "
        "question, all origins' responses are correct or none is.",
    )
    pick: Literal["first", "random", "lowest_perplexity", "highest_perplexity"] = Field(
        default="first", description="Which of an origin's responses to a question is taken, among those that may be."
    )
    tokens: Share | None = Field(
        default=None,
        description="Mean response tokens of the origins differ by at most this share (0.05: 5 %).",
    )
    cut_off: bool = Field(default=False, description="Take responses that were cut off at the token limit as well.")
    minimum: Whole = Field(
        default=10, ge=1, le=MOST_QUESTIONS, description="Fewer questions than this in any arm, and the stage fails."
    )

    @model_validator(mode="after")
    def _over_the_same_questions(self) -> "Match":
        if not self.questions and (self.tokens is not None or self.correct == "same"):
            raise ValueError("`tokens` and `correct: same` compare question by question: they need `questions: true`")
        return self
