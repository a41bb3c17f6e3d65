"""How much of a predictor's record is left where options differ by more than noise.

Where accuracies differ by noise alone, nothing known beforehand can tell which comes out best, and regret is luck.
Noise is what the replicates of a group's accuracies vary (resampled seeds and items), paired as they are:

- a group's options differ by more than noise where the hypothesis that all have the same accuracy is refuted at 5 %:
  Hotelling's statistic of their differences under the replicates' covariance, against what it is of the replicates
  around their own mean. It is not adjusted for the number of groups, since it only sorts them;
- two options differ by more than noise where their difference is beyond 1.96 standard deviations of its replicates. Of
  such pairs, the share counts that a predictor orders as their accuracies are; a pair with equal values counts half,
  and one of which it lacks a value not at all. A coin has 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.comparison.predictor_groups import Group
from tasks.comparison.predictor_record import GroupMean, PredictorRecord, records
from tasks.comparison.statistics import UNDEFINED, Estimate

if TYPE_CHECKING:
    import numpy as np

LEVEL = 0.05
BEYOND = 1.959963984540054
SMALLEST = 1e-12
"""A variance below which a difference has no noise."""


@dataclass(frozen=True)
class BeyondNoise:
    """A predictor where options differ by more than noise, beside where they do not.

    `apart` and `alike` are its records over the groups of each kind; `ordered` the share of pairs that it orders right,
    over `pairs` of them.
    """

    predictor: str
    apart: PredictorRecord
    alike: PredictorRecord
    ordered: Estimate
    pairs: int


def differ(group: Group) -> bool | None:
    """Whether a group's options differ by more than noise; None where nothing is known of the noise."""
    import numpy as np

    group = group.with_accuracy()
    if group.replicates is None or len(group.options) < 2 or len(_defined(group.replicates)) < 2:
        return None
    differences = group.accuracies[1:] - group.accuracies[0]
    replicates = _defined(group.replicates)
    drawn = replicates[:, 1:] - replicates[:, :1]
    drawn = drawn - drawn.mean(axis=0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(drawn, rowvar=False)))
    varied = values > max(SMALLEST, 1e-9 * float(values.max()))
    along = vectors.T @ differences
    if (np.abs(along[~varied]) > 1e-9).any():  # a difference that has no noise at all
        return True
    if not varied.any():
        return False
    statistic = float((along[varied] ** 2 / values[varied]).sum())
    by_noise = ((drawn @ vectors[:, varied]) ** 2 / values[varied]).sum(axis=1)
    return bool((1 + (by_noise >= statistic).sum()) / (1 + len(by_noise)) < LEVEL)


def beyond_noise(
    groups: Sequence[Group], higher_is_better: Mapping[str, bool], over_groups: bool = True
) -> list[BeyondNoise]:
    """Each predictor over the groups of which the noise is known; empty where there are none."""
    verdicts = [(group.with_accuracy(), differ(group)) for group in groups]
    apart = [group for group, verdict in verdicts if verdict]
    alike = [group for group, verdict in verdicts if verdict is False]
    known = [group for group, verdict in verdicts if verdict is not None]
    if not known:
        return []
    mean = GroupMean.of(known, over_groups=True)
    both = zip(
        records(apart, higher_is_better, over_groups=over_groups),
        records(alike, higher_is_better, over_groups=over_groups),
        strict=True,
    )
    found = []
    for (name, higher), (one, other) in zip(higher_is_better.items(), both, strict=True):
        counts = [_ordered(group, name, higher) for group in known]
        right, pairs = [each[0] for each in counts], [each[1] for each in counts]
        share = mean.ratio(right, pairs) if sum(pairs) else UNDEFINED
        found.append(BeyondNoise(name, one, other, share, sum(pairs)))
    return found


def _ordered(group: Group, predictor: str, higher: bool) -> tuple[float, int]:
    """Of the pairs that differ by more than noise: how many it orders right, and of how many it has values."""
    import numpy as np

    assert group.replicates is not None
    replicates = _defined(group.replicates)
    values = group.values.get(predictor, np.full(len(group.options), math.nan))
    right, pairs = 0.0, 0
    for one in range(len(values)):
        for other in range(one):
            difference = group.accuracies[one] - group.accuracies[other]
            noise = float((replicates[:, one] - replicates[:, other]).std(ddof=1))
            if abs(difference) <= max(BEYOND * noise, SMALLEST) or math.isnan(values[one]) or math.isnan(values[other]):
                continue
            pairs += 1
            if values[one] == values[other]:
                right += 0.5
            else:
                right += ((values[one] > values[other]) == higher) == (difference > 0)
    return right, pairs


def _defined(replicates: np.ndarray) -> np.ndarray:
    """The resamplings in which every option has an accuracy."""
    import numpy as np

    return replicates[~np.isnan(replicates).any(axis=1)]
