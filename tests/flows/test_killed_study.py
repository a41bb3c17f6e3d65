"""kill -9 in the middle of a real study, then the same command again: the same results, and no finished row redone."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.flows.test_study import environment, mothertongue

STUDY = [
    *("--set", "name=killed"),
    *("--set", "train=[abacus/boxes]"),
    *("--set", "evaluate=[abacus/boxes]"),
    *("--set", "origins={human: {}, self: {samples: 8, temperature: 0.7, max_tokens: 120}}"),
    *("--set", "questions={train: 300, evaluate: 800}"),
    *("--set", "method.epochs=1"),
    *("--set", "seeds=[0]"),
]
PATIENCE = 300.0


def kill_when_rows_are_kept(folder: Path, stage: str) -> dict[str, int]:
    """Start the study, kill it with -9 once `stage` has kept rows; returns how many questions each of its keys kept."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.main", "run", "abacus", *STUDY],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if list((folder / "store" / stage).glob("*/parts/*.parquet")):
            break
        time.sleep(0.02)
    assert process.poll() is None, f"the study ended before a row of {stage} was kept"
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept: dict[str, set[str]] = {}
    for path in (folder / "store" / stage).glob("*/parts/*.parquet"):
        kept.setdefault(path.parent.parent.name, set()).update(pq.read_table(path, columns=["id"])["id"].to_pylist())
    assert kept
    return {key: len(ids) for key, ids in kept.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    ended = mothertongue(folder, "run", "abacus", *STUDY)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["generate", "evaluate"])
def test_results_equal_those_of_an_undisturbed_run(tmp_path: Path, undisturbed: Path, stage: str) -> None:
    kept = kill_when_rows_are_kept(tmp_path, stage)
    ended = mothertongue(tmp_path, "run", "abacus", *STUDY)
    assert ended.returncode == 0, ended.stderr
    for key, questions in kept.items():
        manifest = json.loads((tmp_path / "store" / stage / key / "manifest.json").read_text())
        total = len(set(pq.read_table(tmp_path / "store" / stage / key / "rows.parquet")["id"].to_pylist()))
        assert 0 < questions < total, "it was killed too late to tell"
        assert manifest["facts"]["prompts"] == total - questions, "finished questions were asked again"
    for name in ("items.parquet", "summary.csv", "perplexity.csv"):
        one, other = (folder / "runs" / "killed" / name for folder in (tmp_path, undisturbed))
        read = pd.read_parquet if name.endswith("parquet") else pd.read_csv
        pd.testing.assert_frame_equal(read(one), read(other), rtol=1e-4)
