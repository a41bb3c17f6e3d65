"""How sentences speak of arms: by whose responses they train on, or by their names.

Arms that differ in their origin alone are called by it ("training on self responses"), as in a study that names no
arms; arms that differ in anything else by the names that the study gives them ("arm step_dpo").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.comparison.cell import Arm
from tasks.comparison.phrasing import listed


@dataclass(frozen=True)
class Wording:
    """What arms are called in sentences."""

    by_name: bool

    @property
    def kind(self) -> str:
        """What the things are that are compared."""
        return "arm" if self.by_name else "origin"

    def training(self, arm: str) -> str:
        """The beginning of a sentence about what training did."""
        return f"Arm {arm}" if self.by_name else f"Training on {self.responses(arm)}"

    def rival(self, arm: str) -> str:
        """What stands after "than" in such a sentence."""
        return f"arm {arm}" if self.by_name else f"on {self.responses(arm)}"

    def responses(self, arm: str) -> str:
        """What an arm trains on."""
        return f"the training responses of arm {arm}" if self.by_name else f"{arm} responses"

    def together(self, arms: Sequence[str]) -> str:
        """Several arms named side by side."""
        return f"arms {listed(arms)}" if self.by_name else f"{listed(arms)} responses"

    def incomplete(self, arms: Sequence[str]) -> str:
        """That these arms lack some of what they are measured by."""
        what = "adapters" if self.by_name else "arms"
        return f"{what} of {listed(arms)} are missing"


def wording_of(arms: Iterable[Arm]) -> Wording:
    """How to speak of the arms of one student and size."""
    arms = list(arms)
    return Wording(any(arm.arm != arm.origin for arm in arms) or len({arm.method for arm in arms}) > 1)
