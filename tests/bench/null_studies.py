"""Studies drawn from a model whose truth is known, and how often what they find is false.

Answers are right with a chance whose logit adds up from the arm's level, the question's difficulty (the same for all
arms) and the luck of the training seed. Half of the luck's variance is a seed's own on all benchmarks, half its own on
each. `spread` is the standard deviation over seeds of an arm's accuracy on one benchmark.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from scipy import optimize, stats
from scipy.special import expit

from tasks.comparison.arms import Arms
from tasks.comparison.cell import Arm
from tasks.comparison.claim import Claim, claims, judged
from tasks.comparison.peers import peers
from tasks.comparison.statistics import Estimate, Measured, Term
from tasks.comparison.tables import summary

STUDENT, METHOD = "student", "sft"
DIFFICULTY = 1.5
"""Standard deviation of questions' difficulty, in logits."""
GRID = np.linspace(-4, 4, 81)
WEIGHTS = stats.norm.pdf(GRID) / stats.norm.pdf(GRID).sum()


def by_luck(level: float, luck: float) -> np.ndarray:
    """Accuracy over all questions, for each luck of the grid."""
    logits = level + DIFFICULTY * GRID[None, :] + luck * GRID[:, None]
    return np.asarray(expit(logits) @ WEIGHTS)


def accuracy(level: float, luck: float) -> float:
    """Expected accuracy over questions and seeds."""
    return float(by_luck(level, luck) @ WEIGHTS)


def spread_of(level: float, luck: float) -> float:
    """Standard deviation over seeds of the accuracy over all questions."""
    return math.sqrt(float(WEIGHTS @ (by_luck(level, luck) - accuracy(level, luck)) ** 2))


@lru_cache
def solved(expected: float, spread: float) -> tuple[float, float]:
    """Level and luck, in logits, that give this accuracy and this spread over seeds."""

    def level_for(luck: float) -> float:
        return float(optimize.brentq(lambda level: accuracy(level, luck) - expected, -30, 30))

    if spread == 0:
        return level_for(0.0), 0.0
    luck = float(optimize.brentq(lambda luck: spread_of(level_for(luck), luck) - spread, 0, 15))
    return level_for(luck), luck


@dataclass(frozen=True)
class Regime:
    """A kind of study. Accuracies and spreads are shares, by arm; `base` is the untrained model's accuracy, `methods`
    those of arms that are not trained by `METHOD`."""

    accuracies: Mapping[str, float]
    spreads: Mapping[str, float]
    base: float
    items: int = 100
    seeds: int = 3
    trained: int = 2
    evaluated: int = 6
    methods: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def arms(self) -> list[Arm]:
        return [
            Arm(STUDENT, f"b{t}", arm, arm, self.methods.get(arm, METHOD))
            for arm in self.accuracies
            for t in range(self.trained)
        ]

    def draw(self, rng: np.random.Generator) -> Measured:
        """One study's scores."""
        scores: dict[tuple[Arm, str], np.ndarray] = {}
        difficulty = rng.normal(0, DIFFICULTY, (self.evaluated, self.items))
        level, _ = solved(self.base, 0.0)
        for on in range(self.evaluated):
            right = rng.random((1, self.items)) < expit(level + difficulty[on])
            scores[self.arms[0].untrained, f"b{on}"] = right.astype(float)
        for arm in self.arms:
            level, luck = solved(self.accuracies[arm.origin], self.spreads[arm.origin])
            everywhere = rng.normal(0, luck * math.sqrt(0.5), (self.seeds, 1))
            for on in range(self.evaluated):
                lucks = everywhere + rng.normal(0, luck * math.sqrt(0.5), (self.seeds, 1))
                right = rng.random((self.seeds, self.items)) < expit(level + difficulty[on] + lucks)
                scores[arm, f"b{on}"] = right.astype(float)
        return Measured(scores, peers=peers(scores))

    def compared(self, measured: Measured) -> Arms:
        return Arms(measured, Measured({}), self.arms, [f"b{on}" for on in range(self.evaluated)])

    def truth(self, claim: Claim) -> float:
        """The true value of a claim's difference."""
        if claim.kind in ("gain", "loss"):
            return (self.accuracies[claim.first] - self.base) * (1 if claim.kind == "gain" else -1)
        return self.mean_of(claim.first) - self.mean_of(claim.second)

    def mean_of(self, side: str) -> float:
        """Accuracy of an origin, or of all but `human` taken together."""
        if side in self.accuracies:
            return self.accuracies[side]
        return float(np.mean([value for origin, value in self.accuracies.items() if origin != "human"]))


def uniform(expected: float, spread: float) -> Regime:
    """No origin differs from another or from no training."""
    origins = ("self", "teacher", "human")
    return Regime(dict.fromkeys(origins, expected), dict.fromkeys(origins, spread), expected)


@dataclass
class Rates:
    """What was seen over many studies."""

    studies: int = 0
    false_claims: int = 0
    """Studies with at least one claim that holds, or whose opposite does, though nothing differs."""
    false_cells: int = 0
    """Studies with at least one cell of the training × evaluation table whose adjusted p-value is below 5 %."""
    single: tuple[int, int] = (0, 0)
    """Intervals of one arm's score on one benchmark that cover the truth, of how many."""
    pooled: tuple[int, int] = (0, 0)
    """The same of one origin's score over the training benchmarks."""
    differences: tuple[int, int] = (0, 0)
    shown: int = 0
    """Studies that show self to be better than human in domain, among all claims."""
    shown_alone: int = 0
    """The same where that is the only claim."""


def simulate(regime: Regime, studies: int, seed: int = 0) -> Rates:
    """Draw studies of a regime and judge each as `compare` does."""
    gc.freeze()  # statsmodels collects garbage at each adjustment of p-values: nine tenths of the time without this
    rng = np.random.default_rng(seed)
    rates = Rates(studies)
    for _ in range(studies):
        measured = regime.draw(rng)
        arms = regime.compared(measured)
        made = [claim for claim in claims(arms, "accuracy") if claim.kind != "perplexity"]
        found = judged(made)
        rates.false_claims += any(
            claim.status in ("holds", "does not hold") and abs(regime.truth(claim)) < 1e-9 for claim in found
        )
        better = next((c for c in found if c.kind == "in_domain" and {c.first, c.second} == {"self", "human"}), None)
        if better is not None:
            rates.shown += better.status == ("holds" if better.first == "self" else "does not hold")
            rates.shown_alone += better.estimate.p < 0.05 and regime.truth(better) * better.estimate.value > 0
        table = summary(measured, regime.arms, list(arms.benchmarks))
        rates.false_cells += bool((table["p_holm"] < 0.05).any())
        for claim in found:
            rates.differences = _counted(rates.differences, claim.estimate, regime.truth(claim))
        for origin, expected in regime.accuracies.items():
            rates.pooled = _counted(rates.pooled, arms.standing(origin, arms.trained).score, expected)
            for arm in regime.arms:
                if arm.origin == origin:
                    rates.single = _counted(rates.single, measured.estimate([Term(arm, "b0")]), expected)
    return rates


def _counted(so_far: tuple[int, int], estimate: Estimate, truth: float) -> tuple[int, int]:
    return so_far[0] + (estimate.low <= truth <= estimate.high), so_far[1] + 1
