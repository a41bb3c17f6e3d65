"""The statistics against hand computation, other libraries, and simulations whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from tasks.comparison.seed_variance import Peer
from tasks.comparison.statistics import Measured, Term, holm
from tasks.comparison.variance import complete, noise_of_mean, variance_of_sum

A, B = "a", "b"


def drawn(seeds: int, items: int, chance: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((seeds, items)) < chance).astype(float)


def test_value_is_the_mean_of_item_means():
    scores = np.array([[1.0, 0.0, 1.0, 0.0], [1.0, 1.0, np.nan, 0.0]])
    estimate = Measured({(A, "x"): scores}).estimate([Term(A, "x")])
    assert estimate.value == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    assert estimate.items == 4


def test_difference_is_taken_on_the_items_both_have():
    first = np.array([[1.0, 1.0, np.nan, 0.0]])
    second = np.array([[0.0, np.nan, 1.0, 0.0]])
    estimate = Measured({(A, "x"): first, (B, "x"): second}).estimate([Term(A, "x", minus=B)])
    assert estimate.value == pytest.approx((1 + 0) / 2)


def test_one_seed_is_the_paired_t_test():
    first, second = drawn(1, 400, 0.7, 1), drawn(1, 400, 0.6, 2)
    estimate = Measured({(A, "x"): first, (B, "x"): second}).estimate([Term(A, "x", minus=B)])
    peer = stats.ttest_rel(first[0], second[0])
    low, high = peer.confidence_interval(0.95)
    assert (estimate.low, estimate.high, estimate.p) == pytest.approx((low, high, peer.pvalue), rel=1e-9)


def test_many_seeds_of_few_varied_answers_are_welchs_t_test():
    """Where items do not differ and single answers have no noise, only the seeds are left."""
    first, second = np.array([0.3, 0.5, 0.9, 0.6]), np.array([0.2, 0.25, 0.3])
    scores = {(A, "x"): np.repeat(first[:, None], 50, axis=1), (B, "x"): np.repeat(second[:, None], 50, axis=1)}
    estimate = Measured(scores).estimate([Term(A, "x", minus=B)])
    peer = stats.ttest_ind(first, second, equal_var=False)
    low, high = peer.confidence_interval(0.95)
    assert (estimate.low, estimate.high, estimate.p) == pytest.approx((low, high, peer.pvalue), rel=1e-9)


def test_variance_over_seeds_and_items_by_hand():
    """Two seeds, three items: seed means 2/3 and 1/3, so ±1/12 each; what is left over is ∓1/6, ±1/3, ∓1/6."""
    scores = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    measured = Measured({(A, "x"): scores, (B, "x"): np.zeros((1, 3))})
    parts = measured.parts([Term(A, "x", minus=B)])
    assert parts is not None
    items, *seeds = measured.components(parts)
    assert (items.variance, items.doubt) == pytest.approx((0.25 / 3, (0.25 / 3) ** 2 / 2))
    of_seeds, noise = 2 * (2 / 12**2), (1 / 3) / 2 / (2 * 3)
    assert variance_of_sum(measured.seeds.contributions(A, {"x": 1.0})) == pytest.approx(of_seeds)
    assert noise_of_mean(scores) == pytest.approx(noise)
    assert of_seeds == pytest.approx(noise)
    assert sum(seed.variance for seed in seeds) == pytest.approx(0, abs=1e-15)


def test_p_is_below_five_per_cent_where_the_interval_leaves_out_zero():
    rng = np.random.default_rng(4)
    both = []
    for trial in range(300):
        scores = {(arm, "x"): drawn(3, 40, rng.uniform(0.3, 0.7), 2 * trial + n) for n, arm in enumerate((A, B))}
        estimate = Measured(scores).estimate([Term(A, "x", minus=B)])
        assert (estimate.p < 0.05) == (estimate.above or estimate.below)
        both.append(estimate.p < 0.05)
    assert 30 < sum(both) < 270


def test_seeds_that_vary_raise_the_p_value():
    """Seeds of 46, 14 and 35 % against an untrained 40 %: items alone would call this certain."""
    rng = np.random.default_rng(0)
    varied = np.array([(rng.random(500) < chance) for chance in (0.46, 0.14, 0.35)], dtype=float)
    base = (rng.random((1, 500)) < 0.4).astype(float)
    estimate = Measured({(A, "x"): varied, (B, "x"): base}).estimate([Term(A, "x", minus=B)])
    assert stats.ttest_rel(varied.mean(axis=0), base[0]).pvalue < 0.01
    assert estimate.p > 0.05
    assert estimate.low < 0 < estimate.high


def test_seeds_that_agree_by_luck_are_taken_to_vary_as_their_peers_do():
    def seeds(*shares: float) -> np.ndarray:
        return np.array([np.arange(100) < 100 * share for share in shares], dtype=float)

    scores = {
        ("agree", "x"): seeds(0.5, 0.5, 0.5),
        ("vary", "x"): seeds(0.2, 0.5, 0.8),
        ("vary too", "x"): seeds(0.3, 0.5, 0.9),
    }
    alone = Measured(scores)
    together = Measured(
        scores, peers=lambda arm, on: [Peer(other, {}, kin=False) for other, _ in scores if other != arm]
    )
    weights = {"x": 1.0}
    assert alone.seeds.part("agree", weights).variance == 0
    assert together.seeds.part("agree", weights).variance == alone.seeds.part("vary", weights).variance
    assert together.seeds.part("vary too", weights) == alone.seeds.part("vary too", weights)
    assert alone.seeds.part("vary", weights).variance == pytest.approx(np.var([0.2, 0.5, 0.8], ddof=1) / 3, rel=0.05)


def test_interval_of_one_arms_score_is_wilsons_with_t():
    """With a t quantile in place of the normal one, for 2,000 items 1.9612 in place of 1.9600."""
    scores = (np.arange(2000) < 1900).astype(float)[None]
    estimate = Measured({(A, "x"): scores}).estimate([Term(A, "x")])
    low, high = proportion_confint(1900, 2000, method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=2e-5)
    assert math.isnan(estimate.p)


def test_identical_arms_differ_by_nothing():
    scores = drawn(3, 50, 0.6)
    estimate = Measured({(A, "x"): scores, (B, "x"): scores.copy()}).estimate([Term(A, "x", minus=B)])
    assert (estimate.value, estimate.p) == (0.0, 1.0)
    assert estimate.low <= 0 <= estimate.high


@pytest.mark.parametrize(("value", "low", "high"), [(1.0, 0.9638, 1.0), (0.0, 0.0, 0.0362)])
def test_all_right_or_all_wrong_is_not_certain(value: float, low: float, high: float):
    """With 100 of 100 right, Clopper and Pearson's interval begins at 0.9638; a bootstrap would say 1 to 1."""
    estimate = Measured({(A, "x"): np.full((2, 100), value)}).estimate([Term(A, "x")])
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-4)


def test_undefined_is_nan():
    sample = Measured({(A, "x"): np.array([[1.0]]), (B, "x"): np.array([[np.nan]])})
    alone = sample.estimate([Term(A, "x")])
    assert alone.value == 1.0
    assert math.isnan(alone.low)
    assert math.isnan(sample.estimate([Term(B, "x")]).value)
    assert math.isnan(sample.estimate([Term(A, "x", minus=B)]).value)
    assert math.isnan(sample.estimate([Term("nobody", "x")]).value)
    assert math.isnan(sample.estimate([]).value)


def test_order_of_arms_and_terms_changes_nothing():
    scores = {(A, "x"): drawn(2, 60, 0.7, 1), (B, "x"): drawn(2, 60, 0.5, 2), (A, "y"): drawn(2, 40, 0.4, 3)}
    backwards = dict(reversed(scores.items()))
    terms = [Term(A, "x", minus=B), Term(A, "y", weight=0.5)]
    first, second = Measured(scores).estimate(terms), Measured(backwards).estimate(terms[::-1])
    assert (first.value, first.low, first.high) == pytest.approx((second.value, second.low, second.high), abs=1e-12)


def test_a_wholly_missing_seed_is_left_out():
    scores = np.vstack([drawn(2, 30, 0.5), np.full((1, 30), np.nan)])
    seeds, kept = complete(scores)
    assert seeds.tolist() == [True, True, False]
    assert kept.shape == (2, 30)
    estimate = Measured({(A, "x"): scores}).estimate([Term(A, "x")])
    assert estimate.value == pytest.approx(scores[:2].mean())


def test_holm_against_hand_computation_with_nan_left_out():
    assert holm([0.01, float("nan"), 0.04, 0.03]) == pytest.approx([0.03, math.nan, 0.06, 0.06], nan_ok=True)
    assert holm([]) == []


def test_variance_parts():
    assert variance_of_sum(np.array([1.0, 2.0, 3.0])) == pytest.approx(3.0)
    assert noise_of_mean(np.array([[1.0, 2.0], [3.0, 4.0]])) == pytest.approx(0.0)
    assert noise_of_mean(np.array([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(1.0 / 4)


def test_more_seeds_make_the_interval_narrower():
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.1, 0.9, 200)
    widths = []
    for seeds in (1, 3, 10):
        scores = (rng.random((seeds, 200)) < chance).astype(float)
        estimate = Measured({(A, "x"): scores, (B, "x"): np.zeros((1, 200))}).estimate([Term(A, "x", minus=B)])
        widths.append(estimate.high - estimate.low)
    assert widths[0] > widths[1] > widths[2] * 0.95
