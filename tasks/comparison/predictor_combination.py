"""What a learned combination of predictors adds to the best of them, on groups that it has not seen.

The combination is linear in ranks: within each group the options are ranked by each predictor, from worst to best as
the predictor is meant, and by accuracy, ranks spread evenly around 0 and ties sharing one; a predictor without a value
for an option, or that is constant, says 0. Ridge regression of the accuracy's ranks on the predictors' gives the
weights; its penalty is the one of `PENALTIES` that orders best when each cluster of the training groups is left out in
turn. It is tested on the groups left out, never on those it learnt from, beside

- `single`: the one predictor that has the highest mean rank correlation, as it is meant, over all groups, those tested
  on too. Chosen with hindsight it is better than it would have been, so what a combination adds to it is no less than
  said (chosen without each fold it would be worse than it is: of two alike, the one wins that is bad on the fold);
- `usual`: the option that came out best in the training groups, by its mean rank of accuracy there, whatever the
  predictors say. An option that does not occur there has rank 0.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.comparison.predictor_groups import Group
from tasks.comparison.predictor_record import GroupMean, PredictorRecord, records, spearman
from tasks.comparison.statistics import Estimate

if TYPE_CHECKING:
    import numpy as np

PENALTIES = (0.1, 1.0, 10.0, 100.0)
FEWEST_GROUPS = 6
"""Groups without which nothing is learnt from the rest."""
COMBINED, SINGLE, USUAL = "combination", "best single predictor", "usual option"


@dataclass(frozen=True)
class Combination:
    """What was learnt with some groups left out, tested on those.

    `more` is the mean rank correlation of the combination less that of the single predictor, `regret_less` its regret
    less the single one's (below zero: it picks better); `weights` are those learnt from all groups.
    """

    left_out: str
    folds: int
    combined: PredictorRecord
    single_name: str
    single: PredictorRecord
    usual: PredictorRecord
    more: Estimate
    regret_less: Estimate
    weights: Mapping[str, float]


@dataclass(frozen=True)
class _Learnt:
    """Weights by predictor, and each option's mean rank of accuracy."""

    weights: np.ndarray
    usual: Mapping[str, float] = field(default_factory=dict)


def combination(
    groups: Sequence[Group], higher_is_better: Mapping[str, bool], folds: Sequence[Hashable], left_out: str
) -> Combination | None:
    """The combination tested with each fold of the groups left out in turn; None where there is too little to learn
    from.

    Args:
        folds: what is left out together, for each group, such as its student.
        left_out: what a fold is, in a word.
    """
    import numpy as np

    kept = [(group.with_accuracy(), fold) for group, fold in zip(groups, folds, strict=True)]
    kept = [(group, fold) for group, fold in kept if len(group.options) > 1]
    groups, folds = [group for group, _ in kept], [fold for _, fold in kept]
    names = list(dict.fromkeys(folds))
    if len(names) < 2 or min(sum(fold != name for fold in folds) for name in names) < FEWEST_GROUPS:
        return None
    prepared = [_Ranked.of(group, higher_is_better) for group in groups]
    tested: list[Group] = []
    best = _best_single(prepared)
    for name in names:
        learnt = _learn([each for each, fold in zip(prepared, folds, strict=True) if fold != name])
        tested += [each.judged(learnt, best) for each, fold in zip(prepared, folds, strict=True) if fold == name]
    combined, single, usual = records(tested, dict.fromkeys((COMBINED, SINGLE, USUAL), True))
    mean = GroupMean.of(tested, over_groups=True)
    pairs = list(zip(combined.groups, single.groups, strict=True))
    return Combination(
        left_out=left_out,
        folds=len(names),
        combined=combined,
        single_name=list(higher_is_better)[best],
        single=single,
        usual=usual,
        more=mean([np.array([one.correlation.value - other.correlation.value]) for one, other in pairs]),
        regret_less=mean([np.array([one.regret.value - other.regret.value]) for one, other in pairs]),
        weights=dict(zip(higher_is_better, _learn(prepared).weights.tolist(), strict=True)),
    )


@dataclass(frozen=True)
class _Ranked:
    """A group's ranks: of each predictor, (options, predictors), and of accuracy, (options,)."""

    group: Group
    predictors: np.ndarray
    accuracy: np.ndarray

    @classmethod
    def of(cls, group: Group, higher_is_better: Mapping[str, bool]) -> _Ranked:
        import numpy as np

        missing = np.full(len(group.options), math.nan)
        columns = [
            _ranks(group.values.get(name, missing) * (1 if higher else -1)) for name, higher in higher_is_better.items()
        ]
        return cls(group, np.column_stack(columns), _ranks(np.round(group.accuracies, 12)))

    def judged(self, learnt: _Learnt, best: int) -> Group:
        """The group with what was learnt elsewhere as its predictors, and the one that is the best by itself."""
        import numpy as np

        values = {
            COMBINED: np.round(self.predictors @ learnt.weights, 12),
            SINGLE: self.predictors[:, best],
            USUAL: np.array([learnt.usual.get(option, 0.0) for option in self.group.options]),
        }
        return Group(self.group.name, self.group.options, self.group.accuracies, values, self.group.cluster)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks around 0, from -1/2 to 1/2; 0 for NaN, and for all where they are the same."""
    import numpy as np
    from scipy.stats import rankdata

    found = np.zeros(len(values))
    known = ~np.isnan(values)
    if known.sum() > 1:
        ranks = rankdata(values[known])
        found[known] = (ranks - ranks.mean()) / (len(ranks) - 1)
    return found


def _best_single(groups: Sequence[_Ranked]) -> int:
    """Which predictor orders best by itself, by its place."""
    import numpy as np

    predictors = range(groups[0].predictors.shape[1])
    return int(np.argmax([_mean_correlation([(g.predictors[:, at], g.accuracy) for g in groups]) for at in predictors]))


def _learn(groups: Sequence[_Ranked]) -> _Learnt:
    import numpy as np

    by_penalty = [_left_out_correlation(groups, penalty) for penalty in PENALTIES]
    penalty = PENALTIES[int(np.argmax(by_penalty))]
    seen: dict[str, list[float]] = {}
    for each in groups:
        for option, rank in zip(each.group.options, each.accuracy.tolist(), strict=True):
            seen.setdefault(option, []).append(rank)
    usual = {option: sum(ranks) / len(ranks) for option, ranks in seen.items()}
    return _Learnt(_weights(groups, penalty), usual)


def _weights(groups: Sequence[_Ranked], penalty: float) -> np.ndarray:
    """Ridge regression without an intercept: all ranks are around 0."""
    import numpy as np

    given = np.vstack([each.predictors for each in groups])
    wanted = np.concatenate([each.accuracy for each in groups])
    return np.linalg.solve(given.T @ given + penalty * np.eye(given.shape[1]), given.T @ wanted)


def _left_out_correlation(groups: Sequence[_Ranked], penalty: float) -> float:
    """The mean rank correlation of groups with what was learnt without their cluster."""
    clusters = [each.group.name if each.group.cluster is None else each.group.cluster for each in groups]
    judged = []
    for cluster in dict.fromkeys(clusters):
        others = [each for each, its in zip(groups, clusters, strict=True) if its != cluster]
        if not others:
            return 0.0
        weights = _weights(others, penalty)
        judged += [
            (each.predictors @ weights, each.accuracy)
            for each, its in zip(groups, clusters, strict=True)
            if its == cluster
        ]
    return _mean_correlation(judged)


def _mean_correlation(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """The mean rank correlation, where one is undefined 0: it orders nothing."""
    import numpy as np

    found = [float(spearman(np.round(one, 12), other[None, :])[0]) for one, other in pairs]
    return sum(0.0 if math.isnan(each) else each for each in found) / len(found)
