"""How often a pilot drops the best arm, and what it saves: simulated studies whose truth is known.

    python -m tests.bench.elimination                 # 1,000 studies of each world: about 10 minutes of one core
    python -m tests.bench.elimination --studies 100

A world is a set of learning curves as they were measured: of each group of arms that competed, the score of every arm at
several sizes. A study takes the arms of one group, some of them left out at random, bends their curves and moves them by
a little, so that no two studies are alike, and draws answers from them: a question is as hard for every arm, and a
training seed is lucky or not. The best arm is the one with the highest expected score at the full size, were it ahead by
a hundredth of a point. It is looked at with the real rule (tasks/comparison/elimination.py), a size at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tasks.comparison.arms import Arms
from tasks.comparison.bootstrap import Bootstrap
from tasks.comparison.cell import Arm
from tasks.comparison.claim import claims, judged
from tasks.comparison.elimination import Look, decide, look
from tasks.comparison.peers import peers
from tasks.comparison.scaling import in_domain
from tasks.comparison.statistics import Measured
from tests.bench.null_studies import DIFFICULTY, WEIGHTS, by_luck

DATA = Path(__file__).resolve().parent.parent / "data" / "learning_curves.csv"
ON = "benchmark"
LEVELS = np.linspace(-9, 9, 181)
BEND = 0.4
"""Standard deviation of the logarithm of the power that bends an arm's curve."""
MOVE = 0.02
"""Standard deviation of how far a whole curve, and its last point once more, is moved, in arcsin √score."""


@dataclass(frozen=True)
class World:
    """Learning curves of arms that competed: by group, scores of arms × sizes, at `measured` sizes.

    `sizes` are those of the simulated studies; `luck` is the standard deviation of a seed's luck, in logits, of which
    each study has its own, between these two.
    """

    name: str
    measured: tuple[int, ...]
    groups: tuple[np.ndarray, ...]
    sizes: tuple[int, ...]
    luck: tuple[float, float]
    seeds: int = 3
    items: int = 200
    fewest: int = 3
    own: bool = False


@dataclass
class Drawn:
    """One simulated study: expected scores of arms × sizes, and what was measured of them."""

    truth: np.ndarray
    measured: Measured
    arms: tuple[str, ...]
    sizes: tuple[int, ...]
    own: bool = False
    """Whether only the last of the sizes is the study's, and the others the pilot's own."""

    def at(self, arms: Sequence[str], size: int) -> Arms:
        return Arms(self.measured, Measured({}), [named(arm, size) for arm in arms], [ON])


def named(arm: str, size: int) -> Arm:
    return Arm("student", ON, arm, arm, "sft", size)


@lru_cache
def expected(luck: float) -> np.ndarray:
    """Expected score over questions and seeds at each of LEVELS."""
    return np.array([by_luck(level, luck) @ WEIGHTS for level in LEVELS])


def draw(world: World, rng: np.random.Generator) -> Drawn:
    """A study of this world."""
    group = world.groups[rng.integers(len(world.groups))]
    count = int(rng.integers(min(world.fewest, len(group)), len(group) + 1))
    curves = np.arcsin(np.sqrt(group[rng.permutation(len(group))[:count]]))
    at = np.log(world.measured)
    wanted = np.log(world.sizes)
    share = (wanted - at[0]) / (at[-1] - at[0])
    bent = np.array([share ** math.exp(rng.normal(0, BEND)) for _ in range(count)]) * (at[-1] - at[0]) + at[0]
    found = np.array([np.interp(of_arm, at, curve) for of_arm, curve in zip(bent, curves, strict=True)])
    found += rng.normal(0, MOVE, (count, 1))
    found[:, -1] += rng.normal(0, MOVE, count)
    truth = np.clip(np.sin(np.clip(found, 0, math.pi / 2)) ** 2, 0.005, 0.99)
    luck = round(float(rng.uniform(*world.luck)), 1)
    arms = tuple(f"arm{number:02d}" for number in range(count))
    difficulty = rng.normal(0, DIFFICULTY, world.items)
    scores = {}
    for arm, of_arm in zip(arms, truth, strict=True):
        for size, chance in zip(world.sizes, of_arm, strict=True):
            level = np.interp(chance, expected(luck), LEVELS)
            logits = level + difficulty[None, :] + rng.normal(0, luck, (world.seeds, 1))
            right = rng.random((world.seeds, world.items)) < 1 / (1 + np.exp(-logits))
            scores[named(arm, size), ON] = right.astype(float)
    return Drawn(truth, Measured(scores, peers=peers(scores)), arms, world.sizes, world.own)


@dataclass
class Piloted:
    """What came of one pilot. Costs are shares of the full study's."""

    dropped_best: bool
    regret: float
    """By how much the best of the arms that are left falls short of the best of all, in expected score."""
    left: int
    cost: float
    same_arm: bool = True
    """Whether the arm that scores highest in the full study is left, and so is the pilot's too."""
    same_verdict: bool = True
    """Whether the verdict names the same arms as leading."""


def pilot(
    study: Drawn, silent: int = 1, verdicts: bool = False, draws: dict[object, np.ndarray] | None = None
) -> Piloted:
    """Look at a study's arms at each size but the full one, and go on with those that are left; nothing is decided at
    the first `silent` sizes.

    What is left is trained at every size; an arm costs its training questions and, at each size, an evaluation that is
    worth EVALUATION of them.
    """
    bootstrap = Bootstrap(study.measured)
    if draws is not None:
        bootstrap._draws = draws
    left = list(study.arms)
    looks: list[Look] = []
    cost = 0.0
    before = study.sizes[:-1]
    spent = 0.0
    for number, size in enumerate(before, start=1):
        if len(left) == 1:
            break
        cost += len(left) * price(size, study.sizes)
        of_size = study.at(left, size)
        looks.append(look(bootstrap, size, {name: in_domain(of_size, name, [ON]) for name in left}))
        if number <= silent:
            continue
        found = decide(bootstrap, looks, study.sizes[-1], (number - silent) / (len(before) - silent), spent)
        spent = found.spent
        left = [name for name in left if name not in found.dropped]
    seen = {one.size for one in looks}
    cost += len(left) * sum(price(size, study.sizes) for size in study.sizes if size not in seen and not study.own)
    cost += len(left) * price(study.sizes[-1], study.sizes) * study.own
    full = len(study.arms) * sum(price(size, study.sizes) for size in study.sizes if not study.own or size == study.sizes[-1])
    at_end = dict(zip(study.arms, study.truth[:, -1], strict=True))
    best = max(at_end, key=lambda name: at_end[name])
    regret = at_end[best] - max(at_end[name] for name in left)
    measured = {name: study.measured.scores[named(name, study.sizes[-1]), ON].mean() for name in study.arms}
    same_arm = max(measured, key=lambda name: measured[name]) in left
    found_same = not verdicts or leaders(study, study.arms) == leaders(study, left)
    return Piloted(best not in left, regret, len(left), cost / full, same_arm, found_same)


EVALUATION = 0.2
"""What an arm's evaluation costs, as a share of its training at the full size."""


def price(size: int, sizes: Sequence[int]) -> float:
    return size / sizes[-1] + EVALUATION


def leaders(study: Drawn, names: Sequence[str]) -> tuple[str, ...]:
    """Whom the verdict names as leading at the full size."""
    arms = study.at(names, study.sizes[-1])
    standings = sorted((arms.standing(name, [ON]) for name in arms.names), key=lambda s: (-s.score.value, s.arm))
    if len(standings) == 1:
        return (standings[0].arm,)
    # Without the untrained student there is no gain to claim; what is claimed of pairs is what decides who leads.
    made = judged([claim for claim in claims(arms, "accuracy") if claim.kind == "in_domain"])
    known = {name for claim in made if claim.status == "holds" for name in (claim.second,)}
    del known
    return tuple(sorted(headline_leaders(standings[0].arm, made, names)))


def headline_leaders(best: str, made: Sequence, names: Sequence[str]) -> set[str]:
    ahead = {c.second for c in made if c.first == best and c.status == "holds"}
    ahead |= {c.first for c in made if c.second == best and c.status == "does not hold"}
    return set(names) - ahead
