"""What an arm and a cell of the matrix are called."""

from dataclasses import dataclass
from typing import NamedTuple

UNTRAINED = "base"
"""The origin of the student before any fine-tuning."""


@dataclass(frozen=True)
class Cell:
    """What one evaluation was of. The untrained model has `train_benchmark` "", `origin` "base" and `method` ""."""

    student: str
    train_benchmark: str
    origin: str
    method: str
    seed: int
    eval_benchmark: str


class Arm(NamedTuple):
    """A fine-tuned student, all seeds together."""

    student: str
    train_benchmark: str
    origin: str
    method: str

    @property
    def untrained(self) -> "Arm":
        """What it is compared with."""
        return Arm(self.student, "", UNTRAINED, "")
