"""Ctrl-C on a real run: it stops at once, says how to go on, keeps what is done, and leaves no process behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.flows.test_killed_study import PATIENCE, STUDY
from tests.flows.test_study import environment


def alive(folder: Path) -> list[str]:
    """Command lines of processes that still use the folder's Prefect home."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            variables = (process / "environ").read_bytes()
            zombie = (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (OSError, IndexError):
            continue
        if str(folder).encode() in variables and not zombie:
            found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to look for processes left behind")
def test_ctrl_c_stops_at_once_and_leaves_nothing_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.main", "run", "abacus", *STUDY],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not list((tmp_path / "store" / "generate").glob("*/parts/*.parquet")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    asked = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - asked < 30
    assert process.returncode == 130
    assert "Stopped. What is finished is kept; go on with: mothertongue run killed" in said
    assert "Traceback" not in said
    assert list((tmp_path / "store" / "generate").glob("*/parts/*.parquet"))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and alive(tmp_path):
        time.sleep(0.2)
    assert alive(tmp_path) == []
