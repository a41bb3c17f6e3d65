"""The steps of a study that its report tells of: nodes in a plan, artifacts when the report is made."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from tasks.comparison.cell import Arm

Source = TypeVar("Source")


@dataclass(frozen=True)
class TrainedOn(Generic[Source]):
    """The adapter of one arm and seed, and the choices of what it was trained on."""

    of: Arm
    seed: int
    adapter: Source
    choices: Source
    pool: str
    """The name under which the choices have its rows."""


@dataclass(frozen=True)
class Steps(Generic[Source]):
    """What was made on the way to a comparison."""

    made: tuple[Source, ...] = ()
    """All of it, for counts, time, template hashes and what the steps say of themselves."""
    choices: tuple[Source, ...] = ()
    """Which questions and responses arms were to train on."""
    trained: tuple[TrainedOn[Source], ...] = ()
    asked: tuple[Source, ...] = ()
    """The evaluation questions that a student has room to answer."""
