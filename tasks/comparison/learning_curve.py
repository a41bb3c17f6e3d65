"""An arm's error over its number of training questions, read backwards: with how many it has a given error.

Everything is worked out on the measured errors and, side by side, on those of each resampling
(tasks/comparison/bootstrap.py): a row a draw, the measured errors first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tasks.comparison.statistics import CONFIDENCE

if TYPE_CHECKING:
    import numpy as np

SAME = 1e-12
"""Errors that differ by less are the same but for rounding."""


@dataclass(frozen=True)
class LearningCurve:
    """Errors of one arm by number of training questions.

    `sizes` rise, (sizes,); `errors` are shares from 0 to 1, (draws, sizes). `least` is the smallest error that a power
    law, which has no zero, is fitted to and asked of: smaller ones are taken for it.
    """

    sizes: np.ndarray
    errors: np.ndarray
    least: float

    def interpolated(self, errors: np.ndarray) -> np.ndarray:
        """Logarithm of the fewest questions that give each draw its error, (draws,).

        Errors are made not to rise with the size (isotonic regression by pooling adjacent violators), and between two
        sizes are linear in the logarithm of the size. Minus infinity for an error above that at the smallest size, plus
        infinity for one below that at the largest: there was nothing measured.
        """
        import numpy as np

        reached = self._falling <= errors[:, None] + SAME
        draws, first = np.arange(len(errors)), reached.argmax(axis=1)
        before = np.maximum(first - 1, 0)
        above, below = self._falling[draws, before], self._falling[draws, first]
        logs = np.log(self.sizes)
        drop = np.where(above > below, above - below, 1.0)
        share = np.clip((above - errors) / drop, 0.0, 1.0)
        found = logs[before] + share * (logs[first] - logs[before])
        found[(first == 0) & (errors > below + SAME)] = -math.inf
        found[~reached.any(axis=1)] = math.inf
        return found

    def by_power_law(self, errors: np.ndarray) -> np.ndarray:
        """Logarithm of the size at which the fitted c·size^-alpha is each draw's error, (draws,); NaN without a fit and
        where alpha is not above zero."""
        import numpy as np

        if len(self.sizes) < 2:
            return np.full(len(errors), math.nan)
        logs = np.log(self.sizes)
        at_mean = np.log(np.maximum(self.errors, self.least)).mean(axis=1)
        alpha = np.where(self.alpha > SAME, self.alpha, math.nan)
        return np.asarray(logs.mean() + (at_mean - np.log(np.maximum(errors, self.least))) / alpha)

    @cached_property
    def alpha(self) -> np.ndarray:
        """How fast each draw's error falls: minus the slope of log error over log size by least squares, (draws,)."""
        import numpy as np

        if len(self.sizes) < 2:
            return np.full(len(self.errors), math.nan)
        logs = np.log(self.sizes) - np.log(self.sizes).mean()
        return np.asarray(-(np.log(np.maximum(self.errors, self.least)) @ logs) / (logs @ logs))

    @cached_property
    def _falling(self) -> np.ndarray:
        import numpy as np
        from scipy.optimize import isotonic_regression

        falling = self.errors.copy()
        for draw in np.flatnonzero((np.diff(falling) > 0).any(axis=1)):
            falling[draw] = isotonic_regression(falling[draw], increasing=False).x
        return falling


def percentile_interval(draws: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of a number, of which the first draw is the measured one, which it always takes in.

    A resampling in which the number is undefined (NaN) could have given any: it counts as minus infinity for the lower
    end and as infinity for the upper one.
    """
    import numpy as np

    value, resampled = float(draws[0]), draws[1:]
    if math.isnan(value):
        return math.nan, math.nan
    tail = int((1 - CONFIDENCE) / 2 * (len(resampled) + 1)) - 1
    low = np.sort(np.where(np.isnan(resampled), -math.inf, resampled))[tail]
    high = np.sort(np.where(np.isnan(resampled), math.inf, resampled))[-1 - tail]
    return min(value, float(low)), max(value, float(high))
