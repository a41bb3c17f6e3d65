"""Parts of a study: how many questions, controls, and what things may be called."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data.bounds import LONGEST_NAME, MOST_QUESTIONS, Seed, Whole
from data.errors import shown
from data.options import OptionError
from tasks.selection.match import Match

NAME = re.compile(r"^[a-z0-9][a-z0-9_.-]*$")
"""What a study may be called."""
TAKEN = frozenset(["store", "latest", "previous"])
"""Names that no study has: its results would lie in the default store, or be what `compare` calls another run."""
NOT_TAKEN: dict[str, Any] = {"enum": sorted(TAKEN)}
"""The same for a JSON Schema's `not`."""
ORIGIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
"""What an origin and a control may be called."""

Count = Annotated[Whole, Field(gt=0, le=MOST_QUESTIONS)]


def check_name(name: Any, where: str) -> None:
    """Raises OptionError unless an origin or a control may be called so."""
    if not isinstance(name, str) or not ORIGIN.fullmatch(name) or len(name) > LONGEST_NAME:
        raise OptionError(
            f"{where}: allowed are letters, digits, dot, dash and underscore, at most {LONGEST_NAME} characters, the "
            "first of them a letter or a digit"
        )


def by_name(given: Any, where: str) -> Mapping[Any, Any]:
    """What a study gives as a map from names to maps of options.

    Raises:
        ValueError: it is no map.
        OptionError: what one name has is none.
    """
    if not isinstance(given, Mapping):
        raise ValueError("allowed is a map from a name to its options")
    for name, options in given.items():
        if not isinstance(options, Mapping | BaseModel):
            raise OptionError(f"{where}.{name}: {shown(options)} is not allowed: a map of options is")
    return given


class Questions(BaseModel):
    """How many questions, and from which split of a benchmark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: Whole | None = Field(
        300, gt=0, le=MOST_QUESTIONS, description="training questions of each benchmark; null for all of them"
    )
    keep: Whole | None = Field(
        None, gt=0, le=MOST_QUESTIONS, description="questions an arm trains on; null for as many as all origins have"
    )
    evaluate: Whole | None = Field(
        100, gt=0, le=MOST_QUESTIONS, description="evaluation questions of each benchmark; null for all of them"
    )
    train_each: dict[str, Count | None] = Field(
        default_factory=dict, description="training questions of single benchmarks, where they differ from `train`"
    )
    evaluate_each: dict[str, Count | None] = Field(
        default_factory=dict, description="evaluation questions of single benchmarks, where they differ from `evaluate`"
    )
    train_split: str = Field("train", description="the split that training questions come from")
    evaluate_split: str = Field("test", description="the split that evaluation questions come from")
    too_long: Literal["refuse", "leave_out"] = Field(
        "refuse", description="evaluation questions that leave a student no room to answer; those left out are counted"
    )
    seed: Seed = Field(0, description="which questions are drawn")
    sampling: Literal["once", "per_seed"] = Field(
        "once",
        description="whether generated responses are drawn once for all seeds of an arm, or anew for each, so that "
        "intervals hold what the drawing adds; what an arm's student writes is drawn for each seed in any case",
    )

    def to_train(self, benchmark: str) -> int | None:
        """How many training questions of this benchmark; None for all of them."""
        return self.train_each.get(benchmark, self.train)

    def to_evaluate(self, benchmark: str) -> int | None:
        """How many evaluation questions of this benchmark; None for all of them."""
        return self.evaluate_each.get(benchmark, self.evaluate)


class Control(BaseModel):
    """Some of the study's origins once more, matched in another way; their arms are called `origin@control`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origins: list[str] = Field(min_length=1, description="which of the study's origins")
    match: Match = Field(description="what these arms are matched for")
    train: list[str] | None = Field(None, description="which of the study's training benchmarks; null for all of them")
    same_questions: bool = Field(
        False, description="only questions that the study's own arms train on, so that nothing but the matching differs"
    )


class Measures(BaseModel):
    """What is measured of arms beside their answers. Predictors that need no forward pass are always computed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    further_passes: Whole = Field(
        0,
        ge=0,
        le=MOST_QUESTIONS,
        description="training rows of each arm that the untrained student reads again, for predictors that need it: "
        "in-context perplexity, and local naturalness of responses of more than five sentences; 0: none",
    )
    kl_to_base: Whole = Field(
        0,
        ge=0,
        le=MOST_QUESTIONS,
        description="training questions on which the KL divergence from the untrained student to each trained one is "
        "estimated, with one response of the untrained student to each; 0: none",
    )
