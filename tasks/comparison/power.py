"""What difference a study can tell, before it has run: the least that it would show in 80 of 100 such studies.

Drawn from the variance that tasks/comparison/statistics.py estimates, with values assumed for its parts. How near that
comes to what simulated studies show: tests/bench/inference.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.comparison.cell import Arm
from tasks.comparison.claim import SIGNIFICANCE
from tasks.comparison.wording import wording_of

if TYPE_CHECKING:
    import numpy as np

POWER = 0.8
NOISE = 0.16
"""Variance of one answer's score around its chance of being right: p (1 - p) for chances of 20 or 80 %."""
SPREAD = 0.05
"""Standard deviation over training seeds of an arm's score on one benchmark; half its variance on all at once."""
DRAWS = 2000


@dataclass(frozen=True)
class Design:
    """What of a study decides how small a difference between two of its arms it tells.

    `items` are the evaluation questions of each training benchmark's arms: in domain one count, on other benchmarks a
    count for each.
    """

    items: tuple[tuple[int, ...], ...]
    seeds: int
    arms: int = 2
    claims: int = 1
    """Claims among which p-values are adjusted."""

    def detectable(self) -> float:
        """The least difference, as a share, that is shown with 80 % power; NaN where there is nothing to compare.

        For one claim, or for the smallest p-value among several (Holm's first step). With one seed, of items alone.
        """
        from scipy.optimize import brentq
        from scipy.special import ndtr

        if not self.items or not all(self.items) or min(map(min, self.items)) < 2:
            return math.nan
        spread, critical = self._drawn()
        return float(brentq(lambda size: ndtr((size - critical) / spread).mean() - POWER, 0, 1000 * spread + 1000))

    def _drawn(self) -> tuple[float, np.ndarray]:
        """The true standard deviation of a difference, and in each of many studies how large it must be found to be."""
        import numpy as np
        from scipy.special import stdtrit

        trained = len(self.items)
        weight = 1 / trained
        of_items = [(weight / len(c)) ** 2 * 2 * NOISE / (self.seeds * n) for c in self.items for n in c]
        doubt = sum(part**2 / (n - 1) for part, n in zip(of_items, (n for c in self.items for n in c), strict=True))
        variance = np.full(DRAWS, sum(of_items))
        true = sum(of_items)
        if self.seeds > 1:
            degrees = self.seeds - 1
            seeds = np.array([(weight * SPREAD) ** 2 * (1 + 1 / len(c)) / 2 / self.seeds for c in self.items])
            noise = np.array([sum((weight / len(c)) ** 2 * NOISE / (self.seeds * n) for n in c) for c in self.items])
            true += 2 * float(seeds.sum())
            chances = np.random.default_rng(0).chisquare(degrees, (DRAWS, max(2, self.arms), trained)) / degrees
            found = chances * (seeds + noise)
            own = np.maximum(0, found - noise)
            least = np.maximum(np.median(own, axis=(1, 2), keepdims=True), own.mean(axis=2, keepdims=True))
            own, found, least = (each[:, :2] for each in (own, found, np.broadcast_to(least, own.shape)))
            variance += np.maximum(own, least).sum(axis=(1, 2))
            borrowed = np.where(own < least, least**2 / (trained * degrees), 0.0)
            doubt = doubt + np.maximum(borrowed, found**2 / degrees).sum(axis=(1, 2))
        return math.sqrt(true), stdtrit(variance**2 / doubt, 1 - SIGNIFICANCE / self.claims / 2) * np.sqrt(variance)


def claims_of(arms: Sequence[Arm], elsewhere: bool) -> int:
    """How many claims a study makes of arms that compete with each other (tasks/comparison/claim.py).

    Args:
        arms: those of one student, training benchmark and size; those of one origin are taken to train on the same
            responses.
        elsewhere: whether any of them answers a benchmark that it was not trained on.
    """
    pairs = len(arms) * (len(arms) - 1) // 2
    origins = len({arm.origin for arm in arms})
    pooled = int(any(arm.arm == "human" for arm in arms) and len(arms) > 2 and not wording_of(arms).by_name)
    return origins * (origins - 1) // 2 + (1 + elsewhere) * (pairs + pooled + len(arms))
