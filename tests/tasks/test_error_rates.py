"""Claims that are false by luck, and intervals that cover, in simulated studies; tests/bench/inference.py has more."""

import pytest
from scipy import stats

from tasks.comparison.claim import claims
from tasks.comparison.power import Design, claims_of
from tests.bench.null_studies import Regime, simulate, uniform

STUDIES = 60
ORIGINS = ("self", "teacher", "human")
BY_LUCK = int(stats.binom.ppf(0.99, STUDIES, 0.05))
"""Of as many studies, so many may be false where the chance of each is 5 %."""


@pytest.mark.parametrize(
    "regime",
    [
        uniform(0.6, 0.0),
        uniform(0.6, 0.07),
        uniform(0.6, 0.20),
        Regime(dict.fromkeys(ORIGINS, 0.5), {"self": 0.01, "teacher": 0.05, "human": 0.15}, 0.5),
    ],
    ids=["seeds alike", "7 points", "20 points", "1, 5 and 15 points"],
)
def test_where_nothing_differs_hardly_any_study_claims_that_something_does(regime: Regime) -> None:
    rates = simulate(regime, STUDIES)
    assert rates.false_claims <= BY_LUCK
    assert rates.false_cells <= BY_LUCK
    covered, intervals = rates.differences
    assert 0.92 <= covered / intervals <= 0.995
    covered, intervals = rates.pooled
    assert 0.92 <= covered / intervals <= 0.995
    covered, intervals = rates.single
    assert covered / intervals >= 0.92


def test_a_difference_of_the_size_that_a_plan_names_is_shown_in_four_of_five_studies() -> None:
    size = Design(((100,), (100,)), seeds=3, origins=3).detectable()
    accuracies = {"self": 0.5 + size / 2, "teacher": 0.5, "human": 0.5 - size / 2}
    rates = simulate(Regime(accuracies, dict.fromkeys(ORIGINS, 0.05), 0.5), STUDIES)
    assert 0.65 <= rates.shown_alone / STUDIES <= 0.92


@pytest.mark.parametrize("origins", [("self", "teacher", "human"), ("human", "self"), ("a", "b", "c", "d")])
@pytest.mark.parametrize("evaluated", [1, 3])
def test_claims_are_counted_before_they_are_made(origins: tuple[str, ...], evaluated: int) -> None:
    import numpy as np

    regime = Regime(
        dict.fromkeys(origins, 0.5), dict.fromkeys(origins, 0.0), 0.5, items=10, trained=1, evaluated=evaluated
    )
    arms = regime.compared(regime.draw(np.random.default_rng(0)))
    assert claims_of(origins, evaluated > 1) == len(claims(arms, "accuracy"))


def test_more_seeds_and_questions_tell_smaller_differences() -> None:
    few, many = Design(((100,),), seeds=3), Design(((1000,),), seeds=3)
    assert Design(((100,),), seeds=6).detectable() < few.detectable()
    assert many.detectable() < few.detectable()
    assert Design(((100,),), seeds=3, claims=10).detectable() > few.detectable()
    one = Design(((400,),), seeds=1).detectable()
    assert one == pytest.approx((1.96 + 0.84) * (2 * 0.16 / 400) ** 0.5, rel=0.02)
