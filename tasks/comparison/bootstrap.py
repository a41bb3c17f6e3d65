"""Bootstrap over items and seeds, for functions of several contrasts that have no formula (rank correlations).

Items of each benchmark, and the seeds of each arm, are drawn crosswise (Owen 2007) and the same for every contrast. One
fewer is drawn than there are of each, which makes the bootstrap variance unbiased (Rao and Wu 1988). What an arm's
seeds add is scaled to its part of the variance (tasks/comparison/seed_variance.py), which holds no noise of single
answers twice.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.comparison.statistics import NEGLIGIBLE, Measured, Term
from tasks.comparison.variance import variance_of_sum

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 2000


@dataclass
class Bootstrap:
    """Contrasts among measured arms in each of `resamples` resamplings."""

    measured: Measured
    resamples: int = RESAMPLES
    _draws: dict[object, np.ndarray] = field(default_factory=dict)

    def draws(self, what: Hashable, count: int) -> np.ndarray:
        """How often each of `count` items or seeds is drawn, resamples × count; the same for every use of `what`."""
        import numpy as np

        if (what, count) not in self._draws:
            drawing = generator((what, count))
            drawn = drawing.multinomial(max(1, count - 1), np.full(count, 1 / count), size=self.resamples)
            self._draws[what, count] = drawn.astype(np.float32)
        return self._draws[what, count]

    def uniform(self, what: Hashable) -> np.ndarray:
        """A number from 0 to 1 for each resampling, (resamples,); the same for every use of `what`."""
        return generator(what).random(self.resamples)

    def replicates(self, terms: Sequence[Term]) -> np.ndarray:
        """A contrast in each resampling, (resamples,), NaN where it is undefined."""
        import numpy as np

        parts = self.measured.parts(terms)
        if parts is None:
            return np.full(self.resamples, math.nan)
        found = np.full(self.resamples, parts.value)
        for on, part in parts.by_item.items():
            if len(part) > 1:
                found += self._drawn(on, part) * (len(part) / (len(part) - 1))
        for arm, weights in parts.weights.items():
            part = self.measured.seeds.contributions(arm, weights)
            variance = variance_of_sum(part) if len(part) > 1 else 0.0
            if variance > NEGLIGIBLE:
                scale = math.sqrt(self.measured.seeds.part(arm, weights).variance / variance)
                found += self._drawn(arm, part) * (len(part) / (len(part) - 1) * scale)
        return found

    def _drawn(self, what: Hashable, part: np.ndarray) -> np.ndarray:
        """Sums of what is drawn. In float32, as the draws are: to copy them would take longer than to add them up."""
        import numpy as np

        return np.asarray(self.draws(what, len(part)) @ part.astype(np.float32), dtype=np.float64)


def generator(what: Hashable) -> np.random.Generator:
    """A generator of random numbers for one use, the same in every process."""
    import numpy as np

    name = hashlib.sha256(repr(what).encode()).digest()
    return np.random.default_rng(int.from_bytes(name[:8], "big"))
