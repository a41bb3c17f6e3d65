"""A whole small study for real: vLLM, training, Prefect, the report; then again from the store, damaged and resumed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests import commands
from tests.deployments.places import Place
from tests.faults.left_behind import nothing_is_left

SMALL = [
    *("--set", "name=small"),
    *("--set", "train=[abacus/ledger]"),
    *("--set", "evaluate=[abacus/ledger, abacus/sorting]"),
    *("--set", "origins={human: {}, self: {samples: 2, temperature: 0.7, max_tokens: 120}}"),
    *("--set", "questions={train: 40, evaluate: 8}"),
    *("--set", "match.correct=any"),
    *("--set", "method.epochs=1"),
    *("--set", "seeds=[0, 1]"),
]


def environment(folder: Path) -> dict[str, str]:
    """An environment with a store, slots and a Prefect home of its own, and no running server."""
    own = {
        "MOTHERTONGUE_STORE": str(folder / "store"),
        "MOTHERTONGUE_SLOTS": str(folder / "slots"),
        "PREFECT_HOME": str(folder / "prefect"),
    }
    return {name: value for name, value in {**os.environ, **own}.items() if name != "PREFECT_API_URL"}


def mothertongue(folder: Path, *arguments: str, server: str = "") -> "subprocess.CompletedProcess[str]":
    """The command as a person gives it, in a folder of its own. Its runs have Prefect servers of their own, or this."""
    named = {"PREFECT_API_URL": server} if server else {}
    return commands.run(folder, environment(folder) | named, *arguments)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    command = [sys.executable, "-m", "flows.main", "run", "abacus", *SMALL]  # as a person starts it
    ended = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Report: runs/small/report.html" in ended.stdout
    return folder


def test_results_have_the_columns_that_are_promised(finished: Path) -> None:
    summary = pd.read_csv(finished / "runs" / "small" / "summary.csv")
    assert list(summary.columns) == [
        *("student", "train_benchmark", "arm", "origin", "method", "size", "eval_benchmark"),
        *("n", "score", "ci_low", "ci_high"),
        *("base_score", "delta", "delta_ci_low", "delta_ci_high", "p_holm"),
    ]
    assert len(summary) == 2 * 2  # origins x evaluation benchmarks, seeds pooled
    perplexity = pd.read_csv(finished / "runs" / "small" / "perplexity.csv")
    assert list(perplexity.columns) == [
        *("student", "benchmark", "arm", "origin", "size", "draws", "rows", "missing", "tokens_mean"),
        *("ppl_mean", "ppl_median", "ppl_corpus", "pass_rate"),
        *("rows_trained", "ppl_trained", "tokens_trained", "rows_scored"),
    ]
    assert dict(zip(perplexity["origin"], perplexity["rows"], strict=True)) == {"human": 40, "self": 80}
    assert dict(zip(perplexity["origin"], perplexity["pass_rate"], strict=True))["human"] == 1.0


def test_every_answer_is_in_the_items(finished: Path) -> None:
    items = pd.read_parquet(finished / "runs" / "small" / "items.parquet")
    cells = items.groupby(["train_benchmark", "origin", "seed", "eval_benchmark"]).size()
    assert len(cells) == 2 + 2 * 2 * 2  # the base model, and origins x seeds, on two benchmarks
    assert set(cells) == {8}
    assert set(items["verdict"]) <= {"correct", "wrong", "unparseable"}


def test_score_agrees_with_the_items(finished: Path) -> None:
    items = pd.read_parquet(finished / "runs" / "small" / "items.parquet")
    summary = pd.read_csv(finished / "runs" / "small" / "summary.csv")
    for row in summary.itertuples():
        mine = items[(items["origin"] == row.origin) & (items["eval_benchmark"] == row.eval_benchmark)]
        assert row.score == pytest.approx((mine["verdict"] == "correct").mean(), abs=1e-6)


def test_manifest_names_every_stage(finished: Path) -> None:
    manifest = json.loads((finished / "runs" / "small" / "manifest.json").read_text())
    assert manifest["failed"] == {}
    assert "finetune self/abacus/ledger seed 1" in manifest["stages"]
    for name, key in manifest["stages"].items():
        assert (finished / "store" / name.split(" ")[0] / key / "manifest.json").is_file()


def test_prefect_keeps_no_result_that_could_be_read_again(finished: Path) -> None:
    """A record in its storage names the serializer that reads it, and with that what is run."""
    assert (finished / "prefect" / "prefect.db").is_file()
    assert [path for path in (finished / "prefect" / "storage").rglob("*") if path.is_file()] == []


def test_second_run_runs_nothing(finished: Path) -> None:
    before = (finished / "store" / "timings.jsonl").read_text()
    ended = mothertongue(finished, "run", "abacus", *SMALL)
    assert ended.returncode == 0
    assert "no stage was run" in ended.stderr
    assert (finished / "store" / "timings.jsonl").read_text() == before


def test_the_store_knows_what_the_study_reached(finished: Path) -> None:
    listed = json.loads(mothertongue(finished, "store", "ls", "--json").stdout)
    reached = {(one["stage"], one["key"]) for one in listed["artifacts"] if one["studies"] == ["small"]}
    assert len(reached) == len(listed["artifacts"])
    stages = json.loads((finished / "runs" / "small" / "manifest.json").read_text())["stages"]
    assert reached == {(name.split(" ")[0], key) for name, key in stages.items()}
    (study,) = listed["studies"]
    assert (study["file"], study["file_is_gone"], study["artifacts"]) == (None, False, len(reached))
    assert mothertongue(finished, "store", "gc", "--remove").stdout == "Nothing was removed.\n"
    assert mothertongue(finished, "store", "verify").returncode == 0


def test_plan_and_status_and_report_know_it_is_done(finished: Path) -> None:
    plan = json.loads(mothertongue(finished, "plan", "abacus", *SMALL, "--json").stdout)
    assert plan["misses"] == 0
    assert "stages finished" in mothertongue(finished, "status", "abacus", *SMALL).stdout
    assert "Report: runs/small/report.html" in mothertongue(finished, "report", "abacus", *SMALL).stdout


def test_a_flipped_byte_is_noticed_and_repaired(finished: Path, place: Place) -> None:
    rows = sorted((finished / "store" / "select").glob("*/rows.parquet"))[0]
    whole = rows.read_bytes()
    rows.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    ended = mothertongue(finished, "run", "abacus", *SMALL, server=place.api)
    assert ended.returncode == 0, ended.stderr
    assert "damaged artifact" in ended.stderr
    assert rows.read_bytes() == whole
    assert "1 stages run" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "nowhere"), "nowhere: no such study file"),
        (("plan", "abacus", "--set", "student=nobody"), "nobody: no such model. Allowed: a bundled model"),
        (
            ("plan", "abacus", "--set", "origins.self.sampels=3"),
            "origins.self.sampels: unknown key; allowed: by, keep, kind, ",
        ),
        (("run", "abacus", "--set", "train=[abacus/legder]"), "no benchmark is called 'abacus/legder'"),
        (("run", "abacus", "--set", "train=[abacus/boxes]", "--set", "questions.evaluate=5000"), "abacus/boxes/test"),
        (("score", "none.jsonl", "--model", "abacus-student"), "none.jsonl"),
    ],
)
def test_wrong_input_gets_one_line_and_exit_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = mothertongue(tmp_path, *arguments)
    assert ended.returncode == 2, ended.stderr
    lines = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert said in lines[0]
    assert "Traceback" not in ended.stderr


def test_training_and_evaluating_on_the_same_questions_stops_the_study(tmp_path: Path, place: Place) -> None:
    for split in ("train", "test"):
        rows = [
            {"question": f"How much is {n} plus {n + 1}, said my {split} uncle?", "gold": str(2 * n + 1)}
            for n in range(20)
        ]
        rows[3]["question"] = "How much is three plus four, and who on earth would like to know that today?"
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nstudent: abacus-student\n"
        "benchmarks:\n  sums: {train: train.jsonl, test: test.jsonl, verifier: number}\n"
        "train: [sums]\nevaluate: [sums]\nquestions: {train: null, evaluate: null}\norigins: {self: {}}\n"
    )
    ended = mothertongue(tmp_path, "run", "mine.yaml", server=place.api)
    assert ended.returncode == 2, ended.stderr
    assert "train/000003" in ended.stderr
    assert "test/000003" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_finished_runs_are_kept_once_and_compared(finished: Path, place: Place) -> None:
    def kept() -> list[str]:
        listed = json.loads(mothertongue(finished, "history", "small", "--json").stdout)
        return [run["run"] for run in listed["runs"]]

    before = kept()
    assert mothertongue(finished, "run", "abacus", *SMALL).returncode == 0
    assert kept() == before
    said = mothertongue(finished, "compare", "small", "latest").stdout
    assert "Nothing changed: both are the same results." in said
    noted = mothertongue(finished, "run", "abacus", *SMALL, "--set", "notes=Another note.", server=place.api)
    assert noted.returncode == 0, noted.stderr
    assert kept()[1:] == before
    said = mothertongue(finished, "compare", "previous").stdout
    assert "→ Another note." in said
    assert "the same  code, data, models, packages" in said
    assert "No number changed." in said


def test_a_finished_study_is_tracked_once(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{finished / 'mlflow.db'}")
    first = mothertongue(finished, "run", "abacus", *SMALL, "--track", "mlflow")
    assert first.returncode == 0, first.stderr
    assert "mlflow: run 20" in first.stderr
    again = mothertongue(finished, "run", "abacus", *SMALL, "--track", "mlflow")
    assert "mlflow: has these results already" in again.stderr
    wrong = mothertongue(finished, "run", "abacus", *SMALL, "--track", "mlfow")
    assert wrong.returncode == 2
    assert (
        wrong.stderr == "error: --track mlfow: no tracker is called 'mlfow' (did you mean mlflow?). Allowed: mlflow\n"
    )


def test_a_server_of_its_own_that_does_not_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "1")
    ended = mothertongue(tmp_path, "run", "abacus", *SMALL)
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("failed:")]
    assert line.startswith("failed: the run's own Prefect server did not start (Timed out")
    assert "prefect server start" in line
    assert "Traceback" not in ended.stderr
    nothing_is_left(tmp_path)
