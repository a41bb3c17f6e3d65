"""Arm elimination: which arms of a study need no more training, from how they do on fewer training questions.

After each look at all arms that are left, at one size, an arm's chance of being best at the full size is the share of
draws in which it comes out first. A draw has three parts:

1. Questions are resampled, the same ones for all arms and sizes, so that arms are paired (tasks/comparison/bootstrap.py);
   what an arm's training seeds add is drawn from the t distribution of their variance (seed_variance.py). With one seed
   that variance is not known, and SPREAD stands for it.
2. What arms gain on each other from here to the full size is not known yet. It is drawn from a normal distribution whose
   standard deviation is `drift` times the number of doublings: learning curves of language models cross (Viering and
   Loog 2021, arXiv 2103.10948), and two that are straight in the logarithm of the size part in proportion to it.
3. `drift` itself is drawn from a scaled inverse chi-squared distribution: that of published studies (DRIFT, which counts
   for PRIOR arms), and, from the second look on, what the arms of this study gained on each other between two looks, less
   the noise of that.

Scores are compared on the scale arcsin √score, on which noise and gains are much the same near 0, 1/2 and 1.

Arms are dropped in the order of their chances, the smallest first, as long as the chances of all that were dropped sum
to no more than the look's part of ERROR, which is the same for every look (a linear spending function, as Lan and DeMets
1983 spend an error rate over looks). That sum is the probability that one of them is the best, so it bounds how often
the best arm is dropped as far as the three parts describe a study. How often it is in simulated studies: docs/pilot.md
and tests/bench/elimination.py. Dropping arms by their chance of being best finds the best one more often than dropping
them by p-values does (Berry et al., "Effects of allocation method and time trends on identification of the best arm in
multi-arm trials", 2023); to halve the arms at each size (Jamieson and Talwalkar 2016, arXiv 1502.07943) bounds the cost
and not the error.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tasks.comparison.bootstrap import Bootstrap
from tasks.comparison.power import SPREAD
from tasks.comparison.statistics import NEGLIGIBLE, Term

if TYPE_CHECKING:
    import numpy as np

ERROR = 0.05
"""How often the best arm may be dropped, over all looks together."""
DRIFT = 0.05
"""Standard deviation of what an arm gains on the others in a doubling of the training questions, in arcsin √score."""
PRIOR = 4.0
"""How many arms' gains DRIFT counts for."""


@dataclass(frozen=True)
class Look:
    """Scores of arms at one size. `scores` has for each arm the measured score and then one of each draw,
    (1 + draws,); a draw's number means the same resampling for all arms and looks of a study."""

    size: int
    scores: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Decision:
    """What is dropped after a look.

    `chances` are those of being best at the full size of all arms that were looked at; `dropped` those that go no
    further, smallest chance first; `spent` the summed chances of all that were dropped so far.
    """

    size: int
    chances: Mapping[str, float]
    dropped: tuple[str, ...]
    spent: float


def look(bootstrap: Bootstrap, size: int, terms: Mapping[str, Sequence[Term]]) -> Look:
    """The scores of arms at one size.

    Args:
        terms: by arm, its scores on the benchmarks that it is trained on; none of an arm without any, which is left out.
    """
    found = {name: _scores(bootstrap, of_arm) for name, of_arm in terms.items()}
    return Look(size, {name: scores for name, scores in found.items() if scores is not None})


def _scores(bootstrap: Bootstrap, terms: Sequence[Term]) -> np.ndarray | None:
    """The measured score of an arm and one of each draw, (1 + draws,); None where nothing was measured."""
    import numpy as np
    from scipy.special import stdtrit

    measured = bootstrap.measured
    if (parts := measured.parts(terms)) is None:
        return None
    found = np.full(bootstrap.resamples, parts.value)
    for on, part in parts.by_item.items():
        if len(part) > 1:
            found += (bootstrap.draws(on, len(part)) @ part) * (len(part) / (len(part) - 1))
    for arm, weights in parts.weights.items():
        chance = bootstrap.uniform(("seeds", arm))
        seeds = measured.seeds.part(arm, weights)
        if len(measured.seeds.contributions(arm, weights)) < 2:
            found += stdtrit(math.inf, chance) * SPREAD
        elif seeds.variance > NEGLIGIBLE:
            found += stdtrit(seeds.variance**2 / seeds.doubt, chance) * math.sqrt(seeds.variance)
    return np.concatenate([[parts.value], found])


def decide(
    bootstrap: Bootstrap,
    looks: Sequence[Look],
    full: int,
    part: float,
    spent: float = 0.0,
    protected: Collection[str] = (),
) -> Decision:
    """Which arms of the last look to drop.

    Args:
        looks: all so far, of rising sizes.
        full: the size at which the best arm is sought.
        part: the part of ERROR that may be spent up to this look, this one included, from 0 to 1.
        spent: what earlier looks have spent.
        protected: arms that are not dropped, whatever their chance.
    """
    found = chances(bootstrap, looks, full)
    ranked = sorted(found, key=lambda name: (found[name], name))
    dropped: list[str] = []
    for name in ranked[:-1]:
        if name in protected:
            continue
        if spent + found[name] > ERROR * part:
            break
        spent += found[name]
        dropped.append(name)
    return Decision(looks[-1].size, found, tuple(dropped), spent)


def chances(bootstrap: Bootstrap, looks: Sequence[Look], full: int) -> dict[str, float]:
    """Each arm's chance of being best at the full size, of those in the last look; they sum to 1."""
    import numpy as np
    from scipy.special import ndtri

    last = looks[-1]
    names = sorted(last.scores)
    doublings = math.log2(full / last.size)
    drift = _drift(bootstrap, looks)
    then = np.array(
        [
            _scaled(last.scores[name][1:]) + doublings * drift * ndtri(bootstrap.uniform(("drift", name)))
            for name in names
        ]
    )
    first = then == then.max(axis=0)
    shares = (first / first.sum(axis=0)).mean(axis=1)
    return {name: float(share) for name, share in zip(names, shares, strict=True)}


def _drift(bootstrap: Bootstrap, looks: Sequence[Look]) -> np.ndarray:
    """Standard deviation of what an arm gains on the others in a doubling, one of each draw, (draws,)."""
    import numpy as np
    from scipy.special import chdtri

    weight, total = PRIOR, PRIOR * DRIFT**2
    for before, after in pairwise(looks):
        names = sorted(before.scores.keys() & after.scores.keys())
        if len(names) < 2:
            continue
        gains = np.array([_scaled(after.scores[name]) - _scaled(before.scores[name]) for name in names])
        gains -= gains.mean(axis=0)
        freedom = len(names) - 1
        noise = float(gains[:, 1:].var(axis=1).sum()) / freedom
        found = float((gains[:, 0] ** 2).sum()) / freedom
        weight += freedom
        total += freedom * max(0.0, found - noise) / math.log2(after.size / before.size) ** 2
    return np.sqrt(total / chdtri(weight, bootstrap.uniform("drift")))


def _scaled(scores: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.asarray(np.arcsin(np.sqrt(np.clip(scores, 0.0, 1.0))))
