"""A finished study's numbers in MLflow: in a database, and on a real server; once; and never at the study's cost."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from data.errors import InputError
from flows.results import tracking
from tests.flows.finished import finish
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from mlflow.entities import Run

pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.chdir(tmp_path)
    return []


def recorded(experiment: str = "small") -> "list[Run]":
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
    found: Any = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id]))


def test_one_run_for_each_results(said: list[str], tmp_path: Path) -> None:
    folder = finish(tmp_path / "runs", "small", 1)
    tracking.track("mlflow", folder, said.append)
    tracking.track("mlflow", folder, said.append)  # found in the store: the same results
    assert [line.partition(" at ")[0] for line in said] == [
        "mlflow: run 20261121T120100Z-00000001 of the experiment small",
        "mlflow: has these results already, as run 20261121T120100Z-00000001 of the experiment small",
    ]
    (run,) = recorded()
    assert run.info.status == "FINISHED"
    assert run.data.params["questions.evaluate"] == "60"
    assert run.data.params["seeds"] == "[0, 1, 2]"
    assert run.data.tags["mothertongue.study"] == "small"
    assert "abacus-student" in run.data.tags["mlflow.note.content"]
    summary = pd.read_csv(folder / "summary.csv")
    for row in summary.itertuples():
        place = f"{row.origin}/abacus.ledger/{str(row.eval_benchmark).replace('/', '.')}"
        assert run.data.metrics[f"score/{place}"] == pytest.approx(row.score)
        assert run.data.metrics[f"delta/{place}"] == pytest.approx(row.delta)
    for row in pd.read_csv(folder / "perplexity.csv").itertuples():
        assert run.data.metrics[f"perplexity/{row.origin}/abacus.ledger"] == pytest.approx(row.ppl_median)
    from mlflow.artifacts import list_artifacts

    assert {"report.html", "summary.csv"} <= {file.path for file in list_artifacts(run_id=run.info.run_id)}
    tracking.track("mlflow", finish(tmp_path / "runs", "small", 2), said.append)
    assert len(recorded()) == 2


def test_half_a_run_is_not_taken_for_the_results(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = finish(tmp_path / "runs", "small", 1)
    (tmp_path / "mlruns").write_text("in the way of the artifacts' folder")
    tracking.track("mlflow", folder, said.append)
    assert said[-1].startswith("warning: mlflow has not got these results: ")
    assert [run.info.status for run in recorded()] == ["FAILED"]
    (tmp_path / "mlruns").unlink()
    tracking.track("mlflow", folder, said.append)
    assert sorted(run.info.status for run in recorded()) == ["FAILED", "FINISHED"]


def test_nothing_is_asked_for_and_nothing_is_imported(tmp_path: Path) -> None:
    finish(tmp_path / "runs", "small", 1)
    script = (
        "import sys; from pathlib import Path; from flows.results import tracking\n"
        f"tracking.track('', Path({str(tmp_path / 'runs' / 'small')!r}), print)\n"
        "tracking.find('mlflow'); assert 'mlflow' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr


def test_a_server_that_is_gone_costs_one_line(said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:planted-password@127.0.0.1:9")
    tracking.track("mlflow", finish(tmp_path / "runs", "small", 1), said.append)
    (line,) = said
    assert line.startswith("warning: mlflow has not got these results: ")
    assert "planted" not in line
    assert "\n" not in line


def test_an_unknown_tracker_gets_one_line(said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tracker is called 'mlfow' \(did you mean mlflow\?\)\. Allowed: mlflow"):
        tracking.find("mlfow")
    tracking.track("mlfow", finish(tmp_path / "runs", "small", 1), said.append)
    assert said == [
        "warning: mlfow has not got these results: no tracker is called 'mlfow' (did you mean mlflow?). Allowed: mlflow"
    ]


def test_a_missing_package_gets_one_line(tmp_path: Path) -> None:
    """In an interpreter that finds no mlflow."""
    script = (
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'mlflow' else real(name, *more)\n"
        "from flows.main import main; import sys; sys.argv[1:] = ['run', 'abacus', '--track', 'mlflow']; main()"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ended.returncode == 2
    assert ended.stderr == (
        "error: --track mlflow: the package mlflow-skinny is not installed. Allowed after: pip install mlflow-skinny\n"
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    if shutil.which("mlflow") is None:
        pytest.skip("there is no mlflow command")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "server.log"
    command = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with log.open("w") as to:
        process = subprocess.Popen(
            [sys.executable, *command, "--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}"],
            stdout=to,
            stderr=to,
            cwd=tmp_path,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except OSError:
                if process.poll() is not None and "pip install" in log.read_text():
                    pytest.skip("mlflow-skinny has no server; the whole mlflow package would")
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline, "the MLflow server did not start"
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15) if process.poll() is None else None
        process.wait(timeout=PATIENCE)


@pytest.mark.slow
def test_a_real_server(said: list[str], server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    folder = finish(tmp_path / "runs", "small", 1)
    tracking.track("mlflow", folder, said.append)
    tracking.track("mlflow", folder, said.append)
    assert "has these results already" in said[-1]
    (run,) = recorded()
    assert run.info.status == "FINISHED"
