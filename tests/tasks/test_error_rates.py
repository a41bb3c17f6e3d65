"""Claims that are false by luck, and intervals that cover, in simulated studies; tests/bench/inference.py has more."""

import pytest
from scipy import stats

from tasks.comparison.claim import claims
from tasks.comparison.power import Design, claims_of
from tests.bench.null_studies import Regime, simulate, uniform

STUDIES = 60
ORIGINS = ("self", "teacher", "human")
SPREADS = {"sft": 0.02, "masked": 0.02, "rft": 0.02, "dpo": 0.10, "step_dpo": 0.10}
OF_TWO_METHODS = Regime(
    *(dict.fromkeys(SPREADS, 0.6), SPREADS, 0.6),
    **{"items": 150, "seeds": 2, "trained": 1, "evaluated": 2},
    methods={"dpo": "dpo", "step_dpo": "dpo"},
)
"""Were all arms peers of each other, 14 of 100 such studies would claim something false; arms of a method, 5."""
BY_LUCK = int(stats.binom.ppf(0.99, STUDIES, 0.05))
"""Of as many studies, so many may be false where the chance of each is 5 %."""


@pytest.mark.parametrize(
    "regime",
    [
        uniform(0.6, 0.0),
        uniform(0.6, 0.07),
        uniform(0.6, 0.20),
        Regime(dict.fromkeys(ORIGINS, 0.5), {"self": 0.01, "teacher": 0.05, "human": 0.15}, 0.5),
        OF_TWO_METHODS,
    ],
    ids=["seeds alike", "7 points", "20 points", "1, 5 and 15 points", "a method of 2 and one of 10 points"],
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
    size = Design(((100,), (100,)), seeds=3, arms=3).detectable()
    accuracies = {"self": 0.5 + size / 2, "teacher": 0.5, "human": 0.5 - size / 2}
    rates = simulate(Regime(accuracies, dict.fromkeys(ORIGINS, 0.05), 0.5), STUDIES)
    assert 0.65 <= rates.shown_alone / STUDIES <= 0.92


@pytest.mark.parametrize(
    ("names", "methods"),
    [
        (("self", "teacher", "human"), {}),
        (("human", "self"), {}),
        (("a", "b", "c", "d"), {}),
        (("self", "teacher", "human"), {"self": "dpo"}),
    ],
)
@pytest.mark.parametrize("evaluated", [1, 3])
def test_claims_are_counted_before_they_are_made(
    names: tuple[str, ...], methods: dict[str, str], evaluated: int
) -> None:
    import numpy as np

    regime = Regime(
        *(dict.fromkeys(names, 0.5), dict.fromkeys(names, 0.0), 0.5),
        **{"items": 10, "trained": 1, "evaluated": evaluated},
        methods=methods,
    )
    arms = regime.compared(regime.draw(np.random.default_rng(0)))
    assert claims_of(regime.arms, evaluated > 1) == len(claims(arms, "accuracy"))


def test_more_seeds_and_questions_tell_smaller_differences() -> None:
    few, many = Design(((100,),), seeds=3), Design(((1000,),), seeds=3)
    assert Design(((100,),), seeds=6).detectable() < few.detectable()
    assert many.detectable() < few.detectable()
    assert Design(((100,),), seeds=3, claims=10).detectable() > few.detectable()
    one = Design(((400,),), seeds=1).detectable()
    assert one == pytest.approx((1.96 + 0.84) * (2 * 0.16 / 400) ** 0.5, rel=0.02)
