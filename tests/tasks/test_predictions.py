"""A study's own record of predictors, and KL against forgetting, on studies whose truth is known."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from tasks.compare import compare
from tasks.comparison.cell import Arm
from tasks.comparison.divergence import divergence
from tasks.comparison.predictions import ALL, record, values
from tasks.comparison.records import Moved, Offered
from tasks.comparison.results import Results
from tasks.comparison.statistics import Measured
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.report import render
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tests.tasks.simulated import CHANCES, Simulated, simulate

DIRECTIONS = {"length": ("length, tokens", "higher"), "perfect": ("perfect", "higher"), "silent": ("silent", "lower")}
ARMS = {**CHANCES, "paraphrase": (0.7, 0.45), "gold_only": (0.45, 0.4), "self@any": (0.99, 0.5)}
LENGTHS = {"self": 30.0, "teacher": 50.0, "human": 60.0, "paraphrase": 40.0, "gold_only": 2.0, "self@any": 99.0}


def predicted(of: Mapping[str, float], rows: int = 100) -> Rows:
    return Rows.of(
        [
            {"predictor": name, "value": value, "rows": rows, "lacks": "" if value == value else "no own responses"}
            for name, value in {**of, "silent": math.nan}.items()
        ]
    )


def offered(study: Simulated, training: Mapping[str, str] = {}) -> tuple[Offered[Rows], ...]:
    return tuple(
        replace(
            one,
            predictors=predicted({"perfect": ARMS[one.of.arm][0], "length": LENGTHS[one.of.arm]}),
            training=training.get(one.of.arm, "all"),
        )
        for one in study.offered
    )


@pytest.fixture(scope="module")
def study() -> Simulated:
    return simulate(chances=ARMS, items=200)


@pytest.fixture(scope="module")
def folder(study: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compared(study, tmp_path_factory.mktemp("compared"), offered(study))


def compared(
    study: Simulated, folder: Path, given: tuple[Offered[Rows], ...], moved: tuple[Moved[Rows], ...] = ()
) -> Path:
    work = Work(folder, Runtime(Store(folder / "store")), "compare test", {})
    compare.function(study.evaluated, given, directions=DIRECTIONS, moved=moved, work=work)
    return folder


def test_each_arm_has_each_predictor_beside_its_accuracy(folder: Path) -> None:
    table = pd.read_parquet(folder / "predictors.parquet")
    cells = pd.read_parquet(folder / "cells.parquet")
    assert len(table) == 2 * 6 * 3
    for row in table.itertuples():
        mine = cells[(cells["arm"] == row.arm) & (cells["train_benchmark"] == row.train_benchmark)]
        mine = mine[mine["eval_benchmark"].astype(str) == row.train_benchmark]
        assert row.accuracy == pytest.approx(mine["score"].mean())
        assert (row.origin, row.method, row.size, row.rows) == (row.arm, "sft", 0, 100)
    silent = table[table["predictor"] == "silent"]
    assert silent["value"].isna().all()
    assert set(silent["lacks"]) == {"no own responses"}


def test_the_record_is_what_the_accuracies_say(folder: Path) -> None:
    """Controls compete with none: of five arms the longest responses are people's."""
    rows = pd.read_parquet(folder / "predictor_record.parquet").to_dict("records")
    found: dict[tuple[str, str], dict[str, Any]] = {(row["train_benchmark"], row["predictor"]): row for row in rows}
    table = pd.read_parquet(folder / "predictors.parquet")
    table = table[~table["arm"].str.contains("@")]
    for benchmark in sorted(set(table["train_benchmark"])):
        here = table[table["train_benchmark"] == benchmark]
        accuracy = here[here["predictor"] == "length"].set_index("arm")["accuracy"]
        for name in ("length", "perfect"):
            known = here[here["predictor"] == name].set_index("arm")["value"]
            row, picked = found[benchmark, name], str(known.idxmax())
            assert row["correlation"] == pytest.approx(spearmanr(known, accuracy[known.index])[0])
            assert row["correlation_low"] <= row["correlation"] <= row["correlation_high"]
            assert row["pick"] == picked
            assert row["regret"] == pytest.approx(accuracy.max() - accuracy[picked])
            assert row["regret_low"] <= row["regret"] <= row["regret_high"]
            assert row["chance"] == pytest.approx(accuracy.mean())
            assert (row["best"], row["arms"]) == (pytest.approx(accuracy.max()), 5)
        assert found[benchmark, "length"]["pick"] == "human"
        assert found[benchmark, "silent"]["pick"] == ""
        assert found[benchmark, "silent"]["lacks"] == "no own responses"
    for name in ("length", "perfect"):
        whole = found[ALL, name]
        for column in ("correlation", "regret"):
            each = [found[benchmark, name][column] for benchmark in sorted(set(table["train_benchmark"]))]
            assert whole[column] == pytest.approx(sum(each) / 2)
    perfect, length = found[ALL, "perfect"], found[ALL, "length"]
    assert perfect["against_length"] == pytest.approx(perfect["regret"] - length["regret"])
    assert perfect["against_length_high"] < 0, "a difference this large is beyond chance"
    assert math.isnan(length["against_length"])


def test_arms_that_are_trained_otherwise_are_no_choice_among_rows(study: Simulated, tmp_path: Path) -> None:
    given = offered(study, {"teacher": "masked", "human": "masked", "gold_only": "alone"})
    found = pd.read_parquet(compared(study, tmp_path, given) / "predictor_record.parquet")
    arms = found[(found["predictor"] == "length") & (found["train_benchmark"] == ALL)].set_index("training")["arms"]
    assert arms.to_dict() == {"all": 4, "masked": 4}, "two arms of each on two benchmarks; one alone is none"


def test_draws_of_several_seeds_are_averaged() -> None:
    arm = Arm("s", "x", "self", "self", "sft")
    scores = {(arm, "x"): np.array([[1.0, 0.0, 1.0, 1.0]])}
    study = simulate(chances={"base": (0.5, 0.5), "self": (0.6, 0.5)}, items=4)
    first = study.offered[0]
    of = replace(first.of, student="s", train_benchmark="x", arm="self")
    draws = [replace(first, of=replace(of, seed=n), predictors=predicted({"length": n + 1.0})) for n in (0, 1)]
    table = values(draws, Measured(scores), [arm], DIRECTIONS).set_index("predictor")
    assert table.loc["length", "value"] == 1.5
    assert table.loc["length", "rows"] == 200
    assert table.loc["length", "accuracy"] == 0.75
    assert record(table.reset_index(), Measured(scores)).empty, "one arm is no choice"


def said(nll: list[float], finish: str = "stop") -> Rows:
    rows: list[Row] = [{"id": f"q{n}", "tokens": 2 + n, "nll": value, "finish": "stop"} for n, value in enumerate(nll)]
    rows[-1]["finish"] = finish
    return Rows.of(rows)


def test_kl_is_the_mean_over_tokens_of_the_lost_log_probability() -> None:
    """Of 2, 3 and 4 tokens that lose 1, 2 and 3 nats: 6 nats over 9 tokens; cut off, the last one does not count."""
    kl, responses, tokens = divergence(said([1.0, 1.0, 1.0]), said([2.0, 3.0, 4.0]))
    assert (kl.value, responses, tokens) == (pytest.approx(6 / 9), 3, 9)
    assert kl.low < kl.value < kl.high
    kl, responses, tokens = divergence(said([1.0, 1.0, 1.0], "length"), said([2.0, 3.0, 4.0], "length"))
    assert (kl.value, responses, tokens) == (pytest.approx(3 / 5), 2, 5)
    kl, responses, tokens = divergence(said([1.0, math.nan]), said([1.5, math.nan]))
    assert (kl.value, responses) == (pytest.approx(0.25), 1)
    assert math.isnan(kl.low)


def test_the_estimate_is_kl_where_it_can_be_computed() -> None:
    """Single tokens drawn from one distribution, against the sum over all tokens; the interval holds it."""
    rng = np.random.default_rng(0)
    base, trained = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
    drawn = rng.choice(3, size=4000, p=base)
    rows = [
        Rows.of([{"id": str(n), "tokens": 1, "nll": -math.log(of[token])} for n, token in enumerate(drawn)])
        for of in (base, trained)
    ]
    kl, _, _ = divergence(*rows)
    truth = float((base * np.log(base / trained)).sum())
    assert kl.low < truth < kl.high
    assert kl.value == pytest.approx(truth, abs=0.02)


def test_forgetting_goes_with_kl_where_arms_that_move_further_lose_more(study: Simulated, tmp_path: Path) -> None:
    before = said([1.0, 1.0, 1.0])
    losses = {arm: CHANCES["base"][1] - ARMS[arm][1] for arm in ARMS if arm != "base"}
    moved = tuple(
        Moved(cell.of, cell.seed, before, said([1 + 10 * losses[cell.arm]] * 3))
        for cell in study.names
        if cell.trained and cell.eval_benchmark == cell.train_benchmark
    )
    compared(study, tmp_path, offered(study), moved)
    far = pd.read_parquet(tmp_path / "divergence.parquet")
    assert len(far) == 2 * 6 * 3
    cells = pd.read_parquet(tmp_path / "cells.parquet")
    row = far.iloc[0]
    mine = cells[(cells["arm"] == row["arm"]) & (cells["seed"] == row["seed"])]
    mine = mine[mine["train_benchmark"].astype(str) == row["train_benchmark"]].set_index("eval_benchmark")["score"]
    base = cells[cells["arm"] == "base"].set_index("eval_benchmark")["score"]
    others = [on for on in base.index if on != row["train_benchmark"]]
    assert row["elsewhere"] == pytest.approx(np.mean([mine[on] - base[on] for on in others]))
    found = pd.read_parquet(tmp_path / "forgetting.parquet")
    assert list(found["arms"]) == [6, 6]
    assert (found["correlation"] < -0.5).all()
    assert (found["correlation_high"] < 0).all()


def test_without_kl_there_are_no_rows(folder: Path) -> None:
    assert pd.read_parquet(folder / "divergence.parquet").empty
    assert pd.read_parquet(folder / "forgetting.parquet").empty
    assert json.loads((folder / "verdict.json").read_text())["verdicts"]


def test_the_page_shows_picks_regret_and_a_scatter_of_each(folder: Path) -> None:
    page = render(Results.read(folder), "a study", {})
    assert "What could have been known before training" in page
    rows = pd.read_parquet(folder / "predictor_record.parquet")
    whole = rows[(rows["train_benchmark"] == ALL) & (rows["predictor"] == "length")].iloc[0]
    regret = f"{100 * whole['regret']:.1f}"
    assert f"those of length {regret}\N{NO-BREAK SPACE}points" in page
    section = page.partition("What could have been known before training")[2].partition("<h2>")[0]
    assert section.count("<svg") == 2
    assert section.count("no own responses") == 2, "what was not measured says why, on each benchmark"
    assert "self@any" not in section, "controls are no choice"
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "What forgetting goes with" not in page


def test_the_page_of_two_ways_of_training_has_both_and_says_what_forgetting_goes_with(
    study: Simulated, tmp_path: Path
) -> None:
    before = said([1.0, 1.0, 1.0])
    moved = tuple(
        Moved(cell.of, cell.seed, before, said([1.5] * 3))
        for cell in study.names
        if cell.trained and cell.eval_benchmark == cell.train_benchmark
    )
    given = offered(study, {"teacher": "masked", "human": "masked"})
    page = render(Results.read(compared(study, tmp_path, given, moved)), "a study", {})
    assert page.count("What could have been known before training: sft, ") == 2
    assert "whether forgetting goes with KL is undefined" in page, "all arms moved alike"
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_page_without_predictors_says_nothing_of_them(tmp_path: Path) -> None:
    simulated = simulate(items=20, seeds=(0,))
    work = Work(tmp_path, Runtime(Store(tmp_path / "store")), "compare test", {})
    compare.function(simulated.evaluated, simulated.offered, work=work)
    assert "before training</h2>" not in render(Results.read(tmp_path), "a study", {})
