"""Two machines want the same artifacts from one store, while the wall clock of one of them is set to and fro."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.disturbed import measured
from tests.faults.remotely import Remotely
from tests.tasks.s3 import Server
from tests.waiting import until

pytestmark = pytest.mark.slow
HOUR = 3600
LEASE = "6"


class Clock:
    """A wall clock for some processes, which can be set while they run."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        library = folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_SET_BY": str(self._file)}
        self.set(0)

    def set(self, hours: float) -> None:
        """So much ahead of the machine's clock."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(str(int(hours * HOUR)))
        draft.replace(self._file)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler for a clock that can be set")
def test_two_machines_make_everything_once_while_the_clock_of_one_jumps(
    tmp_path: Path, remote_study: Callable[..., Remotely], s3: Server
) -> None:
    clock = Clock(tmp_path)
    lacking = ("generate", "finetune", "compare", "report")
    one = remote_study(*lacking, machine="one", MOTHERTONGUE_LEASE=LEASE)
    two = remote_study(*lacking, machine="two", MOTHERTONGUE_LEASE=LEASE)
    before = one.finished
    one.begin(**clock.environment)
    two.begin()
    until(lambda: any(list(each.store.glob("generate/*/parts/*.parquet")) for each in (one, two)), "no row was kept")
    clock.set(-5)
    until(lambda: any(name.startswith("generate/") for name in one.finished), "no responses were made", pause=0.5)
    clock.set(72)
    for each in (one, two):
        each.ends(0)
        assert "Traceback" not in each.said
        each.ended_well(before)
        each.nothing_is_left()
    made = [
        path.relative_to(each.store).parent
        for each in (one, two)
        for path in each.store.glob("*/*/manifest.json")
        if str(path.relative_to(each.store)) not in before
    ]
    lines = [len(path.read_text().splitlines()) for each in (one, two) for path in each.store.glob("timings.jsonl")]
    measured(made=len(set(made)), steps_timed=sum(lines))
    assert sum(lines) == len(set(made)), "an artifact was made twice"
    assert not list(s3.files().find(f"{one.url}/locks")), "a lease was left"
