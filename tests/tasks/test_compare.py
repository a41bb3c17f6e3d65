"""Compare and the verdict, on studies drawn from chances that are known."""

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks.compare import compare
from tasks.comparison.cell import UNTRAINED, Cell
from tasks.comparison.contrast import Contrast
from tasks.comparison.items import CELL, ITEMS
from tasks.comparison.records import MissingCell
from tasks.comparison.responses import PERPLEXITY
from tasks.comparison.tables import SUMMARY
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.reporting.verdict_text import verdict_text
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Store
from tasks.storage.rows import Rows
from tests.tasks.simulated import CHANCES, Simulated, simulate


def run(
    study: Simulated, folder: Path, missing: tuple[Cell, ...] = (), contrasts: tuple[Contrast, ...] = ()
) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    work = Work(folder, Runtime(Store(folder / "store")), "compare test", {})
    compare.function(study.evaluated, study.offered, tuple(map(MissingCell, missing)), contrasts, work=work)
    found: dict[str, Any] = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def study() -> Simulated:
    return simulate()


@pytest.fixture(scope="module")
def folder(study: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    run(study, folder)
    return folder


def claims(found: dict[str, Any], kind: str) -> dict[tuple[str, str], str]:
    return {(c["first"], c["second"]): c["status"] for c in found["verdicts"][0]["claims"] if c["kind"] == kind}


def test_tables_have_the_public_columns(folder: Path):
    assert tuple(pd.read_csv(folder / "summary.csv").columns) == SUMMARY
    assert tuple(pd.read_csv(folder / "perplexity.csv").columns) == PERPLEXITY
    assert tuple(pd.read_parquet(folder / "items.parquet").columns) == (*ITEMS, "approach")


def test_items_has_every_answer_once(folder: Path, study: Simulated):
    items = pd.read_parquet(folder / "items.parquet")
    assert len(items) == sum(len(cell) for cell in study.cells)
    assert not items.duplicated([*CELL, "id", "sample"]).any()
    assert set(items["score"].unique()) == {0.0, 1.0}


def test_summary_is_what_the_items_say(folder: Path):
    items = pd.read_parquet(folder / "items.parquet")
    items[["train_benchmark", "origin", "eval_benchmark"]] = items[
        ["train_benchmark", "origin", "eval_benchmark"]
    ].astype(str)
    summary = pd.read_csv(folder / "summary.csv")
    assert len(summary) == 2 * 3 * 5
    for row in summary.itertuples():
        mine = items[(items["origin"] == row.origin) & (items["train_benchmark"] == row.train_benchmark)]
        mine = mine[mine["eval_benchmark"] == row.eval_benchmark]
        base = items[(items["origin"] == UNTRAINED) & (items["eval_benchmark"] == row.eval_benchmark)]
        assert row.score == pytest.approx(mine["score"].mean(), abs=1e-5)
        assert row.base_score == pytest.approx(base["score"].mean(), abs=1e-5)
        assert row.delta == pytest.approx(mine["score"].mean() - base["score"].mean(), abs=1e-5)
        assert row.ci_low <= row.score <= row.ci_high
        assert row.delta_ci_low <= row.delta <= row.delta_ci_high
        assert row.n == 100


def test_perplexity_is_what_the_responses_say(folder: Path, study: Simulated):
    table = pd.read_csv(folder / "perplexity.csv").set_index(["benchmark", "origin"])
    for of, rows in study.scored.items():
        frame = rows.frame()
        row = table.loc[of.train_benchmark, of.arm]
        assert row["rows"] == len(frame)
        assert row["tokens_mean"] == pytest.approx(frame["tokens"].mean(), rel=1e-4)
        assert row["ppl_mean"] == pytest.approx(frame["perplexity"].mean(), rel=1e-4)
        assert row["ppl_median"] == pytest.approx(frame["perplexity"].median(), rel=1e-4)
        assert row["ppl_corpus"] == pytest.approx(math.exp(frame["nll"].sum() / frame["tokens"].sum()), rel=1e-4)
        assert (row["rows_scored"], row["rows"]) == (frame["nll"].notna().sum(), len(frame))
        assert row["pass_rate"] == pytest.approx((frame["verdict"] == "correct").mean(), rel=1e-4)


def test_verdict_finds_the_truth_and_no_more(folder: Path):
    """Self and teacher differ by 2 points in truth, which 100 items cannot tell; both are far ahead of human."""
    found = json.loads((folder / "verdict.json").read_text())
    verdict = found["verdicts"][0]
    assert set(verdict["leaders"]) == {"self", "teacher"}
    assert "No single winner" in verdict["sentence"]
    assert claims(found, "in_domain") == {
        ("self", "teacher"): "not shown",
        ("self", "human"): "holds",
        ("teacher", "human"): "holds",
        ("self and teacher", "human"): "holds",
    }
    assert set(claims(found, "perplexity").values()) == {"holds"}
    assert claims(found, "elsewhere")["self", "human"] == "holds"
    assert claims(found, "loss")["human", UNTRAINED] == "holds"
    assert claims(found, "loss")["self", UNTRAINED] == "not shown"


def test_a_clear_winner_is_named(tmp_path: Path):
    verdict = run(simulate(chances={**CHANCES, "self": (0.95, 0.54)}), tmp_path)["verdicts"][0]
    assert verdict["leaders"] == ["self"]
    assert verdict["sentence"].startswith("abacus-student learns best from self responses")


def test_a_winner_that_does_not_beat_the_untrained_student_is_no_best_teacher(tmp_path: Path):
    chances = {UNTRAINED: (0.7, 0.55), "self": (0.63, 0.54), "teacher": (0.4, 0.48), "human": (0.3, 0.33)}
    verdict = run(simulate(chances=chances, train=("abacus/ledger",)), tmp_path)["verdicts"][0]
    assert verdict["leaders"] == ["self"]
    said = "No training is shown to help abacus-student; self responses are ahead of the others: 6"
    assert verdict["sentence"].startswith(said)


def test_where_no_arm_is_ever_right_nothing_can_be_said(tmp_path: Path):
    chances = {UNTRAINED: (0.5, 0.5), "self": (1e-12, 0.5), "human": (1e-12, 0.5)}
    verdict = run(simulate(chances=chances), tmp_path)["verdicts"][0]
    assert verdict["leaders"] == []
    assert verdict["sentence"] == (
        "Whose responses abacus-student learns best from cannot be said: no arm answers any question right in domain."
    )


def test_a_claim_against_the_truth_does_not_hold(tmp_path: Path):
    """Human responses are the least familiar here and teach best: the familiarity hypothesis must fail."""
    found = run(simulate(chances={**CHANCES, "human": (0.97, 0.9)}), tmp_path)
    assert found["verdicts"][0]["leaders"] == ["human"]
    assert claims(found, "in_domain")["self", "human"] == "does not hold"
    assert claims(found, "elsewhere")["teacher", "human"] == "does not hold"


def test_equal_origins_tie(tmp_path: Path):
    same = {UNTRAINED: (0.5, 0.5), "self": (0.8, 0.5), "teacher": (0.8, 0.5), "human": (0.8, 0.5)}
    found = run(simulate(chances=same), tmp_path)
    assert len(found["verdicts"][0]["leaders"]) == 3
    assert "holds" not in claims(found, "in_domain").values()


@pytest.mark.parametrize(
    "shape",
    [
        {"seeds": (0,)},
        {"train": ("abacus/ledger",), "evaluate": ("abacus/ledger",)},
        {"chances": {UNTRAINED: (0.5, 0.5), "rewrite": (0.8, 0.5)}},
        {
            "chances": {
                UNTRAINED: (0.5, 0.5),
                "gpt-x": (0.8, 0.5),
                "qwen": (0.7, 0.5),
                "human": (0.6, 0.5),
                "me": (0.6, 0.4),
            }
        },
        {"items": 1},
        {"evaluate": ("abacus/clock", "abacus/sorting")},
        {"chances": {"self": (0.8, 0.5), "human": (0.6, 0.5)}},
    ],
    ids=["one seed", "one benchmark", "one origin", "any names", "one item", "not in domain", "no base"],
)
def test_any_shape_of_study_gets_a_verdict(shape: dict[str, Any], tmp_path: Path):
    found = run(simulate(**shape), tmp_path)
    assert found["verdicts"][0]["sentence"]
    assert "NaN" not in (tmp_path / "verdict.json").read_text()
    assert found["verdicts"][0]["sentence"] in verdict_text(tmp_path)


def test_no_trained_arm_at_all(tmp_path: Path):
    assert run(simulate(chances={UNTRAINED: (0.5, 0.5)}), tmp_path)["verdicts"] == []
    assert len(pd.read_csv(tmp_path / "summary.csv")) == 0


def test_errors_are_missing_and_never_wrong(tmp_path: Path):
    study = simulate(errors=0.1)
    run(study, tmp_path)
    items = pd.read_parquet(tmp_path / "items.parquet")
    failed = items["verdict"] == "error"
    assert 0.05 < failed.mean() < 0.15
    assert items.loc[failed, "score"].isna().all()
    cells = pd.read_csv(tmp_path / "cells.csv")
    judged = cells["correct"] + cells["wrong"] + cells["unparseable"]
    assert (cells["correct"] / judged).to_numpy() == pytest.approx(cells["score"].to_numpy(), abs=1e-5)


def test_missing_cells_are_listed_and_their_rows_kept(tmp_path: Path, study: Simulated):
    lost = [i for i, name in enumerate(study.names) if name.origin == "human" and name.eval_benchmark == "abacus/clock"]
    kept = [i for i in range(len(study.names)) if i not in lost]
    fewer = replace(study, cells=tuple(study.cells[i] for i in kept), names=tuple(study.names[i] for i in kept))
    found = run(fewer, tmp_path, tuple(study.names[i] for i in lost))
    assert len(found["missing"]) == len(lost) == 6
    assert {cell["eval_benchmark"] for cell in found["missing"]} == {"abacus/clock"}
    summary = pd.read_csv(tmp_path / "summary.csv")
    rows = summary[(summary["origin"] == "human") & (summary["eval_benchmark"] == "abacus/clock")]
    assert len(summary) == 30
    assert rows["n"].tolist() == [0, 0]
    assert rows["delta"].isna().all()


def test_one_missing_seed_leaves_the_others(tmp_path: Path, study: Simulated):
    lost = next(
        i
        for i, n in enumerate(study.names)
        if n.origin == "self" and n.seed == 1 and n.eval_benchmark == "abacus/clock"
    )
    fewer = replace(
        study,
        cells=tuple(c for i, c in enumerate(study.cells) if i != lost),
        names=tuple(n for i, n in enumerate(study.names) if i != lost),
    )
    run(fewer, tmp_path, (study.names[lost],))
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert (summary["n"] == 100).all()


def _shuffled(rows: Rows) -> Rows:
    listed = list(rows)
    random.Random(1).shuffle(listed)
    return Rows.of(listed)


def _reversed(study: Simulated) -> Simulated:
    return replace(study, cells=study.cells[::-1], names=study.names[::-1])


@pytest.mark.parametrize(
    "change",
    [lambda s: replace(s, cells=tuple(map(_shuffled, s.cells))), _reversed],
    ids=["order of rows", "order of cells"],
)
def test_order_changes_nothing(
    change: Callable[[Simulated], Simulated], study: Simulated, folder: Path, tmp_path: Path
):
    run(change(study), tmp_path)
    for name in ("summary.csv", "perplexity.csv", "cells.csv", "verdict.json", "examples.json"):
        assert (tmp_path / name).read_text() == (folder / name).read_text()


def test_samples_are_averaged(tmp_path: Path):
    study = simulate(seeds=(0,), items=40)
    doubled = tuple(Rows.of([*cell, *({**row, "sample": 1} for row in cell)]) for cell in study.cells)
    run(replace(study, cells=doubled), tmp_path / "doubled")
    run(study, tmp_path / "once")
    twice, once = (pd.read_csv(tmp_path / name / "summary.csv") for name in ("doubled", "once"))
    pd.testing.assert_frame_equal(twice, once)


def test_baselines_stand_beside_the_scores(folder: Path):
    found = json.loads((folder / "verdict.json").read_text())
    row = next(b for b in found["baselines"] if b["eval_benchmark"] == "abacus/ledger")
    assert row["items"] == 100
    assert row["majority"] == pytest.approx(0.06)
    assert row["majority_label"] == "30"
    assert (row["copy"], row["abstain"]) == (0.0, 0.0)


def test_two_cells_of_one_name_are_refused(study: Simulated, tmp_path: Path):
    with pytest.raises(StageFailed, match="different names"):
        run(replace(study, names=(study.names[0],) * len(study.names)), tmp_path)


def test_an_unknown_verdict_is_refused(study: Simulated, tmp_path: Path):
    broken = Rows.of([{**row, "verdict": "perhaps"} for row in study.cells[0]])
    with pytest.raises(StageFailed, match="perhaps"):
        run(replace(study, cells=(broken, *study.cells[1:])), tmp_path)


def test_pass_at_k_is_reported_where_there_are_samples(tmp_path: Path) -> None:
    study = simulate(train=("abacus/ledger",), evaluate=("abacus/ledger",), items=6, seeds=(0,))
    verdicts = ["correct", "wrong", "wrong", "wrong"]  # of every question, whatever the arm
    cells = tuple(
        Rows.of([{**row, "sample": i, "verdict": verdict} for row in cell for i, verdict in enumerate(verdicts)])
        for cell in study.cells
    )
    work = Work(tmp_path, Runtime(Store(tmp_path / "store")), "compare", {})
    compare.function(replace(study, cells=cells).evaluated, study.offered, work=work)
    found = pd.read_csv(tmp_path / "pass_at_k.csv", keep_default_na=False)
    assert sorted(set(found["k"])) == [1, 2, 4]
    for row in found.itertuples():
        assert row.pass_at_k == pytest.approx(row.k / 4)
        assert (row.samples, row.questions) == (4, 6)
