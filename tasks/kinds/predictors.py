"""Predictors: numbers known before any training that are meant to tell which responses will teach a student most.

One file each in tasks/predictors, with one subclass of `Predictor`; its name is the file's. A predictor is a function
of a training set as the untrained student reads it: of numbers that scoring and verification leave anyway, so that it
costs nothing. What needs more forward passes says so (`needs`), and has no value where they were not made.
"""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from data import kinds
from tasks.kinds.verifiers import Outcome

if TYPE_CHECKING:
    import numpy as np

Need = Literal["verdicts", "own", "local", "in_context"]
"""What a predictor needs beside the tokens' numbers: verdicts; the student's own responses; the likelihood of each step
given only the few before it; that of the whole after an example of the student's own style."""
LACKING: Mapping[Need, str] = {
    "verdicts": "no response has a verdict",
    "own": "the study has no responses of the student's own to these questions",
    "local": "responses of more than five steps must be read again (measures.further_passes)",
    "in_context": "responses must be read again (measures.further_passes)",
}
"""What is said where a need is not met."""


@dataclass(frozen=True)
class InContext:
    """A response after an example of the student's own style."""

    nll: float
    """Nats of all its tokens together, those that end the turn left out."""
    tokens: int


@dataclass(frozen=True)
class Response:
    """A response that is trained on, as the untrained student reads it."""

    id: str
    """Of its question."""
    text: str
    nll: "np.ndarray"
    """Negative log-likelihood of each token in nats, those that end the turn last: float (tokens,)."""
    rank: "np.ndarray"
    """Place of each token among all tokens by likelihood, from 1: int (tokens,); large ones may be cut off at 255."""
    ending: int = 0
    """How many of the last tokens only end the turn."""
    steps: Sequence[int] = ()
    """Tokens up to the end of each step, those that end the turn left out."""
    local_nll: "np.ndarray | None" = None
    """As `nll` without the tokens that end the turn, each token given the prompt and no more than the four steps before
    its own; None where that was not measured."""
    in_context: InContext | None = None
    """None where that was not measured."""
    verdict: Outcome | None = None

    @property
    def words(self) -> int:
        """Tokens without those that end the turn."""
        return len(self.nll) - self.ending


@dataclass(frozen=True)
class Candidate:
    """A response that could have been taken, as the untrained student reads it."""

    id: str
    """Of its question."""
    nll: float
    """Nats of all its tokens together; NaN for one that does not fit the context."""
    tokens: int
    verdict: Outcome | None = None


@dataclass(frozen=True)
class TrainingSet:
    """What one arm trains on, what it was chosen from, and what the student says itself."""

    responses: Sequence[Response]
    candidates: Iterable[Candidate] = ()
    """All responses there were to choose from, those taken among them."""
    own: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The student's own responses by question."""


class Predictor(ABC):
    """A number that a training set has before any training."""

    title: ClassVar[str]
    """What tables call it."""
    better: ClassVar[Literal["lower", "higher"]]
    """Which values are said to promise more, by who proposed it."""
    needs: ClassVar[Need | None] = None

    @abstractmethod
    def value(self, rows: TrainingSet) -> float:
        """The number; NaN where it is undefined, or what it needs is not there."""


def mean(values: Iterable[float]) -> float:
    """The plain mean; NaN of none."""
    known = list(values)
    return math.fsum(known) / len(known) if known else math.nan


@functools.cache
def kinds_by_name() -> Mapping[str, type[Predictor]]:
    """Every predictor by name."""
    return {name: find(name) for name in names()}


def directions() -> dict[str, tuple[str, str]]:
    """Title of each predictor, and which of its values are said to be better, by name."""
    return {name: (kind.title, kind.better) for name, kind in kinds_by_name().items()}


def names() -> tuple[str, ...]:
    """The predictors there are."""
    return kinds.names("tasks.predictors")


def find(name: str) -> type[Predictor]:
    """A predictor by its name.

    Raises:
        InputError: there is none; names the nearest and all there are.
    """
    return kinds.only_class(kinds.load("tasks.predictors", name, "predictor"), Predictor)  # type: ignore[type-abstract]
