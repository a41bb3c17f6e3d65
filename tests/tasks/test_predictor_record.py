"""The record of predictors: worked out by hand, against scipy, and on groups whose truth is known."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from data.errors import InputError
from tasks.comparison.predictor_groups import TABLE, Group, directions_of, groups_of
from tasks.comparison.predictor_record import PredictorRecord, records, spearman

NAN, INF = math.nan, math.inf


def group(name: str, accuracies: list[float], cluster: str | None = None, **values: list[float]) -> Group:
    options = tuple("abcdefgh"[: len(accuracies)])
    arrays = {predictor: np.array(each) for predictor, each in values.items()}
    return Group(name, options, np.array(accuracies), arrays, cluster)


def one(found: list[PredictorRecord], name: str) -> PredictorRecord:
    return next(each for each in found if each.predictor == name)


def test_a_group_by_hand() -> None:
    made = group("gsm8k", [0.5, 0.7, 0.6, 0.2], perplexity=[3.0, 2.0, 1.0, 9.0], length=[10.0, 30.0, 20.0, 40.0])
    found = records([made], {"perplexity": False, "length": True}, baseline="length")
    (familiar,) = one(found, "perplexity").groups
    # Ranks 3 2 1 4 of perplexity against 2 4 3 1: the differences squared are 1, 4, 4, 9, so 1 - 6 * 18 / 60.
    assert familiar.correlation.value == pytest.approx(-0.8)
    assert (familiar.pick, familiar.best) == (("c",), ("b",))
    assert familiar.accuracy.value == pytest.approx(0.6)
    assert familiar.regret.value == pytest.approx(0.1)
    assert familiar.chance == pytest.approx(0.5)
    assert familiar.best_accuracy == pytest.approx(0.7)
    assert familiar.right == 0
    (long,) = one(found, "length").groups
    assert (long.pick, long.regret.value) == (("d",), pytest.approx(0.5))
    assert one(found, "perplexity").against.value == pytest.approx(-0.4)
    assert math.isnan(one(found, "length").against.value)
    assert math.isnan(familiar.correlation.low), "one group without replicates has no interval"


def test_options_that_tie_for_the_pick_are_drawn_with_equal_chances() -> None:
    made = group("x", [0.5, 0.7, 0.6, 0.2], p=[1.0, 1.0, 5.0, 5.0])
    (found,) = records([made], {"p": False})
    (here,) = found.groups
    assert here.pick == ("a", "b")
    assert here.accuracy.value == pytest.approx(0.6)
    assert here.regret.value == pytest.approx(0.1)
    assert here.right == found.right == 0.5
    # Ranks 1.5 1.5 3.5 3.5 against 2 4 3 1, around 2.5: (0.5 - 1.5 + 0.5 - 1.5) / sqrt(4 * 5).
    assert here.correlation.value == pytest.approx(-2 / math.sqrt(20))


def test_infinite_values_are_ranked_and_missing_ones_are_not() -> None:
    made = group("x", [0.1, 0.6, 0.4, 0.9, NAN], p=[INF, 2.0, 3.0, NAN, 1.0], q=[NAN, NAN, NAN, 1.0, 1.0])
    found = records([made], {"p": False, "q": True}, fewest=3)
    (here,) = one(found, "p").groups
    assert here.options == 4, "an option without an accuracy is none"
    assert (here.infinite, here.without_value) == (("a",), ("d",))
    assert here.correlation.value == pytest.approx(-1.0)
    assert here.pick == ("b",)
    assert here.regret.value == pytest.approx(0.3), "the best is of all options, also of those without a value"
    assert here.chance == pytest.approx(0.5)
    (silent,) = one(found, "q").groups
    assert silent.pick == ()
    assert math.isnan(silent.regret.value)
    assert one(found, "q").picks == 0
    assert math.isnan(one(found, "q").regret.value)
    # An infinite value can be the pick of a predictor whose higher values are better.
    assert records([made], {"p": True})[0].groups[0].pick == ("a",)


def test_a_group_whose_values_or_accuracies_are_all_the_same_has_no_correlation() -> None:
    flat = group("flat", [0.5] * 4, p=[1.0, 2.0, 3.0, 4.0])
    constant = group("constant", [0.1, 0.2, 0.3, 0.4], p=[7.0] * 4)
    sloped = group("sloped", [0.1, 0.2, 0.3, 0.4], p=[1.0, 2.0, 3.0, 4.0])
    (found,) = records([flat, constant, sloped], {"p": True})
    assert [math.isnan(each.correlation.value) for each in found.groups] == [True, True, False]
    assert (found.ranked, found.picks) == (1, 3)
    assert found.correlation.value == pytest.approx(1.0)
    assert found.groups[0].right == 1, "any option is the best where all are alike"
    # Regret 0, the mean of all four below 0.4, and 0.
    assert found.regret.value == pytest.approx(0.15 / 3)


def test_few_options_have_a_pick_and_no_correlation() -> None:
    (found,) = records([group("x", [0.1, 0.2, 0.3], p=[1.0, 2.0, 3.0])], {"p": True})
    assert (found.ranked, found.picks, found.right) == (0, 1, 1.0)
    (none,) = records([], {"p": True})
    assert (none.groups, none.picks) == ((), 0)
    assert math.isnan(none.correlation.value)


def test_coefficients_are_those_of_scipy() -> None:
    generator = np.random.default_rng(3)
    for _ in range(50):
        values = generator.integers(0, 5, size=7).astype(float)
        accuracies = generator.integers(0, 5, size=(3, 7)) / 4
        for row, mine in zip(accuracies, spearman(values, accuracies), strict=True):
            if len(set(row)) > 1 and len(set(values)) > 1:
                assert mine == pytest.approx(stats.spearmanr(values, row).statistic)
            else:
                assert math.isnan(mine)


def test_the_interval_over_groups_is_that_of_their_mean_and_takes_clusters_whole() -> None:
    generator = np.random.default_rng(0)
    values = [list(generator.normal(size=4)) for _ in range(40)]
    accuracies = [list(generator.random(4)) for _ in range(40)]
    apart = [group(f"g{n}", accuracies[n], p=values[n]) for n in range(40)]
    (found,) = records(apart, {"p": True})
    single = np.array([each.correlation.value for each in found.groups])
    error = single.std(ddof=1) / math.sqrt(40)
    assert found.correlation.value == pytest.approx(single.mean())
    assert (found.correlation.high - found.correlation.low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    # Each group twice under one cluster is not twice as much evidence.
    twice = [group(f"g{n}-{half}", accuracies[n], f"g{n}", p=values[n]) for n in range(40) for half in range(2)]
    (doubled,) = records(twice, {"p": True})
    assert doubled.correlation.value == pytest.approx(found.correlation.value)
    assert doubled.correlation.low == pytest.approx(found.correlation.low, abs=0.02)


def test_replicates_of_accuracies_make_the_intervals_of_a_group() -> None:
    generator = np.random.default_rng(0)
    accuracies = np.array([0.5, 0.7, 0.6, 0.2])
    replicates = accuracies + 0.01 * generator.normal(size=(2000, 4))
    values = {"p": np.array([3.0, 2.0, 1.0, 9.0])}
    made = Group("x", tuple("abcd"), accuracies, values, replicates=replicates)
    (found,) = records([made], {"p": False}, over_groups=False)
    (here,) = found.groups
    assert (here.correlation.low, here.correlation.high) == pytest.approx((-0.8, -0.8))
    # The pick's accuracy has a standard deviation of 0.01, the regret of it to b sqrt(2) times that.
    assert here.accuracy.high - here.accuracy.low == pytest.approx(2 * 1.96 * 0.01, rel=0.1)
    assert here.regret.high - here.regret.low == pytest.approx(2 * 1.96 * 0.01 * math.sqrt(2), rel=0.1)
    assert found.regret == here.regret.__class__(found.regret.value, here.regret.low, here.regret.high, items=1), (
        "of one group taken as given"
    )
    two = [made, Group("y", tuple("abcd"), accuracies, values, replicates=replicates[::-1])]
    (both,) = records(two, {"p": False}, over_groups=False)
    assert both.accuracy.high - both.accuracy.low == pytest.approx(2 * 1.96 * 0.01 / math.sqrt(2), rel=0.1)
    over_two = records(two, {"p": False})[0].accuracy
    assert (over_two.low, over_two.high) == pytest.approx((0.6, 0.6)), "the two groups agree"


def test_a_predictor_that_knows_has_no_regret_and_one_that_guesses_has_chance() -> None:
    generator = np.random.default_rng(1)
    groups = []
    for number in range(200):
        accuracies = generator.random(5)
        values = {"knows": np.exp(accuracies), "guesses": generator.random(5)}
        groups.append(Group(number, tuple("abcde"), accuracies, values))
    knows, guesses = records(groups, {"knows": True, "guesses": True})
    assert (knows.correlation.value, knows.regret.value, knows.right) == pytest.approx((1.0, 0.0, 1.0))
    assert guesses.correlation.low < 0 < guesses.correlation.high
    assert guesses.above_chance.low < 0 < guesses.above_chance.high
    # The greatest of five from 0 to 1 is 5/6 on average, and chance 1/2.
    assert guesses.regret.low < 5 / 6 - 1 / 2 < guesses.regret.high


def test_a_tidy_table_becomes_groups() -> None:
    rows = [
        ("gsm8k", "human", "ppl", 3.0, False, 0.5),
        ("gsm8k", "human", "length", 90.0, True, 0.5),
        ("gsm8k", "self", "ppl", 1.5, False, 0.6),
        ("mbpp", "self", "ppl", INF, False, NAN),
    ]
    table = pd.DataFrame(rows, columns=list(TABLE))
    assert directions_of(table) == {"ppl": False, "length": True}
    math_, code = groups_of(table)
    assert (math_.name, math_.options) == ("gsm8k", ("human", "self"))
    np.testing.assert_array_equal(math_.values["length"], [90.0, NAN])
    np.testing.assert_array_equal(math_.values["ppl"], [3.0, 1.5])
    np.testing.assert_array_equal(math_.accuracies, [0.5, 0.6])
    assert code.with_accuracy().options == ()
    again = pd.DataFrame([*rows, rows[0]], columns=list(TABLE))
    with pytest.raises(InputError, match="gsm8k: option 'human' has the predictor 'ppl' twice"):
        groups_of(again)
    two = pd.DataFrame([*rows, ("gsm8k", "human", "idf", 1.0, True, 0.4)], columns=list(TABLE))
    with pytest.raises(InputError, match="gsm8k: option 'human' has more than one accuracy"):
        groups_of(two)
    turned = pd.DataFrame([*rows, ("mbpp", "human", "ppl", 1.0, True, 0.4)], columns=list(TABLE))
    with pytest.raises(InputError, match="predictor 'ppl': higher_is_better"):
        directions_of(turned)
