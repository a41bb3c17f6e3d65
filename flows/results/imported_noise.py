"""How noisy imported accuracies are, as far as their tables tell.

An accuracy's noise has two parts: what runs that differ in their seed alone vary, pooled over the arms of a group (of
the benchmark, or of all, where a group has too few), and the binomial variance of its test items. The first is known by
few runs, so what is drawn for it has a t distribution of as many degrees of freedom. Arms are evaluated on
the same items, so their differences vary less than this says: what is called more than noise is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.config.imported_file import AccuracyTable
from tasks.comparison.bootstrap import RESAMPLES, generator
from tasks.comparison.predictor_groups import Choice

if TYPE_CHECKING:
    import numpy as np

FEWEST_FREEDOM = 4
"""Degrees of freedom below which a group's own variance of seeds is not taken."""

Runs = Mapping[Choice, Mapping[str, list[float]]]
"""Accuracies from 0 to 1 of the runs of each arm of each group."""


@dataclass(frozen=True)
class _Pooled:
    """A variance pooled over arms, and its degrees of freedom."""

    variance: float
    freedom: int


@dataclass
class Noise:
    """How much accuracies vary by seeds and test items."""

    runs: Runs
    asked: AccuracyTable
    unknown: bool = True
    """Whether no variance was known of any."""

    def of(self, choice: Choice) -> np.ndarray | None:
        """The accuracies of a group's arms in each resampling, (resamplings, arms); None: unknown."""
        import numpy as np

        arms = self.runs[choice]
        mean = np.array([sum(runs) / len(runs) for runs in arms.values()])
        seeds, items = self._of_seeds(choice), self.asked.items_of(choice.benchmark)
        if seeds is None and items is None:
            return None
        self.unknown = False
        drawing = generator(("imported", choice))
        drawn = np.tile(mean, (RESAMPLES, 1))
        if seeds is not None:
            doubt = np.sqrt(seeds.freedom / drawing.chisquare(seeds.freedom, (RESAMPLES, 1)))
            deviation = np.sqrt(seeds.variance / np.array([len(runs) for runs in arms.values()]))
            drawn += deviation * doubt * drawing.normal(size=drawn.shape)
        if items is not None:
            drawn += np.sqrt(mean * (1 - mean) / items) * drawing.normal(size=drawn.shape)
        return np.asarray(np.clip(drawn, 0.0, 1.0))

    def _of_seeds(self, choice: Choice) -> _Pooled | None:
        """The variance of one run by its seed, of this group or, where it has too few runs, of a wider circle."""
        circles = (
            [choice],
            [each for each in self.runs if each.benchmark == choice.benchmark],
            list(self.runs),
        )
        for circle in circles:
            runs = [found for each in circle for found in self.runs[each].values()]
            freedom = sum(len(found) - 1 for found in runs)
            if freedom >= FEWEST_FREEDOM:
                squares = sum(sum((run - sum(found) / len(found)) ** 2 for run in found) for found in runs)
                return _Pooled(squares / freedom, freedom)
        return None
