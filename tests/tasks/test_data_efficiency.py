"""How many times its questions an arm is worth: curves whose multiples are known, bounds, intervals, gaps."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tasks.compare import compare
from tasks.comparison.cell import Arm
from tasks.comparison.data_efficiency import EFFICIENCY, efficiency
from tasks.comparison.learning_curve import LearningCurve, percentile_interval
from tasks.comparison.peers import peers
from tasks.comparison.results import Results
from tasks.comparison.statistics import Measured
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.report import render
from tasks.reporting.data_efficiency import lines
from tasks.storage.artifacts import Store
from tests.tasks.simulated import simulate

SIZES = (4, 16, 64, 256)
BY_LAW = (0.4, 0.2, 0.1, 0.05)
"""0.8·size^-0.5"""


def arm(name: str, size: int, on: str = "x") -> Arm:
    return Arm("s", on, name, name, "sft", size)


def answered(error: float, items: int = 200, seeds: int = 2) -> np.ndarray:
    """Scores of seeds that all miss the same share of the items."""
    assert (error * items).is_integer()
    return np.tile(np.arange(items) >= error * items, (seeds, 1)).astype(float)


def found(
    errors: Mapping[str, Sequence[float | None]],
    sizes: Sequence[int] = SIZES,
    missing: Sequence[tuple[str, int]] = (),
    **shape: int,
) -> dict[int, dict[str, Any]]:
    """The rows of arm "other" by size, held against arm "sft"; None is an arm that has no scores."""
    scores = {
        (arm(name, size), "x"): answered(error, **shape)
        for name, curve in errors.items()
        for size, error in zip(sizes, curve, strict=True)
        if error is not None
    }
    planned = [arm(name, size) for name in errors for size in sizes]
    lost = [(arm(name, size), "x") for name, size in missing]
    table = efficiency(Measured(scores), planned, ["x"], lost, "sft")
    assert tuple(table.columns) == EFFICIENCY
    assert set(table["arm"]) == set(errors) - {"sft"}
    return {int(row["size"]): row for row in table.to_dict("records")}


def multiples(rows: Mapping[int, Mapping[str, Any]]) -> list[tuple[str, float]]:
    return [(row["multiple_is"], pytest.approx(row["multiple"])) for row in rows.values()]


@pytest.mark.parametrize(
    ("curve", "interpolated", "by_law"),
    [
        (
            (0.2, 0.1, 0.05, 0.025),
            [("measured", 4), ("measured", 4), ("measured", 4), ("at least", 1)],
            [4, 4, 4, 4],
        ),
        (
            (0.8, 0.4, 0.2, 0.1),
            [("at most", 1), ("measured", 0.25), ("measured", 0.25), ("measured", 0.25)],
            [0.25, 0.25, 0.25, 0.25],
        ),
        (BY_LAW, [("measured", 1)] * 4, [1, 1, 1, 1]),
        # Half way between errors of 0.2 and 0.1 is half way from 16 to 64 in logarithms, 32; the law has 0.15 at 28.4.
        (
            (0.15, 0.15, 0.02, 0.02),
            [("measured", 8), ("measured", 2), ("at least", 4), ("at least", 1)],
            [(0.8 / 0.15) ** 2 / 4, (0.8 / 0.15) ** 2 / 16, 25, 6.25],
        ),
    ],
    ids=["four times", "a quarter", "the same", "between sizes and beyond"],
)
def test_multiples_of_exact_curves(
    curve: Sequence[float], interpolated: list[tuple[str, float]], by_law: list[float]
) -> None:
    rows = found({"sft": BY_LAW, "other": curve})
    assert list(rows) == list(SIZES)
    assert multiples(rows) == interpolated
    assert [row["power_multiple"] for row in rows.values()] == pytest.approx(by_law)
    for row, error in zip(rows.values(), curve, strict=True):
        assert (row["n"], row["error"], row["alpha"]) == (200, pytest.approx(error), pytest.approx(0.5))
        assert row["power_ci_low"] < row["power_multiple"] < row["power_ci_high"]
        assert row["ci_low"] <= row["multiple"] <= row["ci_high"]
        assert row["alpha_ci_low"] < 0.5 < row["alpha_ci_high"]


def test_errors_of_the_reference_that_rise_are_pooled() -> None:
    """0.1 and 0.3 become 0.2 and 0.2; the fewest questions that give 0.2 are 16."""
    rows = found({"sft": (0.4, 0.1, 0.3, 0.05), "other": (0.3, 0.2, 0.125, 0.1)})
    expected = [8 / 4, 16 / 16, 128 / 64, 64 * 4 ** (2 / 3) / 256]
    assert multiples(rows) == [("measured", pytest.approx(value)) for value in expected]


def test_there_is_no_power_law_where_the_error_does_not_fall() -> None:
    rows = found({"sft": (0.1, 0.2, 0.3, 0.4), "other": (0.25, 0.3, 0.2, 0.25)})
    assert multiples(rows) == [("measured", 1), ("at most", 0.25), ("at least", 4), ("measured", 4 / 256)]
    for row in rows.values():
        assert row["alpha"] < 0
        assert np.isnan([row["power_multiple"], row["power_ci_low"], row["power_ci_high"]]).all()


def test_ends_of_intervals_outside_what_was_measured_are_bounds() -> None:
    rows = found({"sft": (0.4, 0.2, 0.1, 0.05), "other": (0.8, 0.39, 0.06, 0.02)})
    ends = {size: (row["ci_low"], row["ci_low_is"], row["ci_high"], row["ci_high_is"]) for size, row in rows.items()}
    assert ends[4] == (1, "at most", 1, "at most")
    assert ends[16][:2] == (0.25, "at most")
    assert ends[16][3] == "measured"
    assert ends[64][1] == "measured"
    assert ends[64][2:] == (4, "at least")
    assert ends[256][2:] == (1, "at least")


@pytest.mark.parametrize("items", [20, 200])
def test_no_error_at_all_is_not_certain(items: int) -> None:
    """The law takes half a question for none, and resampling the bound of Clopper and Pearson."""
    rows = found({"sft": BY_LAW, "other": (0.0, 0.0, 0.0, 0.0)}, items=items)
    assert multiples(rows) == [("at least", 256 / size) for size in SIZES]
    law = (0.8 / (0.5 / items)) ** 2
    assert [row["power_multiple"] for row in rows.values()] == pytest.approx([law / size for size in SIZES])
    unseen = 1 - 0.025 ** (1 / items)
    for row in rows.values():
        assert 0 < row["power_ci_low"] < (0.8 / unseen) ** 2 / row["size"] * 1.5
        assert row["ci_low_is"] == "measured" if items == 20 else "at least"


def test_a_reference_without_errors_at_its_largest_size() -> None:
    rows = found({"sft": (0.4, 0.2, 0.1, 0.0), "other": (0.1, 0.0, 0.05, 0.0)})
    assert multiples(rows) == [("measured", 16), ("measured", 16), ("measured", 2), ("measured", 1)]
    assert all(math.isfinite(row["power_multiple"]) for row in rows.values())


def test_what_is_missing_has_no_multiple_and_the_reference_does_without_a_size() -> None:
    errors = {"sft": (0.4, None, 0.1, 0.05), "other": (0.2, 0.1, None, 0.05)}
    rows = found(errors, missing=[("sft", 16), ("other", 64)])
    assert [row["multiple"] for row in rows.values()] == pytest.approx(
        [4 * 16 ** (2 / 3) / 4, 4, math.nan, 1], nan_ok=True
    )
    assert (rows[64]["n"], rows[64]["multiple_is"]) == (0, "undefined")
    assert rows[4]["power_multiple"] == pytest.approx(4, rel=0.02)
    rows = found({"sft": (None,) * 4, "other": BY_LAW}, missing=[("sft", size) for size in SIZES])
    assert {row["multiple_is"] for row in rows.values()} == {"undefined"}
    (line,) = (line for line in lines(rows.values()) if line.sentence)
    assert "is undefined: scores of it, or of sft, are missing" in line.sentence


def test_one_size_or_one_question_is_no_curve() -> None:
    (row,) = found({"sft": (0.4,), "other": (0.2,)}, sizes=(4,)).values()
    assert (row["multiple"], row["multiple_is"]) == (1, "at least")
    assert math.isnan(row["power_multiple"])
    rows = found({"sft": (1.0, 1.0, 1.0, 0.0), "other": (1.0, 0.0, 0.0, 0.0)}, items=1)
    assert {row["multiple_is"] for row in rows.values()} == {"measured"}
    assert {(row["ci_low_is"], row["ci_high_is"]) for row in rows.values()} == {("undefined", "undefined")}


def test_an_undefined_resampling_counts_against_both_ends() -> None:
    draws = np.concatenate([[0.0], np.linspace(-1, 1, 1000)])
    assert percentile_interval(draws) == pytest.approx((-0.95, 0.95), abs=0.005)
    draws[1:101] = math.nan
    assert percentile_interval(draws) == (-math.inf, math.inf)
    assert np.isnan(percentile_interval(np.array([math.nan, *draws]))).all()


def test_every_draw_is_held_against_its_own_curve() -> None:
    curve = LearningCurve(np.array([10.0, 1000.0]), np.array([[0.5, 0.1], [0.9, 0.5]]), least=0.01)
    errors = np.array([0.3, 0.3])
    assert curve.interpolated(errors).tolist() == [pytest.approx(math.log(100)), math.inf]
    assert curve.interpolated(errors + 0.4).tolist() == [-math.inf, pytest.approx(math.log(100))]
    alphas = np.log([0.5 / 0.1, 0.9 / 0.5]) / math.log(100)
    assert curve.alpha == pytest.approx(alphas)
    assert curve.by_power_law(errors) == pytest.approx(math.log(10) + np.log([0.5 / 0.3, 0.9 / 0.3]) / alphas)


STUDIES = 30
TRUTH = 4
ENOUGH = int(stats.binom.ppf(0.005, STUDIES, 0.95))
"""Of as many intervals that each hold the truth with 95 %, as many do."""


def drawn(rng: np.random.Generator, items: int = 150, seeds: int = 3, luck: float = 0.1) -> dict[Any, np.ndarray]:
    """An arm of the error 0.8·size^-0.5 and one worth four times its questions; seeds and hard questions differ."""
    hard = rng.normal(size=items)
    scores = {}
    for name, worth in (("sft", 1), ("other", TRUTH)):
        for size in SIZES:
            limit = stats.norm.isf(0.8 * (worth * size) ** -0.5) * math.sqrt(1 + luck**2)
            noise = rng.normal(size=(seeds, items)) + math.sqrt(2) * luck * rng.normal(size=(seeds, 1))
            scores[arm(name, size), "x"] = ((hard + noise) / math.sqrt(2) < limit).astype(float)
    return scores


def test_intervals_hold_the_truth_and_leave_out_what_is_far_from_it() -> None:
    rng = np.random.default_rng(20261128)
    held = {(size, law): [0, 0] for size in SIZES[:3] for law in ("interpolated", "power")}
    for _ in range(STUDIES):
        scores = drawn(rng)
        table = efficiency(Measured(scores, peers=peers(scores)), [arm for arm, _ in scores], ["x"], (), "sft")
        for row in table[table["size"] < SIZES[-1]].to_dict("records"):
            low = 0.0 if row["ci_low_is"] == "at most" else row["ci_low"]
            high = math.inf if row["ci_high_is"] == "at least" else row["ci_high"]
            for place, value in enumerate((TRUTH * (1 + 1e-9), TRUTH / 16)):
                held[row["size"], "interpolated"][place] += low <= value <= high
                held[row["size"], "power"][place] += row["power_ci_low"] <= value <= row["power_ci_high"]
    for truth, far in held.values():
        assert truth >= ENOUGH
        assert far <= STUDIES / 10


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    chances = {"base": (0.4, 0.4), "sft": (0.7, 0.4), "rft": (0.8, 0.42), "worse": (0.5, 0.4)}
    study = simulate(
        *(("abacus/ledger", "abacus/boxes"), ("abacus/ledger", "abacus/boxes"), chances, (0, 1)),
        **{"items": 60, "questions": 20, "sizes": (25, 50, 100)},
    )
    folder = tmp_path_factory.mktemp("efficiency")
    work = Work(folder, Runtime(Store(folder / "store")), "compare", {})
    compare.function(study.evaluated, study.offered, reference="sft", work=work)
    return Results.read(folder)


def test_the_table_is_of_every_training_benchmark_and_of_all_together(results: Results) -> None:
    table = pd.read_csv(results.folder / "efficiency.csv")
    places = ("*", "abacus/boxes", "abacus/ledger")
    keys = [(on, arm, size) for on in places for arm in ("rft", "worse") for size in (25, 50, 100)]
    assert [*zip(table["train_benchmark"], table["arm"], table["size"], strict=True)] == keys
    scores = results.tables["scaling"].set_index(["train_benchmark", "arm", "size"])["score"]
    assert table["error"].tolist() == pytest.approx([1 - scores[key] for key in keys], abs=1e-5)
    assert set(table["reference"]) == {"sft"}


def test_the_page_says_what_each_arm_is_worth(results: Results) -> None:
    page = re.sub(r"\s+", " ", render(results, "efficiency", {}))
    said = [line for line in lines(results.rows("efficiency")) if line.sentence]
    assert [(line.where, line.arm, line.size) for line in said] == [
        ("all, pooled", arm, 100) for arm in ("rft", "worse")
    ]
    for line in said:
        assert line.sentence in page
        assert line.interpolated.interval in page
    found = re.fullmatch(
        r"A training question of arm rft is worth as much as this many of arm sft: (.+) at 25, (.+) at 50 and (.+) "
        r"at 100\.",
        said[0].sentence,
    )
    assert found is not None
    assert all("95 % interval" in each for each in found.groups())
    assert found[3].startswith("at least 1.0 ")


def test_without_a_reference_nothing_is_said(results: Results, tmp_path: Path) -> None:
    scores = {(arm(name, size), "x"): answered(0.2) for name in ("sft", "other") for size in SIZES}
    table = efficiency(Measured(scores), [arm for arm, _ in scores], ["x"])
    assert table.empty
    assert tuple(table.columns) == EFFICIENCY
    assert lines([]) == []
