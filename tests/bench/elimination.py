"""How often a pilot drops the best arm, and what it costs: simulated studies whose truth is known.

    python -m tests.bench.elimination                  # 1,000 studies of each kind: about 15 minutes of one core
    python -m tests.bench.elimination --studies 100

A study takes the arms of one group of `learning_curves.csv`, which were measured together, some of them left out at
random, bends and moves their curves a little, so that no two studies are alike, and draws answers from them: a question
is as hard for all arms, and a training seed is lucky or not. The best arm is the one with the highest expected score at
the full size, were it ahead by a thousandth of a point. Arms are dropped by the rule that pilots use
(tasks/comparison/elimination.py). The whole study trains all arms at all sizes with all seeds; the costs are shares of
that. "Same arm": the arm that scores highest in the whole study is the one that scores highest in the pilot. "Same
verdict": the whole study does not show the arm that the pilot names to be behind another (tasks/comparison/claim.py).
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from tasks.comparison.arms import Arms
from tasks.comparison.bootstrap import Bootstrap
from tasks.comparison.cell import Arm
from tasks.comparison.claim import HOLDS, REFUTED, claims, judged
from tasks.comparison.elimination import decide
from tasks.comparison.peers import peers
from tasks.comparison.scaling import in_domain
from tasks.comparison.statistics import Measured
from tests.bench.null_studies import DIFFICULTY, WEIGHTS, by_luck

CURVES = Path(__file__).with_name("learning_curves.csv")
ON = "benchmark"
LEVELS = np.linspace(-9, 9, 181)
BEND = 0.4
"""Standard deviation of the logarithm of the power that bends an arm's curve."""
MOVE = 0.02
"""Standard deviation of how far a curve is moved, and its last point once more, in arcsin √score."""
LUCK = (0.0, 0.4)
"""Least and greatest standard deviation of a seed's luck, in logits; 0.4 is about 7 points at a score of one half."""
EVALUATION = 0.15
"""What an evaluation of an arm costs, as a share of its training at the full size."""


@dataclass(frozen=True)
class World:
    """Learning curves that were measured: by group, scores of arms × `measured` sizes; and the shape of its studies.

    `sizes` rise, the full one last. Those of a study that names no sizes are the pilot's own (`own`), but for the last.
    """

    name: str
    groups: tuple[np.ndarray, ...]
    measured: tuple[int, ...]
    sizes: tuple[int, ...]
    own: bool = False
    seeds: int = 3
    items: int = 200
    fewest: int = 3
    move: float = MOVE


@dataclass
class Drawn:
    """A simulated study: the expected score of each arm at the full size, and what was measured of all, by arm and
    size."""

    world: World
    truth: dict[str, float]
    scores: dict[tuple[Arm, str], np.ndarray]

    def price(self, size: int) -> float:
        """Cost of an arm at a size with one seed."""
        return size / self.world.sizes[-1] + EVALUATION

    @property
    def study_sizes(self) -> tuple[int, ...]:
        return self.world.sizes[-1:] if self.world.own else self.world.sizes


@dataclass(frozen=True)
class Piloted:
    """What came of a pilot. `cost` is a share of the whole study's, `regret` by how much the best arm of those left
    falls short of the best of all, in expected score."""

    dropped_best: bool
    regret: float
    arms: int
    left: int
    cost: float
    same_arm: bool
    same_verdict: bool
    false_claim: bool
    """In a world without differences: whether its verdict shows one of the arms left to be behind another."""


def worlds() -> dict[str, tuple[np.ndarray, ...]]:
    """The measured curves: by world, an array of arms × sizes for each group."""
    found: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    with CURVES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["world"]][row["group"]].append([float(score) for score in row["scores"].split()])
    return {world: tuple(np.array(arms) for arms in groups.values()) for world, groups in found.items()}


CURVES_OF = worlds()
PUBLISHED = World("published", CURVES_OF["published"], (100, 1000), (125, 250, 500, 1000))
NULL = World("no difference", (), (100, 1000), (125, 250, 500, 1000), move=0.0, fewest=8)
ABACUS = World("abacus", CURVES_OF["abacus"], (30, 60, 120, 240), (30, 60, 120, 240), fewest=6)


def named(arm: str, size: int) -> Arm:
    """What a simulated arm is called at a size."""
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
    share = (np.log(world.sizes) - at[0]) / (at[-1] - at[0])
    bent = at[0] + (at[-1] - at[0]) * np.array([share ** math.exp(rng.normal(0, BEND)) for _ in curves])
    angles = np.array([np.interp(places, at, curve) for places, curve in zip(bent, curves, strict=True)])
    angles += rng.normal(0, world.move, (count, 1))
    angles[:, -1] += rng.normal(0, world.move, count)
    chances = np.clip(np.sin(np.clip(angles, 0, math.pi / 2)) ** 2, 0.005, 0.99)
    luck = round(float(rng.uniform(*LUCK)), 1)
    difficulty = rng.normal(0, DIFFICULTY, world.items)
    scores: dict[tuple[Arm, str], np.ndarray] = {}
    for number, of_arm in enumerate(chances):
        for size, chance in zip(world.sizes, of_arm, strict=True):
            level = float(np.interp(chance, expected(luck), LEVELS))
            logits = level + difficulty + rng.normal(0, luck, (world.seeds, 1))
            right = rng.random((world.seeds, world.items)) < 1 / (1 + np.exp(-logits))
            scores[named(f"arm{number:02d}", size), ON] = right.astype(float)
    return Drawn(world, {f"arm{number:02d}": float(of_arm[-1]) for number, of_arm in enumerate(chances)}, scores)


def pilot(study: Drawn, first: int, draws: dict[object, np.ndarray], margin: float = 0.0) -> Piloted:
    """Look at a study's arms with one seed at its size number `first`, then at the full size, a seed more at each look;
    train those that are left whole.

    Args:
        draws: the bootstrap's, which are the same for all studies of one shape.
    """
    full, seeds = study.world.sizes[-1], study.world.seeds
    rungs = [(study.world.sizes[first], 1), *((full, count) for count in range(1, seeds))]
    left, seen = sorted(study.truth), dict[tuple[str, int], int]()
    risk = 0.0
    for number, (size, count) in enumerate(rungs, start=1):
        seen |= {(arm, size): count for arm in left}
        scores = {(named(arm, size), ON): study.scores[named(arm, size), ON][:count] for arm in left}
        sample = Measured(scores, peers=peers(scores))
        arms = Arms(sample, Measured({}), [arm for arm, _ in scores], [ON])
        terms = {name: in_domain(arms, name, [ON]) for name in left}
        bootstrap = Bootstrap(sample)
        bootstrap._draws = draws
        found = decide(bootstrap, terms, math.log2(full / size), number / len(rungs), risk, margin)
        risk = found.risk
        left = [arm for arm in left if arm not in found.dropped]
        if len(left) == 1:
            break
    seen |= {(arm, size): seeds for arm in left for size in study.study_sizes}
    cost = sum(count * study.price(size) for (_, size), count in seen.items())
    whole = len(study.truth) * seeds * sum(study.price(size) for size in study.study_sizes)
    best = max(study.truth, key=lambda arm: study.truth[arm])
    measured = {arm: float(study.scores[named(arm, full), ON].mean()) for arm in study.truth}
    regret = study.truth[best] - max(study.truth[arm] for arm in left)
    highest, named_first = (max(among, key=lambda arm: measured[arm]) for among in (measured, left))
    return Piloted(
        *(best not in left, regret, len(study.truth), len(left), cost / whole, highest in left),
        same_verdict=highest in left or named_first not in behind(study, highest, list(measured)),
        false_claim=world_is_null(study.world) and bool(behind(study, named_first, left)),
    )


def world_is_null(world: World) -> bool:
    """Whether no arm is better than another in this world."""
    return not world.move and all((group == group[0]).all() for group in world.groups)


def behind(study: Drawn, highest: str, among: Sequence[str]) -> set[str]:
    """The arms that a verdict on some arms at the full size shows to be behind the one that scores highest."""
    full = study.world.sizes[-1]
    scores = {key: found for key, found in study.scores.items() if key[0].size == full and key[0].arm in among}
    arms = Arms(Measured(scores, peers=peers(scores)), Measured({}), [arm for arm, _ in scores], [ON])
    made = [claim for claim in judged(claims(arms, "accuracy")) if claim.kind == "in_domain"]
    worse = {claim.second for claim in made if claim.first == highest and claim.status == HOLDS}
    return worse | {claim.first for claim in made if claim.second == highest and claim.status == REFUTED}


def pilots(world: World, studies: int, first: int, margin: float = 0.0, seed: int = 20261128) -> list[Piloted]:
    """Pilots of simulated studies."""
    rng, draws = np.random.default_rng(seed), dict[object, np.ndarray]()
    return [pilot(draw(world, rng), first, draws, margin) for _ in range(studies)]


def line(world: World, first: int, margin: float, found: Sequence[Piloted]) -> str:
    """A kind of study as a row of the table."""
    costs = np.array([one.cost for one in found])
    shares = (
        np.mean([one.dropped_best for one in found]),
        *(np.mean([one.regret > points / 100 for one in found]) for points in (1, 2, 5)),
        np.mean([one.same_arm for one in found]),
        np.mean([one.same_verdict for one in found]),
    )
    left = f"{np.mean([one.left for one in found]):.1f} of {np.mean([one.arms for one in found]):.1f}"
    sizes = "its own" if world.own else "the study's"
    return (
        f"| {world.name} | {sizes} | {world.seeds} | {world.sizes[first]} of {world.sizes[-1]} | {100 * margin:g} | "
        + " | ".join(f"{100 * share:.1f}" for share in shares)
        + f" | {left} | {100 * costs.mean():.0f} | {100 * np.mean(costs <= 1 / 3):.0f} |"
    )


def kinds() -> Iterator[tuple[World, int, float]]:
    """The kinds of studies in the table: world, number of the first look's size, margin."""
    for world in (PUBLISHED, ABACUS):
        for first in (0, 1, 2):
            yield world, first, 0.0
        yield replace(world, own=True), 1, 0.0
        yield replace(world, seeds=5), 1, 0.0
        for margin in (0.02, 0.05):
            yield world, 1, margin
            yield replace(world, seeds=5), 1, margin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000, help="studies of each kind")
    studies = parser.parse_args().studies
    print(
        "| studies | sizes | seeds | first look | margin, points | best arm dropped, % | by more than 1 point | 2 "
        "| 5 | same arm, % | same verdict, % | arms left | cost, % | a third or less, % |"
    )
    print("|" + "---|" * 14)
    for world, first, margin in kinds():
        print(line(world, first, margin, pilots(world, studies, first, margin)), flush=True)
    for score in (0.6, 0.9):
        found = pilots(replace(NULL, groups=(np.full((8, 2), score),)), studies, 1)
        print(
            f"8 arms that are all right on {100 * score:g} %: {np.mean([one.left for one in found]):.1f} are left, and "
            f"{100 * np.mean([one.false_claim for one in found]):.1f} % of verdicts show one to be behind the first",
            flush=True,
        )


if __name__ == "__main__":
    main()
