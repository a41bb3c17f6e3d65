"""Ctrl-C, SIGTERM and kill -9 on a real run: what is done is kept, and no process, slot or temporary file is left."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import pytest

from tasks import slots
from tests.flows.test_killed_study import PATIENCE, STUDY
from tests.flows.test_study import environment


def alive(folder: Path) -> list[str]:
    """Command lines of processes that still use the folder's Prefect home."""
    return [command for _, command in running(folder)]


def running(folder: Path) -> list[tuple[int, str]]:
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
            found.append((int(process.name), (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()))
    return found


def left_in_slots(folder: Path) -> list[str]:
    """Slots that a living process has, numbers of those who wait, and temporary folders in use."""
    held = [
        lock for lock in (folder / "slots").rglob("*.lock") if (mine := slots.locked(lock)) is None or os.close(mine)
    ]
    return [str(path) for path in [*held, *(folder / "slots").glob("*/waiting/*")]]


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
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not list((folder / "store" / "generate").glob("*/parts/*.parquet")):
        assert process.poll() is None
        time.sleep(0.02)
    return process


def nothing_is_left(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (alive(folder) or left_in_slots(folder)):
        time.sleep(0.2)
    assert alive(folder) == []
    assert left_in_slots(folder) == []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to look for processes left behind")
@pytest.mark.parametrize(
    ("how", "code"),
    [
        (signal.SIGINT, 130),
        (signal.SIGKILL, -signal.SIGKILL),
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
        asked = time.monotonic()
        assert process.wait(timeout=60) == code
        assert time.monotonic() - asked < 30
        said.seek(0)
        text = said.read()
    if how == signal.SIGINT:
        assert "Stopped. What is finished is kept; go on with: mothertongue run killed" in text
    assert "Traceback" not in text
    assert list((tmp_path / "store" / "generate").glob("*/parts/*.parquet"))
    nothing_is_left(tmp_path)
    assert set(Path(tempfile.gettempdir()).glob("vllm_dist_*")) <= before


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to look for processes left behind")
@pytest.mark.parametrize("part", ["tasks.engine.process", "tasks.training.process"])
def test_a_run_whose_engine_or_nursery_is_killed_gets_another_and_ends_well(tmp_path: Path, part: str) -> None:
    with (tmp_path / "said").open("w+", encoding="utf-8") as said:
        process = until_rows_are_kept(tmp_path, said)
        deadline = time.monotonic() + PATIENCE
        while not (found := [pid for pid, command in running(tmp_path) if part in command]):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(found[0], signal.SIGKILL)
        assert process.wait(timeout=PATIENCE) == 0
    nothing_is_left(tmp_path)
    assert [path.name for path in (tmp_path / "slots" / "scratch").iterdir()] == ["mutex"]
