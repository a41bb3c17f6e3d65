"""What an arm and a cell of the matrix are called, and what an arm trains on."""

from dataclasses import dataclass
from typing import NamedTuple

UNTRAINED = "base"
"""The name of the student before any fine-tuning, beside those of arms."""


class Arm(NamedTuple):
    """A fine-tuned student, all seeds together."""

    student: str
    train_benchmark: str
    arm: str
    """Its name in the study: that of its origin where the study names no arms."""
    origin: str
    """Whose responses, or pairs, it trains on."""
    method: str
    size: int = 0
    """Training questions; 0 where the study does not vary them."""

    @property
    def untrained(self) -> "Arm":
        """What it is compared with."""
        return Arm(self.student, "", UNTRAINED, UNTRAINED, "")


@dataclass(frozen=True, order=True)
class Cell:
    """What one evaluation was of. The untrained model has `train_benchmark` and `method` "", and `arm` "base"."""

    student: str
    train_benchmark: str
    arm: str
    origin: str
    method: str
    size: int
    seed: int
    eval_benchmark: str

    @property
    def trained(self) -> bool:
        """Whether it is of an arm, and not of the untrained student."""
        return self.arm != UNTRAINED

    @property
    def of(self) -> Arm:
        """The arm, or the untrained student."""
        return Arm(self.student, self.train_benchmark, self.arm, self.origin, self.method, self.size)


@dataclass(frozen=True, order=True)
class ResponsesOf:
    """Whose responses a table of them holds: those offered to an arm, or those chosen for it."""

    student: str
    train_benchmark: str
    arm: str
    size: int = 0
    seed: int | None = None
    """The arm's seed that they were drawn for; None where one draw serves all seeds."""
