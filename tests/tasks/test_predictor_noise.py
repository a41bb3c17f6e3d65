"""What is left of a record beyond noise, and what combining predictors adds: on groups whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from tasks.comparison.predictor_combination import combination
from tasks.comparison.predictor_groups import Group
from tasks.comparison.predictor_noise import beyond_noise, differ

NOISE = 0.02


def groups(count: int, spread: float, seed: int = 0, options: int = 6) -> list[Group]:
    """Accuracies of this spread, measured with noise; `knows` is the truth, `guesses` chance."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        truth = 0.5 + spread * generator.normal(size=options)
        measured = truth + NOISE * generator.normal(size=options)
        replicates = measured + NOISE * generator.normal(size=(2000, options))
        values = {"knows": -truth, "guesses": generator.random(options)}
        found.append(Group(number, tuple("abcdefgh"[:options]), measured, values, number, replicates))
    return found


def test_options_without_a_difference_are_told_apart_as_rarely_as_the_test_says() -> None:
    false = sum(bool(differ(group)) for group in groups(2000, spread=0))
    # 5 % of 2,000, within three standard deviations.
    assert abs(false - 100) < 3 * math.sqrt(2000 * 0.05 * 0.95)
    assert all(differ(group) for group in groups(50, spread=0.2))


def test_the_statistic_is_that_of_equal_means_where_noise_is_independent() -> None:
    for group in groups(20, spread=0.02):
        assert group.replicates is not None
        variance = group.replicates.var(axis=0, ddof=1)
        mean = np.average(group.accuracies, weights=1 / variance)
        statistic = ((group.accuracies - mean) ** 2 / variance).sum()
        p = stats.chi2.sf(statistic, len(variance) - 1)
        if abs(p - 0.05) > 0.02:  # the replicates' covariances are not exactly zero
            assert differ(group) == (p < 0.05)


def test_nothing_is_said_of_noise_that_is_not_known() -> None:
    group = Group("x", ("a", "b"), np.array([0.1, 0.9]), {"p": np.array([1.0, 2.0])})
    assert differ(group) is None
    assert beyond_noise([group], {"p": True}) == []
    still = np.tile([0.1, 0.9], (100, 1))
    certain = Group("x", ("a", "b"), np.array([0.1, 0.9]), {"p": np.array([1.0, 2.0])}, replicates=still)
    assert differ(certain) is True
    equal = Group("x", ("a", "b"), np.array([0.9, 0.9]), {}, replicates=np.tile([0.9, 0.9], (100, 1)))
    assert differ(equal) is False


def test_pairs_by_hand() -> None:
    # Deviations of a difference are 0.014: a and b differ by more than noise, as a and c do; b and c do not.
    accuracies = np.array([0.50, 0.60, 0.61, 0.90])
    generator = np.random.default_rng(0)
    replicates = accuracies + 0.01 * generator.normal(size=(5000, 4))
    values = {"p": np.array([3.0, 3.0, 1.0, math.nan])}
    (found,) = beyond_noise([Group("x", tuple("abcd"), accuracies, values, replicates=replicates)], {"p": False})
    assert found.pairs == 2
    assert found.ordered.value == pytest.approx(0.75), "a and b tie, a and c are right, d has no value"


def test_beyond_noise_a_predictor_that_knows_is_always_right_and_one_that_guesses_half_the_time() -> None:
    apart, alike = groups(60, spread=0.1), groups(60, spread=0.0, seed=1)
    better = {"knows": False, "guesses": True}
    assert beyond_noise(apart, better)[0].ordered.value > 0.99
    knows, guesses = beyond_noise([*apart, *alike], better)
    # Of 60 × 15 pairs without a difference 5 % are taken for one, and of those the truth, which ties, is half right.
    assert knows.ordered.value == pytest.approx((knows.pairs - 45 / 2) / knows.pairs, abs=0.015)
    assert knows.pairs == guesses.pairs
    assert guesses.ordered.low < 0.5 < guesses.ordered.high
    assert knows.apart.correlation.value < -0.85
    assert knows.apart.ranked >= 58
    assert guesses.apart.ranked + guesses.alike.ranked == 120


def test_what_two_halves_of_the_truth_say_together_is_learnt() -> None:
    generator = np.random.default_rng(0)
    found, students = [], []
    for number in range(60):
        one, other = generator.random(7), generator.random(7)
        values = {"one": -one, "other": other, "noise": generator.random(7)}
        found.append(Group(number, tuple("abcdefg"), one + other, values, f"task {number % 20}"))
        students.append(f"student {number % 3}")
    better = {"one": False, "other": True, "noise": True}
    for folds, expected in ((students, 3), ([group.cluster for group in found], 20)):
        made = combination(found, better, folds, "fold")
        assert made is not None
        assert made.folds == expected
        halves = [stats.rankdata(-group.values["one"]) + stats.rankdata(group.values["other"]) for group in found]
        sums = [stats.spearmanr(half, group.accuracies).statistic for half, group in zip(halves, found, strict=True)]
        assert made.combined.correlation.value == pytest.approx(np.mean(sums), abs=0.02)
        assert made.more.low > 0.1
        assert made.regret_less.high < 0
        assert made.single_name in ("one", "other")
        assert abs(made.weights["noise"]) < 0.1 * made.weights["one"]
        assert made.usual.correlation.value < 0.1, "no option is better than others; left out, luck turns around"


def test_noise_that_is_combined_adds_nothing() -> None:
    generator = np.random.default_rng(0)
    found = [
        Group(number, tuple("abcdef"), generator.random(6), {name: generator.random(6) for name in "pqr"})
        for number in range(80)
    ]
    made = combination(found, dict.fromkeys("pqr", True), list(range(80)), "group")
    assert made is not None
    assert made.combined.correlation.low < 0 < made.combined.correlation.high


def test_an_option_that_always_comes_out_best_is_the_usual_one() -> None:
    generator = np.random.default_rng(0)
    found = [
        Group(number, tuple("abcd"), 0.1 * generator.random(4) + np.array([0, 0, 0.5, 0]), {"p": generator.random(4)})
        for number in range(20)
    ]
    made = combination(found, {"p": True}, list(range(20)), "group")
    assert made is not None
    assert made.usual.right == 1
    assert made.usual.regret.value == pytest.approx(0)


def test_too_little_to_learn_from() -> None:
    few = [Group(n, ("a", "b"), np.array([0.1, 0.2]), {"p": np.array([1.0, 2.0])}) for n in range(6)]
    assert combination(few, {"p": True}, list(range(6)), "group") is None
    assert combination(few * 3, {"p": True}, ["one"] * 18, "student") is None
