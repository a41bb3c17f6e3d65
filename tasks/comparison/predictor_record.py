"""How well a number known before any training would have picked what to train on: the record of a predictor.

A group holds the options one has to choose from, such as the arms of one student on one benchmark, with the accuracy
measured after training on each. Of each predictor, for each group and over all of them:

- Spearman's rank correlation of the predictor's value with accuracy, ties sharing a rank. It has the sign of the values
  as they are: of a predictor whose lower values are said to be better a negative one is in its favour;
- the option that the predictor picks, its accuracy, and the regret: the best option's accuracy less the pick's. Options
  that tie for the pick are drawn with equal chances, so their mean counts;
- beside it chance, the mean of all options, and the best possible, the greatest of them.

Infinite values are values: they rank above or below all others, and tie with each other. An option for which a
predictor has no value (NaN) cannot be picked by it; chance, best and regret are of all options of the group all the
same, so a predictor gains nothing by being silent. Options without an accuracy are none.

The best of several measured accuracies is partly luck, so regrets are above what they would be without noise, for all
predictors alike. Intervals are percentiles of a bootstrap: of a group over the replicates of its accuracies that the
caller hands in (resampled items and seeds); of the mean over groups either over groups drawn anew, whole clusters of
them at a time, or over those replicates with the groups taken as given.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.comparison.bootstrap import RESAMPLES
from tasks.comparison.predictor_groups import Group
from tasks.comparison.statistics import CONFIDENCE, UNDEFINED, Estimate

if TYPE_CHECKING:
    import numpy as np

FEWEST = 4
"""Options with a value and an accuracy below which a group has no rank correlation."""
DEFINED = 0.9
"""Share of resamplings in which a number must be defined, for its interval to be."""
TIE = 1e-12
"""Accuracies that differ by less are the same: sums of the same numbers in another order."""


@dataclass(frozen=True)
class GroupRecord:
    """What a predictor said of one group and what came of it.

    `pick` are the options it picks (several tie), `best` those of the greatest accuracy; `without_value` those that it
    has no value for, `infinite` those whose value is infinite. NaN where the group has fewer than two options with a
    value.
    """

    group: Hashable
    options: int
    pick: tuple[str, ...]
    best: tuple[str, ...]
    without_value: tuple[str, ...]
    infinite: tuple[str, ...]
    correlation: Estimate
    accuracy: Estimate
    regret: Estimate
    chance: float
    best_accuracy: float

    @property
    def right(self) -> float:
        """The chance that the pick is an option of the greatest accuracy, 0 to 1."""
        return sum(each in self.best for each in self.pick) / len(self.pick) if self.pick else math.nan


@dataclass(frozen=True)
class PredictorRecord:
    """A predictor over groups: means over those of `groups` in which it picks (`picks` of them), and, for the
    correlation, in which there is one (`ranked` of them).

    `above_chance` is the accuracy of its picks less chance; `right` the share of picks that are the best option;
    `against` its regret less that of the baseline, on the groups in which both pick: below zero it picks better.
    """

    predictor: str
    higher_is_better: bool
    groups: tuple[GroupRecord, ...]
    ranked: int
    picks: int
    correlation: Estimate
    accuracy: Estimate
    regret: Estimate
    above_chance: Estimate
    chance: float
    best: float
    right: float
    against: Estimate = UNDEFINED


def records(
    groups: Sequence[Group],
    higher_is_better: Mapping[str, bool],
    baseline: str | None = None,
    over_groups: bool = True,
    fewest: int = FEWEST,
) -> list[PredictorRecord]:
    """The record of each predictor, in the order of `higher_is_better`.

    Args:
        higher_is_better: by predictor, whether it picks the option of its greatest value.
        baseline: the predictor that `against` is measured from.
        over_groups: means over groups get intervals by groups drawn anew; else by the groups' replicates.
        fewest: options below which a group has no correlation.
    """
    groups = [group.with_accuracy() for group in groups]
    mean = GroupMean.of(groups, over_groups)
    series = {
        name: [_series(group, name, higher, fewest) for group in groups] for name, higher in higher_is_better.items()
    }
    found = []
    for name, higher in higher_is_better.items():
        record = _over_all(name, higher, series[name], mean)
        if baseline in series and baseline != name:
            pairs = zip(series[name], series[str(baseline)], strict=True)
            record = replace(record, against=mean([one.regret - other.regret for one, other in pairs]))
        found.append(record)
    return found


@dataclass(frozen=True)
class _Series:
    """What a predictor comes to in one group: each number as measured, and after it in each resampling."""

    record: GroupRecord
    correlation: np.ndarray
    accuracy: np.ndarray
    regret: np.ndarray
    chance: np.ndarray


@dataclass(frozen=True)
class GroupMean:
    """The mean over groups of series, one for each group, with its interval.

    `draws` says how often each group is drawn in each resampling of clusters, (resamplings, groups); None: the groups
    are taken as given, and the series' own resamplings make the interval.
    """

    draws: np.ndarray | None

    @classmethod
    def of(cls, groups: Sequence[Group], over_groups: bool) -> GroupMean:
        """Of n clusters n - 1 are drawn at a time, which makes the bootstrap variance unbiased (Rao and Wu 1988)."""
        import numpy as np

        if not over_groups:
            return cls(None)
        clusters = [(0, group.name) if group.cluster is None else (1, group.cluster) for group in groups]
        numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
        count = len(numbers)
        if count < 2:
            return cls(np.zeros((0, len(groups)), dtype=np.int64))
        drawn = np.random.default_rng(0).multinomial(count - 1, np.full(count, 1 / count), size=RESAMPLES)
        return cls(drawn[:, [numbers[cluster] for cluster in clusters]])

    def ratio(self, parts: Sequence[float], wholes: Sequence[float]) -> Estimate:
        """The sum of `parts` over that of `wholes`, one of each for each group, with groups drawn anew."""
        import numpy as np

        part, whole = np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)
        draws = np.zeros((0, len(part))) if self.draws is None else self.draws
        with np.errstate(invalid="ignore", divide="ignore"):
            resampled = (draws @ part) / (draws @ whole)
            value = float(part.sum() / whole.sum())
        return _estimate(value, resampled, int((whole > 0).sum()))

    def __call__(self, series: Sequence[np.ndarray]) -> Estimate:
        import numpy as np

        measured = np.array([each[0] for each in series], dtype=np.float64)
        known = ~np.isnan(measured)
        if not known.any():
            return UNDEFINED
        value = float(measured[known].mean())
        if self.draws is None:
            inside = [each[1:] for each, counts in zip(series, known, strict=True) if counts]
            resampled = np.mean(inside, axis=0) if len({len(each) for each in inside}) == 1 else np.zeros(0)
        else:
            drawn = self.draws[:, known]
            with np.errstate(invalid="ignore", divide="ignore"):
                resampled = (drawn @ measured[known]) / drawn.sum(axis=1)
        return _estimate(value, resampled, int(known.sum()))


def _series(group: Group, predictor: str, higher: bool, fewest: int) -> _Series:
    import numpy as np

    values = group.values.get(predictor, np.full(len(group.options), math.nan))
    has_value = ~np.isnan(values)
    accuracies = group.accuracies[None, :]
    if group.replicates is not None:
        accuracies = np.vstack([accuracies, group.replicates])
    undefined = np.full(len(accuracies), math.nan)
    chance, best = (accuracies.mean(axis=1), accuracies.max(axis=1)) if group.options else (undefined, undefined)
    correlation = spearman(values[has_value], accuracies[:, has_value]) if has_value.sum() >= fewest else undefined
    picked = np.zeros(len(values), dtype=bool)
    accuracy = regret = undefined
    if has_value.sum() >= 2:
        wanted = values[has_value].max() if higher else values[has_value].min()
        picked = values == wanted
        accuracy = accuracies[:, picked].mean(axis=1)
        regret = np.maximum(best - accuracy, 0.0)
    record = GroupRecord(
        group=group.name,
        options=len(group.options),
        pick=_named(group, picked),
        best=_named(group, group.accuracies >= best[0] - TIE),
        without_value=_named(group, ~has_value),
        infinite=_named(group, np.isinf(values)),
        correlation=_estimate(float(correlation[0]), correlation[1:], int(has_value.sum())),
        accuracy=_estimate(float(accuracy[0]), accuracy[1:], int(has_value.sum())),
        regret=_estimate(float(regret[0]), regret[1:], int(has_value.sum())),
        chance=float(chance[0]),
        best_accuracy=float(best[0]),
    )
    return _Series(record, correlation, accuracy, regret, chance)


def _named(group: Group, chosen: np.ndarray) -> tuple[str, ...]:
    return tuple(option for option, counts in zip(group.options, chosen, strict=True) if counts)


def _over_all(predictor: str, higher: bool, series: Sequence[_Series], mean: GroupMean) -> PredictorRecord:
    picks = [each.record for each in series if each.record.pick]
    return PredictorRecord(
        predictor=predictor,
        higher_is_better=higher,
        groups=tuple(each.record for each in series),
        ranked=sum(not math.isnan(each.record.correlation.value) for each in series),
        picks=len(picks),
        correlation=mean([each.correlation for each in series]),
        accuracy=mean([each.accuracy for each in series]),
        regret=mean([each.regret for each in series]),
        above_chance=mean([each.accuracy - each.chance for each in series]),
        chance=_plain_mean([each.chance for each in picks]),
        best=_plain_mean([each.best_accuracy for each in picks]),
        right=_plain_mean([each.right for each in picks]),
    )


def _plain_mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else math.nan


def spearman(values: np.ndarray, accuracies: np.ndarray) -> np.ndarray:
    """Spearman's coefficient of `values` (options,) with each row of `accuracies` (rows, options), ties sharing a rank;
    NaN in rows where either is constant or an accuracy is NaN. Infinite values are ranked."""
    import numpy as np
    from scipy.stats import rankdata

    one = rankdata(values)
    one = one - one.mean()
    rounded = np.round(accuracies, 12)
    other = rankdata(rounded, axis=1, nan_policy="propagate")
    other = other - other.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.sqrt((one**2).sum() * (other**2).sum(axis=1))
        return np.asarray(np.where(size > 1e-9, np.clip((other @ one) / size, -1, 1), math.nan))


def _estimate(value: float, resampled: np.ndarray, items: int) -> Estimate:
    """The number with the percentiles of its resamplings. Resampling adds noise once more, which draws a correlation
    towards zero and a regret upwards: the interval always takes in the number itself."""
    import numpy as np

    defined = resampled[~np.isnan(resampled)]
    if math.isnan(value) or not len(resampled) or len(defined) < DEFINED * len(resampled):
        return Estimate(value, items=items)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(value, min(value, float(low)), max(value, float(high)), items=items)
