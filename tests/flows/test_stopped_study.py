"""Ctrl-C, SIGTERM and kill -9 on a real run: what is done is kept, and no process, slot or temporary file is left."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest

from tests.faults.disturbed import STUDY
from tests.faults.left_behind import nothing_is_left
from tests.flows.test_study import environment
from tests.waiting import PATIENCE, until


def until_rows_are_kept(folder: Path, said: IO[str]) -> "subprocess.Popen[str]":
    """A run in the middle of generating."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.main", "run", "abacus", *STUDY],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=said,
        text=True,
        start_new_session=True,
    )

    def kept() -> bool:
        assert process.poll() is None
        return bool(list((folder / "store" / "generate").glob("*/parts/*.parquet")))

    until(kept)
    return process


def states(folder: Path) -> list[str]:
    """How the flow runs have ended, by the database of the run's own server."""
    (database,) = folder.rglob("prefect.db")
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        return [str(state) for (state,) in opened.execute("SELECT state_type FROM flow_run")]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to look for processes left behind")
@pytest.mark.parametrize(
    ("how", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGKILL, -signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_leaves_nothing_behind(tmp_path: Path, how: signal.Signals, code: int) -> None:
    before = set(Path(tempfile.gettempdir()).glob("vllm_dist_*"))
    with (tmp_path / "said").open("w+", encoding="utf-8") as said:
        process = until_rows_are_kept(tmp_path, said)
        if how == signal.SIGINT:
            os.killpg(process.pid, how)  # as a terminal does
        else:
            process.send_signal(how)
        assert process.wait(timeout=PATIENCE) == code
        said.seek(0)
        text = said.read()
    if how == signal.SIGINT:
        assert "Stopped. What is finished is kept; go on with: mothertongue run abacus --set name=faults" in text
    assert "Traceback" not in text
    assert list((tmp_path / "store" / "generate").glob("*/parts/*.parquet"))
    nothing_is_left(tmp_path)
    if how != signal.SIGKILL:
        assert states(tmp_path) == {signal.SIGINT: ["CANCELLED"], signal.SIGTERM: ["CRASHED"]}[how]
    assert set(Path(tempfile.gettempdir()).glob("vllm_dist_*")) <= before
