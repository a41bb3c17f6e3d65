"""What training seeds add to the variance of arms' scores.

A few seeds can agree by luck, so an arm's part is taken as no less than the median over it and its peers, arms that are
expected to vary as it does, and no less than the mean over it and its kin, the same arm on other training benchmarks:
some arms vary more than others. Which they are: tasks/comparison/peers.py.

Seeds of different arms are taken to be independent. An arm that starts from another's adapter of the same seed shares
its luck, as arms that are trained on parts of the same responses may; where that makes them rise and fall together, a
difference between them is surer than its interval says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.comparison.variance import Component, complete, noise_of_mean, variance_of_sum

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class SeedScores:
    """How far the mean of each seed of an arm lies from that of all, on one benchmark; NaN for a seed without scores.

    `noise` is the variance that single answers' noise gives the mean over seeds.
    """

    deviations: np.ndarray
    noise: float


@dataclass(frozen=True)
class Peer:
    """An arm whose scores are expected to vary over seeds as much as another's.

    `exchanged` says what the other's benchmarks are for it, where they are not the same. `kin` are the same arm
    elsewhere; only those `counted` are among the peers whose median counts.
    """

    arm: Any
    exchanged: Mapping[str, str]
    kin: bool
    counted: bool = True


def no_peers(arm: Any, on: Collection[str]) -> Sequence[Peer]:
    """For arms of which none is known to vary like another."""
    return ()


@dataclass
class SeedVariance:
    """Variance over seeds of arms' scores, given as arrays of seeds × items by (arm, benchmark), with NaN for what is
    missing; an arm's rows are the same seeds on all benchmarks. `peers` gives those of an arm on some benchmarks."""

    scores: Mapping[Any, np.ndarray]
    peers: Callable[[Any, Collection[str]], Sequence[Peer]] = no_peers
    _scores: dict[Any, SeedScores] = field(default_factory=dict)
    _parts: dict[Any, Component] = field(default_factory=dict)
    _own_parts: dict[Any, Component | None] = field(default_factory=dict)

    def part(self, arm: Hashable, weights: Mapping[str, float]) -> Component:
        """Variance that an arm's seeds give its weighted scores, no less than its peers' and its kin's; zero for an arm
        without several seeds."""
        key = (arm, signless(weights))
        if key not in self._parts:
            self._parts[key] = self._with_peers(arm, weights)
        return self._parts[key]

    def _with_peers(self, arm: Hashable, weights: Mapping[str, float]) -> Component:
        from statistics import fmean, median

        own = self._own(arm, weights)
        if own is None:
            return Component(0.0, 0.0)
        all_known, of_kin = [own.variance], [own.variance]
        kin = 1
        for peer in self.peers(arm, weights.keys()):
            there = {peer.exchanged.get(on, on): weight for on, weight in weights.items()}
            other = self._own(peer.arm, there) if all((peer.arm, on) in self.scores for on in there) else None
            if other is not None:
                all_known += [other.variance] * peer.counted
                of_kin += [other.variance] * peer.kin
                kin += peer.kin and peer.counted
        least = max(median(all_known), fmean(of_kin))
        if own.variance >= least:
            return own
        seeds = len(self.contributions(arm, weights))
        return Component(least, max(own.doubt, least**2 / (kin * (seeds - 1))))

    def _own(self, arm: Hashable, weights: Mapping[str, float]) -> Component | None:
        """The same from the arm's own seeds alone; None for an arm without several."""
        key = (arm, signless(weights))
        if key not in self._own_parts:
            contributions = self.contributions(arm, weights)
            found = None
            if len(contributions) > 1:
                with_noise = variance_of_sum(contributions)
                noise = sum(weight**2 * self._of(arm, on).noise for on, weight in weights.items())
                doubt = with_noise**2 / (len(contributions) - 1)
                found = Component(max(0.0, with_noise - noise), doubt)
            self._own_parts[key] = found
        return self._own_parts[key]

    def contributions(self, arm: Hashable, weights: Mapping[str, float]) -> np.ndarray:
        """What each seed that has a score adds to the arm's weighted scores, around their mean: (seeds,)."""
        import numpy as np

        deviations = np.array([weight * self._of(arm, on).deviations for on, weight in weights.items()])
        counts = (~np.isnan(deviations)).sum(axis=1, keepdims=True)
        scored = ~np.isnan(deviations).all(axis=0)
        return np.asarray(np.nansum(deviations / counts, axis=0)[scored])

    def _of(self, arm: Hashable, on: str) -> SeedScores:
        import numpy as np

        if (arm, on) not in self._scores:
            scores = self.scores[arm, on]
            items = (~np.isnan(scores)).any(axis=0)
            seeds, values = complete(scores[:, items])
            deviations = np.full(len(seeds), math.nan)
            deviations[seeds] = values.mean(axis=1) - values.mean()
            self._scores[arm, on] = SeedScores(deviations, noise_of_mean(values))
        return self._scores[arm, on]


def signless(weights: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Weights in order, the same for weights that differ in sign alone: what seeds add to the variance does not."""
    ordered = sorted(weights.items())
    sign = math.copysign(1.0, ordered[0][1])
    return tuple((on, sign * weight) for on, weight in ordered)
