"""A disk that is really full, a small file system of its own, under each thing that a study writes to."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.disturbed import Disturbed
from tests.faults.remotely import Remotely
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow
SAID = "No space left on device"
BLOCK = 4096
AT_ONCE = 60.0


class Disk:
    """A file system of a few MiB."""

    def __init__(self, at: Path, mib: int = 16) -> None:
        self.at = at
        at.mkdir(parents=True, exist_ok=True)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(at)],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")

    def fill(self) -> None:
        """Leave not a byte."""
        with suppress(OSError), (self.at / "ballast").open("ab", buffering=0) as file:
            while True:
                file.write(os.urandom(BLOCK))

    def make_room(self) -> None:
        (self.at / "ballast").unlink()

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self.at)], check=True)


@pytest.fixture
def disk() -> Iterator[Callable[[Path], Disk]]:
    made: list[Disk] = []

    def make(at: Path) -> Disk:
        made.append(Disk(at))
        return made[-1]

    yield make
    for each in made:
        each.unmount()


def fails_in_one_line(disturbed: Disturbed, *where: str) -> float:
    """It ends by itself, says what to do, and leaves nothing behind. Returns the seconds until its end."""
    took = disturbed.ends(1)
    (line, *_) = [line for line in disturbed.said.splitlines() if line.startswith("failed: ")] or [disturbed.said]
    assert SAID in line, line
    assert "make room and run again; what is finished is kept" in line
    assert not where or any(str(each) in line for each in where), line
    assert "Traceback" not in disturbed.said
    disturbed.nothing_is_left()
    return took


def test_a_full_disk_under_the_store_stops_the_stage_and_loses_nothing(
    tmp_path: Path, study: Callable[..., Disturbed], disk: Callable[[Path], Disk]
) -> None:
    small = disk(tmp_path / "small")
    disturbed = study("generate", "finetune", "compare", "report", at=small.at / "store")
    for stage in ("generate", "finetune"):
        disturbed.begin()
        disturbed.works_at(stage, rows=stage == "generate")
        before, kept = disturbed.finished, disturbed.kept(stage)
        small.fill()
        fails_in_one_line(disturbed, str(small.at))
        assert {name: disturbed.finished.get(name) for name in before} == before
        small.make_room()
        if stage == "generate":
            rows = kept
    disturbed.go_on()
    disturbed.ended_well(before)
    disturbed.asked_for_the_rest("generate", rows)


def test_a_full_disk_under_the_engine_is_one_line(
    tmp_path: Path, study: Callable[..., Disturbed], disk: Callable[[Path], Disk]
) -> None:
    small = disk(tmp_path / "small")
    (small.at / "tmp").mkdir()
    own = {"TMPDIR": str(small.at / "tmp"), "MOTHERTONGUE_SLOTS": str(small.at / "slots")}
    disturbed = study("generate", "compare", "report", **own)
    before = disturbed.finished
    small.fill()
    disturbed.begin()
    assert fails_in_one_line(disturbed, str(small.at)) < AT_ONCE
    small.make_room()
    disturbed.begin()
    disturbed.works_at("generate")  # its engine is about to start, which may have written all it needs
    small.fill()
    if disturbed.process.wait(PATIENCE) != 0:
        fails_in_one_line(disturbed, str(small.at))
        small.make_room()
        disturbed.go_on()
    assert "Traceback" not in disturbed.said
    disturbed.ended_well(before, without=["select"])


def test_a_full_disk_under_the_results_is_one_line(
    tmp_path: Path, study: Callable[..., Disturbed], disk: Callable[[Path], Disk]
) -> None:
    small = disk(tmp_path / "runs")
    disturbed = study("compare", "report")
    small.fill()
    disturbed.begin()
    fails_in_one_line(disturbed, "runs")
    before = disturbed.finished
    assert any(name.startswith("report/") for name in before)
    small.make_room()
    disturbed.go_on()
    disturbed.ended_well(before)


def test_a_full_disk_under_prefect_does_not_stop_the_study(
    tmp_path: Path, study: Callable[..., Disturbed], disk: Callable[[Path], Disk]
) -> None:
    small = disk(tmp_path / "prefect")
    disturbed = study("generate", "compare", "report")
    disturbed.begin()
    disturbed.works_at("generate", rows=True)
    before = disturbed.finished
    small.fill()
    disturbed.ends(0)
    assert "Traceback" not in disturbed.said
    disturbed.ended_well(before)
    disturbed.nothing_is_left()


def test_a_full_disk_under_the_cache_of_a_remote_store_loses_nothing(
    tmp_path: Path, remote_study: Callable[..., Remotely], disk: Callable[[Path], Disk]
) -> None:
    small = disk(tmp_path / "one" / "cache")
    disturbed = remote_study("generate", "compare", "report")
    disturbed.begin()
    disturbed.works_at("generate", rows=True)
    before, kept = disturbed.finished, disturbed.kept("generate")
    small.fill()
    fails_in_one_line(disturbed, str(small.at))
    small.make_room()
    disturbed.go_on()
    disturbed.ended_well(before)
    disturbed.asked_for_the_rest("generate", kept)
