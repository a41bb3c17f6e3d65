"""Rank correlation over arms, against scipy, by hand, and on studies whose truth is known."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tasks.comparison.arms import Arms
from tasks.comparison.cell import Arm
from tasks.comparison.rank_correlation import Correlation, correlations, weighted_median
from tasks.comparison.statistics import Measured
from tasks.storage.rows import Rows
from tests.tasks import simulated
from tests.tasks.simulated import simulate
from tests.tasks.test_compare import run

STUDENT = "student"


def arms_of(scores: dict[tuple[str, str], float], items: int = 400, spread: float = 0.0, seed: int = 0) -> Arms:
    """Arms by (origin, benchmark) with these scores in domain, one seed."""
    rng = np.random.default_rng(seed)
    made = {}
    for (origin, train), score in scores.items():
        answers = np.zeros((1, items))
        answers[0, : round(items * score)] = 1
        rng.shuffle(answers[0])
        made[Arm(STUDENT, train, origin, origin, "sft"), train] = answers
    planned = [arm for arm, _ in made]
    return Arms(Measured(made), Measured({}), planned, sorted({train for _, train in made}))


def responses_of(
    known: dict[tuple[str, str], tuple[float, float]], questions: int = 200, noise: float = 0.02
) -> dict[tuple[str, str, str], Any]:
    """Log-perplexity and tokens of each arm's responses, scattered around these."""
    rng = np.random.default_rng(1)
    return {
        (STUDENT, origin, train): np.stack(
            [middle + noise * rng.normal(size=questions), length + rng.normal(size=questions)]
        )
        for (origin, train), (middle, length) in known.items()
    }


def found(scores: list[float], perplexity: list[float], length: list[float], **options: Any) -> list[Correlation]:
    names = [(f"origin {number}", "x") for number in range(len(scores))]
    arms = arms_of(dict(zip(names, scores, strict=True)), **options)
    values = zip(perplexity, length, strict=True)
    return correlations(arms, responses_of(dict(zip(names, values, strict=True))))


def test_coefficients_are_those_of_scipy() -> None:
    scores, perplexity = [0.9, 0.8, 0.75, 0.6, 0.4, 0.5], [0.1, 0.4, 0.3, 0.9, 1.2, 1.0]
    length = [40.0, 90.0, 60.0, 55.0, 70.0, 30.0]
    (one,) = found(scores, perplexity, length)
    ppl, long, both = (
        stats.spearmanr(a, b).statistic for a, b in ((perplexity, scores), (length, scores), (perplexity, length))
    )
    assert one.perplexity.value == pytest.approx(ppl)
    assert one.length.value == pytest.approx(long)
    partial = (ppl - long * both) / math.sqrt((1 - long**2) * (1 - both**2))
    assert one.at_equal_length.value == pytest.approx(partial)
    ranks = np.column_stack([stats.rankdata(v) for v in (perplexity, length)])
    fitted = np.column_stack([ranks, np.ones(6)])
    rest = np.linalg.lstsq(fitted, stats.rankdata(scores), rcond=None)[1]
    explained = 1 - float(rest[0]) / float(((stats.rankdata(scores) - 3.5) ** 2).sum())
    assert one.explained_by_length + one.added_by_perplexity == pytest.approx(explained)


def test_what_is_length_alone_is_found_to_be_length() -> None:
    """Scores follow length; perplexity follows length too, loosely: at equal length nothing of it should be left."""
    length = [30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0, 65.0]
    scores = [0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7]
    perplexity = [0.7, 0.8, 0.55, 0.6, 0.35, 0.5, 0.2, 0.3]
    (one,) = found(scores, perplexity, length, items=1000)
    assert one.perplexity.below
    assert one.length.above
    assert one.added_by_perplexity < 0.01 or math.isnan(one.at_equal_length.value)


def test_fewer_than_four_arms_are_undefined() -> None:
    (one,) = found([0.9, 0.5, 0.2], [0.1, 0.5, 0.9], [40, 41, 42])
    assert math.isnan(one.perplexity.value)
    assert math.isnan(one.at_equal_length.low)
    assert one.sentence == "Whether familiarity goes with scores in domain is undefined: fewer than 4 arms."


def test_arms_that_all_rank_the_same_are_undefined() -> None:
    (one,) = found([0.5] * 5, [0.1, 0.5, 0.9, 1.0, 1.1], [40, 41, 42, 43, 44])
    assert math.isnan(one.perplexity.value)
    assert "undefined" in one.sentence


def test_the_interval_is_narrow_where_ranks_are_clear_and_wide_where_they_are_not() -> None:
    perplexity, length = [0.1, 0.3, 0.5, 0.7, 0.9], [50.0, 30.0, 45.0, 35.0, 40.0]
    (clear,) = found([0.9, 0.7, 0.5, 0.3, 0.1], perplexity, length)
    (close,) = found([0.52, 0.51, 0.5, 0.49, 0.48], perplexity, length, items=100)
    assert clear.perplexity.value == close.perplexity.value == pytest.approx(-1)
    assert clear.perplexity.high == pytest.approx(-1)
    assert close.perplexity.high > -0.5
    assert close.perplexity.low == pytest.approx(-1)


def test_ranks_within_benchmarks_are_not_fooled_by_their_difficulty() -> None:
    """On the easy benchmark all is more familiar and better; within each, the less familiar does better."""
    scores = {("a", "easy"): 0.8, ("b", "easy"): 0.85, ("c", "easy"): 0.9}
    scores |= {("a", "hard"): 0.2, ("b", "hard"): 0.25, ("c", "hard"): 0.3}
    known = {name: (1.5 * (name[1] == "hard") + 0.2 * "abc".index(name[0]), 40.0) for name in scores}
    over, within = (one for one in correlations(arms_of(scores), responses_of(known)) if one.on == "in_domain")
    assert over.perplexity.value < -0.3
    assert within.within_benchmarks
    assert within.perplexity.value == pytest.approx(1)


def test_weighted_median() -> None:
    values = np.array([5.0, 1.0, 3.0, 9.0])
    weights = np.array([[1, 1, 1, 1], [0, 3, 1, 0], [0, 0, 0, 0], [2, 0, 0, 2]], dtype=np.float32)
    assert weighted_median(values, weights).tolist() == pytest.approx([4.0, 1.0, math.nan, 7.0], nan_ok=True)


def test_it_is_in_the_verdict_without_control_arms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = ["self", "rewrite", "teacher", "human"]
    monkeypatch.setattr(simulated, "PERPLEXITIES", {name: 1.2 + number for number, name in enumerate(order)})
    chances = {"base": (0.5, 0.5)} | {name: (0.9 - 0.15 * n, 0.6 - 0.1 * n) for n, name in enumerate(order)}
    study = simulate(chances={**chances, "human@same_length": (0.95, 0.9)}, seeds=(0, 1))
    for of, rows in study.scored.items():
        if of.arm == "teacher":
            study.scored[of] = Rows.of([{**row, "tokens": row["tokens"] + 20, "nll": row["nll"] * 2} for row in rows])
    verdict = run(study, tmp_path)["verdicts"][0]
    kinds = [(one["on"], one["within_benchmarks"]) for one in verdict["correlations"]]
    assert kinds == [("in_domain", False), ("in_domain", True), ("elsewhere", False), ("elsewhere", True)]
    for one in verdict["correlations"]:
        assert one["arms"] == 8
        assert one["perplexity"]["value"] < -0.8
        assert one["perplexity"]["high"] < 0
        assert one["sentence"].startswith("Over 8 arms")
    assert "NaN" not in json.dumps(verdict)
