"""Which prefixes of a response are rolled out next, and what the rollouts say: the first pit, or every step's value.

Setlur et al. 2024 (arXiv 2406.14532): the first pit is the first step from which the student does not get the question
right any more. Where rollouts fail from a prefix they fail from all longer ones, so that a binary search finds it, as
in OmegaPRM (Luo et al. 2024, arXiv 2406.06592). `all` looks at every prefix, which values of all steps need.

A prefix fails if all `rollouts` from it fail, so a search asks for FIRST of them and for the others only if these fail:
one right answer settles it. What is decided, and how often wrongly, is the same as if all were made. From a prefix with
the chance v, n rollouts fail together with the probability (1 - v)^n: for v = 0.3 five in 16.8 %, and with 15 `again`,
which the search makes where it would stop, twenty in 0.08 % of cases; for v = 0.1 in 59 and 12.2 %. The rollouts of a
prefix that did not fail end with the first part that has a right one: their share of right ones is no estimate of v.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Where = Literal["pit", "all"]
FIRST = 2
"""Rollouts from a prefix that a search for the pit asks for before the others."""


class Wanted(NamedTuple):
    """Rollouts that are to be made next."""

    prefix: int
    """Steps that the prefix has."""
    made: int
    """Rollouts that there are from it."""
    more: int
    """Rollouts that are wanted beside them."""


@dataclass
class Search:
    """The search in one complete response: asks for rollouts until it knows enough."""

    steps: int
    right: bool
    """Whether the response is correct: what rollouts from its end would come to."""
    where: Where
    rollouts: int
    """From each prefix that is looked at; in the search for the pit, at most so many."""
    again: int
    """More from a prefix from which all failed, before it counts as a failing one in the search for the pit: with a
    chance of 0.3, five fail together in 17 of 100 cases, twenty in 1 of 1,000."""
    made: dict[int, int] = field(default_factory=dict)
    """Rollouts, by the steps of their prefix."""
    correct: dict[int, int] = field(default_factory=dict)
    """Correct ones among them."""

    def add(self, prefix: int, made: int, correct: int) -> None:
        """What rollouts from a prefix came to."""
        self.made[prefix] = self.made.get(prefix, 0) + made
        self.correct[prefix] = self.correct.get(prefix, 0) + correct

    def wanted(self) -> list[Wanted]:
        """What to roll out next; nothing when the search is done."""
        if self.where == "all":
            fresh = [Wanted(prefix, 0, self.rollouts) for prefix in range(self.steps) if prefix not in self.made]
            return fresh or ([] if self.right else self._sure(self._bounds()[1]))
        for prefix, made in self.made.items():
            if made < self.rollouts and not self.correct[prefix]:
                return [Wanted(prefix, made, self.rollouts - made)]
        first = min(FIRST, self.rollouts)
        if 0 not in self.made:
            return [Wanted(0, 0, first)]
        low, high = self._bounds()
        if high - low > 1:
            return [Wanted((low + high) // 2, 0, first)]
        return self._sure(high)

    @property
    def pit(self) -> int | None:
        """The first step (from 0) after which no rollout was correct; None in a correct response, and where none was
        from the beginning, so that no step lost the answer."""
        _, high = self._bounds()
        return None if self.right or not high else high - 1

    def _bounds(self) -> tuple[int, int]:
        """Steps of the longest prefix from which a rollout was correct (-1: there is none), and of the shortest longer
        one from which none was."""
        low = max((prefix for prefix in self.made if self.correct[prefix]), default=-1)
        return low, min([prefix for prefix in self.made if prefix > low] + [self.steps])

    def _sure(self, prefix: int) -> list[Wanted]:
        made = self.made.get(prefix, 0)
        return [Wanted(prefix, made, self.again)] if self.again and 0 < made < self.rollouts + self.again else []
