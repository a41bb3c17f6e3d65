"""Slots of the machine, with real processes: one at a time, first come first served, free when the holder is killed."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.models.model import Model
from tasks.pipeline import runtime
from tasks.resources import devices, scratch, slots
from tasks.resources.errors import StageFailed
from tests.waiting import PATIENCE, until

TAKE = """
import subprocess, sys
from tasks.resources import slots
study, kind, places, hand_on = sys.argv[1:]
note = lambda text: print("note", text, flush=True)
with slots.of_study(study), slots.taken(kind, places.split(","), note) as slot:
    print("has", slot.place, flush=True)
    if hand_on == "hand on":
        heir = subprocess.Popen(["sleep", "600"], pass_fds=[slot.descriptor], stdout=subprocess.DEVNULL)
        print("heir", heir.pid, flush=True)
    else:
        sys.stdin.read()
sys.stdin.read()
"""


class Taker:
    """A process that asks for a slot and keeps it until it is told to let go."""

    def __init__(self, study: str, places: str = "0", hand_on: bool = False) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE, study, "trainer", places, "hand on" if hand_on else "keep"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def let_go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=PATIENCE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOTHERTONGUE_SLOTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def taker(folder: Path) -> Iterator[Callable[..., Taker]]:
    made: list[Taker] = []

    def take(*what: Any, **how: Any) -> Taker:
        made.append(Taker(*what, **how))
        return made[-1]

    yield take
    for one in made:
        one.process.kill()
        one.process.wait()


def waiting(folder: Path) -> int:
    return len(list((folder / "trainer" / "waiting").glob("*")))


def test_those_who_wait_are_served_in_the_order_they_came(folder: Path, taker: Callable[..., Taker]) -> None:
    holder = taker("first")
    assert holder.says() == "has 0"
    queue = []
    for number in range(4):
        queue.append(taker(f"study {number}"))
        until(lambda number=number: waiting(folder) == number + 1)
    for one in queue:
        holder.let_go()
        assert one.says() == "has 0"
        holder = one
    holder.let_go()
    assert waiting(folder) == 0


def test_a_study_with_hundreds_of_trainings_starves_nobody(folder: Path, taker: Callable[..., Taker]) -> None:
    order: list[str] = []
    places = ("0", "1")

    def train(count: int) -> None:
        for _ in range(count):
            with slots.taken("trainer", places):
                order.append("many")
                time.sleep(0.01)

    threads = [threading.Thread(target=train, args=(30,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(order) > 4)
    for _ in range(3):
        one = taker("small", "0,1")
        assert one.says().startswith("has")
        one.let_go()
    assert len(order) < 120, "it was served only after the many"
    for thread in threads:
        thread.join()
    assert len(order) == 120


@pytest.mark.parametrize("target", ["holder", "one who waits"])
def test_kill_9_frees_the_slot_and_the_place_in_the_queue(
    folder: Path, taker: Callable[..., Taker], target: str
) -> None:
    holder, second = taker("a"), None
    assert holder.says() == "has 0"
    second = taker("b")
    until(lambda: waiting(folder) == 1)
    third = taker("c")
    until(lambda: waiting(folder) == 2)
    (holder if target == "holder" else second).process.kill()
    if target == "holder":
        assert second.says() == "has 0"
    else:
        holder.let_go()
        assert third.says() == "has 0"


def test_a_slot_is_free_when_the_process_it_was_handed_to_is_gone_and_not_before(
    folder: Path, taker: Callable[..., Taker]
) -> None:
    holder = taker("a", hand_on=True)
    assert holder.says() == "has 0"
    heir = int(holder.says().split()[1])
    second = taker("b")
    until(lambda: waiting(folder) == 1)
    holder.process.kill()
    holder.process.wait()
    time.sleep(5 * slots.POLL)
    assert waiting(folder) == 1, "the process that has the memory still runs"
    os.kill(heir, signal.SIGKILL)
    assert second.says() == "has 0"


def test_one_who_waits_is_told_who_has_the_slot(
    folder: Path, taker: Callable[..., Taker], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = taker("abacus")
    assert holder.says() == "has 0"
    monkeypatch.setattr(slots, "PATIENCE", 0.0)
    told: list[str] = []
    with (
        pytest.raises(StageFailed, match="being stopped"),
        slots.taken("trainer", ["0"], told.append, stopped=lambda: len(told) > 0),
    ):
        pass
    assert told[0].startswith(f"waiting for the trainer slot: held by process {holder.process.pid} (study abacus) for ")
    assert waiting(folder) == 0


def test_two_studies_in_one_process_are_told_apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "PATIENCE", 0.0)
    told: list[str] = []

    def wait() -> None:
        with (
            slots.of_study("second"),
            pytest.raises(StageFailed, match="being stopped"),
            slots.taken("trainer", ["0"], told.append, stopped=lambda: len(told) > 0),
        ):
            pass

    with slots.of_study("first"), slots.taken("trainer", ["0"]):
        waiting_thread = threading.Thread(target=wait)
        waiting_thread.start()
        waiting_thread.join(30)
    assert told[0].startswith("waiting for the trainer slot: held by this process (study first) for ")


def test_a_holder_knows_whether_somebody_wants_its_place(folder: Path, taker: Callable[..., Taker]) -> None:
    with slots.taken("trainer", ["0"]) as mine, slots.taken("trainer", ["1"]) as other:
        assert not slots.wanted(mine)
        taker("b", "0")
        until(lambda: slots.wanted(mine))
        assert not slots.wanted(other)


def test_a_folder_of_a_dead_process_is_taken_away_by_the_next(folder: Path) -> None:
    script = (
        "import os, subprocess\n"
        "from tasks.resources.scratch import Scratch\n"
        "made = Scratch()\n"
        "heir = subprocess.Popen(['sleep', '600'], pass_fds=[made.descriptor], stdout=subprocess.DEVNULL)\n"
        "(made.path / 'vllm_dist').write_text('left behind')\n"
        "print(heir.pid, made.path, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False)
    heir, left = ended.stdout.split()
    mine = scratch.Scratch()
    assert Path(left).is_dir(), "its process still runs"
    os.kill(int(heir), signal.SIGKILL)

    def gone() -> bool:
        scratch.Scratch().remove()
        return not Path(left).exists()

    until(gone)
    assert mine.path.is_dir()
    mine.remove()
    assert [path.name for path in (folder / "scratch").iterdir()] == ["mutex"]


@pytest.mark.parametrize(
    ("variable", "count", "seen"),
    [
        (None, 0, ()),
        ("0,1", 0, ()),
        (None, 3, ("0", "1", "2")),
        ("2,3", 4, ("2", "3")),
        ("MIG-1a, MIG-2b", 1, ("MIG-1a", "MIG-2b")),
        ("", 2, ()),
        ("1,-1,0", 2, ("1",)),
    ],
)
def test_the_gpus_a_person_allows_are_the_ones_used(
    tmp_path: Path, variable: str | None, count: int, seen: tuple[str, ...]
) -> None:
    for number in range(count):
        (tmp_path / f"0000:{number}").mkdir()
    environment = {} if variable is None else {"CUDA_VISIBLE_DEVICES": variable}
    assert devices.visible(environment, tmp_path) == seen


def test_engines_and_trainers_meet_on_a_gpu_only_where_there_is_no_other() -> None:
    gpus = ("0", "1", "2", "3")
    assert devices.for_engines(gpus, 1) == ("0", "1", "2", "3")
    assert devices.for_trainers(gpus, 4) == ("3", "2", "1", "0")
    assert devices.for_trainers(gpus, 1) == ("3", "2", "1", "0"), "two studies of one trainer each take two GPUs"
    assert devices.for_trainers(("0",), 2) == ("0", "0+1")
    assert devices.for_trainers(("MIG-a",), 1) == ("MIG-a",)
    assert [devices.environment(place, gpus)["CUDA_VISIBLE_DEVICES"] for place in devices.for_trainers(gpus, 6)] == [
        *("3", "2", "1", "0"),
        *("3", "2", "1", "0"),
    ]
    assert (devices.for_engines((), 1), devices.for_trainers((), 3)) == (("0",), ("0", "1", "2"))
    assert devices.environment("0", ()) == {}
    assert devices.number("MIG-b+1", ("MIG-a", "MIG-b")) == 1


def test_two_studies_never_take_the_same_gpu(folder: Path, taker: Callable[..., Taker]) -> None:
    places = ",".join(devices.for_trainers(("0", "1"), 1))
    studies = [taker(name, places) for name in ("a", "b", "c")]
    until(lambda: waiting(folder) == 1)

    def held() -> list[str]:
        return sorted(path.stem for path in (folder / "trainer").glob("*.lock") if slots.locked(path) is None)

    until(lambda: held() == ["0", "1"])
    assert len(studies) == 3


def test_a_free_place_is_not_kept_for_one_who_wants_another(folder: Path, taker: Callable[..., Taker]) -> None:
    with slots.taken("trainer", ["0"]):
        taker("a", "0")
        until(lambda: waiting(folder) == 1)
        with slots.taken("trainer", ["0", "1"], stopped=lambda: True) as mine:
            assert mine.place == "1"
        assert waiting(folder) == 1


def test_a_full_disk_is_one_line_and_leaves_nothing_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, content: bytes, at: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with slots.taken("trainer", ["0"]), monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        for places in (["0"], ["1"]):
            with pytest.raises(StageFailed, match=r"No space left on device .*/trainer.: make room"):  # noqa: SIM117
                with slots.taken("trainer", places):
                    pass
    assert waiting(folder) == 0
    with slots.taken("trainer", ["0"], stopped=lambda: True), slots.taken("trainer", ["1"], stopped=lambda: True):
        pass


def test_a_process_that_is_given_another_gpu_uses_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ray does between two steps."""
    driver = tmp_path / "driver"
    for number in range(2):
        (driver / f"gpu{number}").mkdir(parents=True)
    real = devices.visible
    monkeypatch.setattr(devices, "visible", lambda: real(os.environ, driver))
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(runtime, "_of_process", None)  # tests before may have made one
    first = runtime.current()
    engines = first.engines
    runtime.follow_gpus()
    assert runtime.current() is first
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    runtime.follow_gpus()
    assert runtime.current().placement.engine_places == ("1",)
    assert runtime.current().store is first.store
    with pytest.raises(StageFailed, match="being stopped"):  # what it holds is closed
        engines.acquire(Model("none", str(tmp_path), "", "0" * 64), 0, slots.quiet)
    own = runtime.Runtime(first.store, first.placement)
    with runtime.using(own):
        runtime.follow_gpus()
        assert runtime.current() is own
    assert runtime.current() is not own
