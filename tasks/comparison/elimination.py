"""Arm elimination: which arms of a study need no more training, by how they do with few questions or few seeds.

A pilot looks at the arms that are left several times: with few training questions first, then at the full size, with
one training seed more at each look (as racing adds one instance after the other: Maron and Moore 1994, Birattari et
al. 2002). Scores at the full size are drawn after each look. A draw has three parts:

1. The evaluation questions are resampled, the same ones for all arms, so that arms are paired
   (tasks/comparison/bootstrap.py).
2. What an arm's training seeds add is drawn from the t distribution of its variance
   (tasks/comparison/seed_variance.py). Of one seed that variance is not known; SPREAD is taken for its root.
3. What an arm will gain on the others up to the full size is not known. It is drawn from a t distribution around zero
   that is DRIFT wide for each doubling of the questions and has the heavy tails of FREEDOM degrees of freedom, for
   learning curves cross (Viering and Loog 2021, arXiv 2103.10948), in some studies much more than in others. At the
   full size nothing is left to gain.

Gains are added to arcsin √score, in which noise and gains are much the same near 0, 1/2 and 1.

Arms are dropped in the order of their chances of being best, the smallest first, as long as the risk of that is small:
the share of draws in which one of them is at least as good as all that are left. The risks of all looks so far sum to
no more than ERROR times the part of the looks that have been (a linear spending function: Lan and DeMets 1983), so they
bound how often the best arm is dropped, as far as the three parts describe a study. How often it is in simulated
studies: tests/bench/elimination.py and docs/pilot.md.

To drop arms by their chance of being best finds the best one more often than to drop them by p-values (Berry et al.
2024, doi 10.1080/19466315.2023.2298961). To drop a fixed half of them at each size (Jamieson and Talwalkar 2016, arXiv
1502.07943; Li et al. 2018, arXiv 1603.06560) bounds the cost instead of the error. That a difference below some margin
need not be found is the indifference zone of Bechhofer (1954).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.comparison.bootstrap import Bootstrap
from tasks.comparison.power import SPREAD
from tasks.comparison.statistics import NEGLIGIBLE, Term

if TYPE_CHECKING:
    import numpy as np

ERROR = 0.04
"""The most that the risks of all looks sum to."""
DRIFT = 0.05
"""Width of what an arm gains on the others in a doubling of the training questions, in arcsin √score. Of 58 groups of
arms trained with 100 and with 1,000 questions (Mistral-7B and Llama-3-8B, tests/bench/learning_curves.csv) the standard
deviation is 0.005 to 0.07, in the abacus world 0.05 to 0.3."""
FREEDOM = 2.0
TIED = 1e-9


@dataclass(frozen=True)
class Decision:
    """What is dropped after a look.

    `chances` are those of being best at the full size of all arms that were looked at, and sum to 1; `dropped` the arms
    that go no further, smallest chance first; `risk` the chance that one of those dropped now or before is at least as
    good as all that are left, or better by the margin.
    """

    chances: Mapping[str, float]
    dropped: tuple[str, ...]
    risk: float


def decide(
    bootstrap: Bootstrap,
    terms: Mapping[str, Sequence[Term]],
    doublings: float,
    part: float,
    before: float = 0.0,
    margin: float = 0.0,
    protected: Collection[str] = (),
) -> Decision:
    """Which arms to drop after a look. The one with the largest chance of being best is never among them.

    Args:
        terms: by arm, its score on each benchmark that it is trained on, which all weigh the same. An arm with nothing
            measured is left out.
        doublings: how often the training questions of the look have to be doubled to be those of the full size.
        part: the part of all looks that have been, this one included: above 0, and 1 at the last.
        before: the risk of earlier looks.
        margin: by how much an arm may be better than those that are left, in score, and be dropped all the same.
        protected: arms that are not dropped, whatever their chance.
    """
    import numpy as np

    drawn = at_full_size(bootstrap, terms, doublings)
    if not drawn:
        return Decision({}, (), before)
    names, scores = list(drawn), np.array(list(drawn.values()))
    first = scores == scores.max(axis=0)
    chances = dict(zip(names, map(float, (first / first.sum(axis=0)).mean(axis=1)), strict=True))
    ranked = sorted(names, key=lambda name: (chances[name], name))
    dropped: list[str] = []
    risk = 0.0
    for name in (name for name in ranked[:-1] if name not in protected):
        out = np.isin(names, [*dropped, name])
        more = float((scores[out].max(axis=0) >= scores[~out].max(axis=0) + margin).mean())
        if before + more > ERROR * part:
            break
        dropped.append(name)
        risk = more
    return Decision(chances, tuple(dropped), before + risk)


def at_full_size(bootstrap: Bootstrap, terms: Mapping[str, Sequence[Term]], doublings: float) -> dict[str, np.ndarray]:
    """Draws of each arm's score at the full size, (draws,), by arm in the order of names."""
    import numpy as np
    from scipy.special import stdtrit

    scores = {name: found for name in sorted(terms) if (found := _scores(bootstrap, terms[name])) is not None}
    then: dict[str, np.ndarray] = {}
    for name, found in scores.items():
        inside = np.clip(found, 0.0, 1.0)
        angle = np.arcsin(np.sqrt(inside)) + (found - inside)
        if doublings > 0:
            angle += DRIFT * doublings * stdtrit(FREEDOM, bootstrap.uniform(("gain", name)))
        # Of two that reach an end of the scale, the one that went further stays ahead.
        then[name] = np.sin(np.clip(angle, 0.0, math.pi / 2)) ** 2 + TIED * angle
    return then


def _scores(bootstrap: Bootstrap, terms: Sequence[Term]) -> np.ndarray | None:
    """An arm's mean score over its terms in each draw, (draws,); None where nothing was measured."""
    import numpy as np
    from scipy.special import ndtri, stdtrit

    measured = bootstrap.measured
    if (parts := measured.parts([replace(term, weight=1 / len(terms)) for term in terms])) is None:
        return None
    found = np.full(bootstrap.resamples, parts.value)
    for on, part in parts.by_item.items():
        if len(part) > 1:
            found += bootstrap.draws(on, len(part)) @ part.astype(np.float32) * (len(part) / (len(part) - 1))
    for arm, weights in parts.weights.items():
        drawn = bootstrap.uniform(("seeds", arm))
        seeds = measured.seeds.part(arm, weights)
        if len(measured.seeds.contributions(arm, weights)) < 2:
            found += SPREAD * ndtri(drawn)
        elif seeds.variance > NEGLIGIBLE:
            found += math.sqrt(seeds.variance) * stdtrit(seeds.variance**2 / seeds.doubt, drawn)
    return found
