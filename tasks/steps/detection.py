"""How well a low advantage finds the steps that were put into responses: the area under the ROC curve."""

import math
from collections.abc import Sequence
from typing import NamedTuple

RESAMPLES = 1_000
TAIL = 0.025


class Found(NamedTuple):
    """The advantages of one response's steps."""

    spurious: float
    others: list[float]


def detection(found: Sequence[Found]) -> tuple[float, float, float]:
    """The chance that a spurious step has a lower advantage than another step of any response, half a tie counted, and
    its 95 % interval: percentiles over resampled responses, whose steps stay together. NaN without responses or steps
    to tell from; an interval needs two responses."""
    import numpy as np

    counted = [one for one in found if one.others]
    if not counted:
        return math.nan, math.nan, math.nan
    levels = np.unique([value for one in counted for value in (one.spurious, *one.others)])
    spurious, others = np.zeros((2, len(counted), len(levels)))
    for place, one in enumerate(counted):
        spurious[place, np.searchsorted(levels, one.spurious)] = 1
        np.add.at(others[place], np.searchsorted(levels, one.others), 1)
    n = len(counted)
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES) if n > 1 else np.zeros((0, n))
    # How many there are at each level, rising: of the responses as they are, then of each resampling.
    weights = np.vstack([np.ones(n), drawn])
    of_spurious, of_others = weights @ spurious, weights @ others
    at_most = of_others.cumsum(axis=1)
    above = at_most[:, -1:] - at_most
    areas = (of_spurious * (above + of_others / 2)).sum(axis=1) / (of_spurious.sum(axis=1) * at_most[:, -1])
    value = float(areas[0])
    if n < 2:
        return value, math.nan, math.nan
    low, high = np.quantile(areas[1:], [TAIL, 1 - TAIL])
    return value, min(value, float(low)), max(value, float(high))
