"""Paired statistics over items and seeds: every arm is measured on the same items, so that differences are paired.

A contrast is a weighted sum of terms, each the mean over items of one arm's score, or of one arm's minus another's.
Items and the seeds of each arm are both taken as random, crossed with each other (Owen 2007, "The pigeonhole
bootstrap"), so its variance has a part for the items of each benchmark and one for the seeds of each arm:

- what items add is estimated from the items' contributions, seeds averaged;
- what seeds add from the seeds' contributions, less the noise of single answers, which is in the items' part already
  (as in a two-way analysis of variance);
- a few seeds can agree by luck, so an arm's part is no less than those of arms like it
  (tasks/comparison/seed_variance.py). Without seeds, as the untrained model is, an arm has no such part.

Interval and p-value come from the same variance and degrees of freedom (t distribution, Satterthwaite 1946), so that
they agree. The mean of single arms' scores, which lies between two limits, gets Wilson's interval (1927) with the
number of items that would have this variance. With one seed an interval and a p-value speak of the items alone. How
often the intervals cover and how often a claim is false by chance: tests/bench/inference.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tasks.comparison.seed_variance import Peer, SeedVariance, no_peers
from tasks.comparison.variance import Component, complete, variance_of_sum

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE = 0.95
NEGLIGIBLE = 1e-18
"""A variance that is rounding error."""


@dataclass(frozen=True)
class Estimate:
    """A number, its 95 % interval, the p-value of "it is zero" and how many items it stands on. NaN where undefined."""

    value: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    items: int = 0

    @property
    def above(self) -> bool:
        return self.low > 0

    @property
    def below(self) -> bool:
        return self.high < 0


UNDEFINED = Estimate(math.nan)


@dataclass(frozen=True)
class Term:
    """`weight` × mean over the items of benchmark `on` of arm `plus`, less arm `minus` on the items both have."""

    plus: Hashable
    on: str
    minus: Hashable | None = None
    weight: float = 1.0


@dataclass
class Parts:
    """A contrast taken apart: by benchmark what each item adds to it, as it is (`effects`) and around the mean
    (`by_item`); by arm the weight of its score on each benchmark (`weights`)."""

    effects: dict[str, np.ndarray] = field(default_factory=dict)
    by_item: dict[str, np.ndarray] = field(default_factory=dict)
    weights: dict[Hashable, dict[str, float]] = field(default_factory=dict)

    @property
    def value(self) -> float:
        return float(sum(effect.sum() for effect in self.effects.values()))

    @property
    def items(self) -> int:
        return sum(len(effect) for effect in self.effects.values())


@dataclass
class Measured:
    """Scores of arms on benchmarks, and what can be said of contrasts among them.

    `scores[arm, benchmark]` is an array of seeds × items with NaN for what is missing; columns are the same items for
    all arms of a benchmark, rows the same seeds for all benchmarks of an arm. `limits` are the least and greatest score
    there can be. `peers` gives the peers of an arm on some benchmarks.
    """

    scores: Mapping[Any, np.ndarray]
    limits: tuple[float, float] = (0.0, 1.0)
    peers: Callable[[Any, Collection[str]], Sequence[Peer]] = no_peers

    @cached_property
    def seeds(self) -> SeedVariance:
        """What training seeds add to the variance of these scores."""
        return SeedVariance(self.scores, self.peers)

    def has(self, arm: Hashable, on: str) -> bool:
        """Whether the arm has any score on the benchmark."""
        import numpy as np

        return (arm, on) in self.scores and bool((~np.isnan(self.scores[arm, on])).any())

    def estimate(self, terms: Iterable[Term]) -> Estimate:
        """Value, interval and p-value of a contrast; undefined when it has no term or a term has no items.

        There is no p-value where a term is a single arm's score: that it is zero is nothing to test.
        """
        from scipy.special import stdtr, stdtrit

        terms = list(terms)
        parts = self.parts(terms)
        if parts is None:
            return UNDEFINED
        value, paired = parts.value, all(term.minus is not None for term in terms)
        if min(len(part) for part in parts.by_item.values()) < 2:
            return Estimate(value, items=parts.items)
        components = self.components(parts)
        variance = sum(component.variance for component in components)
        if variance < NEGLIGIBLE:
            return self._without_variance(value, parts.items, terms, paired)
        freedom = variance**2 / sum(component.doubt for component in components)
        width = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(variance)
        least, most = self._reach(terms)
        if paired or not math.isfinite(most - least):
            p = float(2 * stdtr(freedom, -abs(value) / math.sqrt(variance))) if paired else math.nan
            return Estimate(value, max(least, value - width), min(most, value + width), p, parts.items)
        low, high = wilson((value - least) / (most - least), width / (most - least))
        return Estimate(value, least + low * (most - least), least + high * (most - least), items=parts.items)

    def parts(self, terms: Sequence[Term]) -> Parts | None:
        """A contrast taken apart; None when it has no term or a term has no items."""
        import numpy as np

        parts = Parts()
        for term in terms:
            kept = self._items(term)
            if not kept.any():
                return None
            difference = np.zeros(int(kept.sum()))
            for arm, sign in ((term.plus, 1.0), (term.minus, -1.0)):
                if arm is None:
                    continue
                difference += sign * complete(self.scores[arm, term.on][:, kept])[1].mean(axis=0)
                weights = parts.weights.setdefault(arm, {})
                weights[term.on] = weights.get(term.on, 0.0) + sign * term.weight
            share = term.weight / len(difference)
            parts.effects.setdefault(term.on, np.zeros(len(kept)))[kept] += share * difference
            by_item = parts.by_item.setdefault(term.on, np.zeros(len(kept)))
            by_item[kept] += share * (difference - difference.mean())
        return parts if terms else None

    def components(self, parts: Parts) -> list[Component]:
        """What items and seeds add to a contrast's variance."""
        found = []
        for part in parts.by_item.values():
            if len(part) > 1:
                variance = variance_of_sum(part)
                found.append(Component(variance, variance**2 / (len(part) - 1)))
        return found + [self.seeds.part(arm, weights) for arm, weights in parts.weights.items()]

    def _items(self, term: Term) -> np.ndarray:
        """Which items of the term's benchmark all its arms have."""
        import numpy as np

        arms = [arm for arm in (term.plus, term.minus) if arm is not None]
        if not all((arm, term.on) in self.scores for arm in arms):
            return np.zeros(1, dtype=bool)
        return np.logical_and.reduce([(~np.isnan(self.scores[arm, term.on])).any(axis=0) for arm in arms])

    def _without_variance(self, value: float, items: int, terms: Sequence[Term], paired: bool) -> Estimate:
        """Where all items and seeds agree: bounds of Clopper and Pearson (1934) on what none of the items showed, and
        the sign test."""
        least, most = self._reach(terms)
        unseen = 1 - ((1 - CONFIDENCE) / 2) ** (1 / items)
        reach = (value - least, most - value) if math.isfinite(most - least) else (0.0, 0.0)
        p = (1.0 if value == 0 else 2.0 ** (1 - items)) if paired else math.nan
        return Estimate(value, value - unseen * reach[0], value + unseen * reach[1], p, items)

    def _reach(self, terms: Sequence[Term]) -> tuple[float, float]:
        """The least and greatest value a contrast can take."""
        width = self.limits[1] - self.limits[0]
        ends = [(-width, width) if term.minus is not None else self.limits for term in terms]
        pairs = [sorted((term.weight * low, term.weight * high)) for term, (low, high) in zip(terms, ends, strict=True)]
        return sum(low for low, _ in pairs), sum(high for _, high in pairs)


def wilson(share: float, width: float) -> tuple[float, float]:
    """Wilson's interval (1927) around a share whose symmetric interval would reach `width` to both sides.

    The variance is taken to be proportional to share × (1 - share), as that of a mean of right and wrong answers is.
    """
    spread = share * (1 - share)
    if spread <= 0:
        return max(0.0, share - width), min(1.0, share + width)
    z = width**2 / spread
    middle, half = (share + z / 2) / (1 + z), math.sqrt(z * spread + z**2 / 4) / (1 + z)
    return max(0.0, middle - half), min(1.0, middle + half)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment over one family; NaN stays NaN and does not count."""
    import numpy as np
    from statsmodels.stats.multitest import multipletests

    given = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(given), math.nan)
    known = ~np.isnan(given)
    if known.any():
        adjusted[known] = multipletests(given[known], method="holm")[1]
    return [float(p) for p in adjusted]
