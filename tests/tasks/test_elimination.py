"""Which arms a pilot drops: chances worked out by hand and by other means, and how often the best arm is dropped."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tasks.comparison.bootstrap import Bootstrap
from tasks.comparison.elimination import DRIFT, ERROR, FREEDOM, Decision, at_full_size, decide
from tasks.comparison.power import SPREAD
from tasks.comparison.statistics import Measured, Term
from tests.bench.elimination import ABACUS, PUBLISHED, World, pilots

STUDIES = 200
ALL = 1.0


def measured(**scores: Sequence[Sequence[float]]) -> tuple[Bootstrap, dict[str, list[Term]]]:
    """Arms with these scores of seeds × questions on one benchmark."""
    found = {(arm, "on"): np.array(rows, dtype=float) for arm, rows in scores.items()}
    return Bootstrap(Measured(found), resamples=20_000), {arm: [Term(arm, "on")] for arm in scores}


def decided(*of: object, **scores: Sequence[Sequence[float]]) -> Decision:
    bootstrap, terms = measured(**scores)
    return decide(bootstrap, terms, *of)  # type: ignore[arg-type]


def level(score: float, questions: int = 50) -> list[list[float]]:
    """One seed with the same score on all questions, so that no question adds to its variance."""
    return [[score] * questions]


def test_with_one_seed_the_spread_that_is_assumed_decides() -> None:
    found = decided(0.0, ALL, good=level(0.6), less_good=level(0.5))
    assert found.chances["less_good"] == pytest.approx(stats.norm.cdf(-0.1 / (SPREAD * math.sqrt(2))), abs=0.005)
    assert found.chances["good"] == pytest.approx(1 - found.chances["less_good"])
    assert found.dropped == ()


def test_fewer_questions_leave_more_to_gain() -> None:
    rng = np.random.default_rng(3)
    drawn = np.arcsin(np.sqrt(np.array([0.7, 0.5])[:, None] + SPREAD * rng.standard_normal((2, 400_000))))
    later = drawn + 3 * DRIFT * rng.standard_t(FREEDOM, drawn.shape)
    found = decided(3.0, ALL, good=level(0.7), less_good=level(0.5))
    assert found.chances["less_good"] == pytest.approx(float((later[1] > later[0]).mean()), abs=0.01)
    chances = [decided(far, ALL, good=level(0.7), less_good=level(0.5)).chances["less_good"] for far in (0, 1, 2, 4)]
    assert chances == sorted(chances)


def test_arms_are_paired_by_question() -> None:
    rng = np.random.default_rng(0)
    easy = rng.random(200) < 0.5
    alike = easy.copy()
    alike[np.flatnonzero(easy)[:20]] = False
    seeds = 4
    elsewhere = rng.permutation(alike)
    good, less_good, other = ([list(map(float, right))] * seeds for right in (easy, alike, elsewhere))
    same_questions = decided(0.0, ALL, good=good, less_good=less_good)
    others = decided(0.0, ALL, good=good, less_good=other)
    assert same_questions.chances["less_good"] == 0.0
    assert others.chances["less_good"] > 0.005


def test_arms_are_dropped_as_long_as_the_risk_is_small() -> None:
    scores = {"best": level(0.9), "bad": level(0.74), "worse": level(0.7), "close": level(0.88)}
    found = decided(0.0, ALL, **scores)
    assert found.dropped == ("worse", "bad")
    assert found.risk <= ERROR
    assert sum(found.chances.values()) == pytest.approx(1.0)
    assert decided(0.0, ALL, ERROR, **scores).dropped == ()  # it was spent before
    nearer = {"best": level(0.9), "bad": level(0.775)}
    chance = decided(0.0, ALL, **nearer).chances["bad"]
    assert ERROR / 2 < chance < ERROR
    assert decided(0.0, ALL, **nearer).dropped == ("bad",)
    assert decided(0.0, ALL, **nearer).risk == pytest.approx(chance)
    assert decided(0.0, 0.5, **nearer).dropped == ()  # of the first of two looks, half may be spent
    assert decided(0.0, ALL, ERROR / 2, **nearer).dropped == ()


def test_the_risk_is_that_any_of_those_dropped_is_the_best() -> None:
    many = {f"bad{number}": level(0.75) for number in range(8)}
    found = decided(0.0, ALL, best=level(0.9), **many)
    bootstrap, terms = measured(best=level(0.9), **many)
    drawn = at_full_size(bootstrap, terms, 0.0)
    out = np.array([drawn[name] for name in found.dropped])
    left = np.array([drawn[name] for name in drawn if name not in found.dropped])
    assert 0 < len(found.dropped) < 8
    assert found.risk == pytest.approx(float((out.max(axis=0) > left.max(axis=0)).mean()))
    assert found.risk == pytest.approx(sum(found.chances[name] for name in found.dropped))


def test_the_best_is_never_dropped_nor_is_what_is_protected() -> None:
    scores = {"best": level(0.9), "kept": level(0.3), "bad": level(0.3)}
    assert decided(0.0, ALL, 0.0, 0.0, ["kept"], **scores).dropped == ("bad",)
    assert decided(0.0, ALL, 0.0, 0.9, **scores).dropped == ("bad", "kept")
    assert decided(0.0, ALL, **{"alone": level(0.3)}) == Decision({"alone": 1.0}, (), 0.0)


def test_arms_that_are_the_same_are_both_kept() -> None:
    right = [[1.0, 0.0] * 20] * 3
    found = decided(0.0, ALL, one=right, other=right, bad=[[0.0] * 40] * 3)
    assert found.chances == {"one": 0.5, "other": 0.5, "bad": 0.0}
    assert found.dropped == ("bad",)


def test_a_margin_drops_arms_that_are_as_good() -> None:
    scores = {"one": level(0.8), "other": level(0.8)}
    assert decided(0.0, ALL, **scores).dropped == ()
    with_margin = decided(0.0, ALL, 0.0, 0.15, **scores)
    assert len(with_margin.dropped) == 1
    assert with_margin.risk == pytest.approx(stats.norm.cdf(-0.15 / (SPREAD * math.sqrt(2))), abs=0.005)


def test_an_arm_that_was_not_measured_is_left_out() -> None:
    bootstrap, terms = measured(best=level(0.9), bad=level(0.2))
    found = decide(bootstrap, terms | {"unknown": [Term("unknown", "on")]}, 0.0, ALL)
    assert set(found.chances) == {"best", "bad"}
    assert decide(Bootstrap(Measured({})), {}, 0.0, ALL) == Decision({}, (), 0.0)


def test_benchmarks_weigh_the_same() -> None:
    scores = {("arm", "short"): np.full((1, 4), 0.2), ("arm", "long"): np.full((1, 400), 0.8)}
    drawn = at_full_size(
        Bootstrap(Measured(scores)), {"arm": [Term("arm", on, weight=7.0) for on in ("short", "long")]}, 0.0
    )
    assert float(drawn["arm"].mean()) == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize(
    ("world", "first"),
    [(PUBLISHED, 0), (PUBLISHED, 2), (ABACUS, 1)],
    ids=["published, an eighth", "published, a half", "abacus, a quarter"],
)
def test_the_best_arm_is_dropped_in_less_than_5_of_100_studies(world: World, first: int) -> None:
    found = pilots(world, STUDIES, first)
    assert sum(one.dropped_best for one in found) < 0.05 * STUDIES
    assert sum(one.left for one in found) < 0.75 * sum(one.arms for one in found)
    assert float(np.mean([one.cost for one in found])) < 0.8


def test_with_a_margin_a_pilot_costs_a_third_and_misses_no_more_than_that() -> None:
    studies = STUDIES // 2
    found = pilots(replace(ABACUS, seeds=5), studies, 1, margin=0.05)
    assert sum(one.regret > 0.05 for one in found) < 0.05 * studies
    assert float(np.mean([one.cost for one in found])) < 1 / 3
    assert sum(one.same_verdict for one in found) > 0.95 * studies
