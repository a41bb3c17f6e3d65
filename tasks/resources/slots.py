"""Slots of this machine: who may run an engine or a trainer just now, over all studies and processes on it.

A slot is a file lock, which the kernel keeps as long as a process has its descriptor open. The descriptor is handed on
to the engine's or the trainer's own process, so that the slot is free exactly when that process is gone and its memory
with it, however it ended. Those who wait draw a number, held by a lock as well, and are served in that order.

<slots>/<kind>/mutex              held for the moment that somebody looks or changes something
<slots>/<kind>/<place>.lock       a slot; says who has it
<slots>/<kind>/waiting/<number>   who waits, and for which places
"""

import fcntl
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from tasks.resources import disk
from tasks.resources.errors import StageFailed

POLL = 0.1
"""Seconds between looks of one who waits."""
PATIENCE = 5.0
"""Seconds of waiting before the person is told."""
TOLD_EVERY = 120.0
"""Seconds until the person is told again."""

Note = Callable[[str], None]
_study: ContextVar[str] = ContextVar("study", default="")
"""For which study this thread takes slots."""


@dataclass(frozen=True)
class Slot:
    """A slot that this process has, or is about to hand on."""

    kind: str
    place: str
    descriptor: int
    """Of the lock. Whoever has it open has the slot."""


def folder() -> Path:
    """Where the slots are: MOTHERTONGUE_SLOTS, or a folder of this user among the machine's temporary files.

    Raises:
        StageFailed: the folder is another user's: its locks could not be believed.
    """
    named = os.environ.get("MOTHERTONGUE_SLOTS")
    path = Path(named) if named else Path(tempfile.gettempdir()) / f"mothertongue-{os.getuid()}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not named and (path.is_symlink() or path.stat().st_uid != os.getuid()):
        raise StageFailed(f"{path} belongs to somebody else. Name another folder for slots by MOTHERTONGUE_SLOTS")
    return path.absolute()


@contextmanager
def of_study(study: str) -> Iterator[None]:
    """Take slots for this study, so that those who wait are told whose they are. Steps of several studies may run in
    one process: it holds for this thread and what it submits, until the end of the `with`."""
    token = _study.set(study)
    try:
        yield
    finally:
        _study.reset(token)


def quiet(text: str) -> None:
    """For those with nobody to tell."""


def never() -> bool:
    return False


@contextmanager
def taken(kind: str, places: Sequence[str], note: Note = quiet, stopped: Callable[[], bool] = never) -> Iterator[Slot]:
    """Wait for one of the places, the first that is free, and hold it until the end of the `with`.

    It stays taken after that for as long as a process that was handed the descriptor lives.

    Args:
        note: told who has the slot while this waits.
        stopped: asked while this waits whether to give up.

    Raises:
        StageFailed: `stopped` said so, or the disk is full.
    """
    queue = folder() / kind
    (queue / "waiting").mkdir(parents=True, exist_ok=True)
    with disk.errors_reported(queue):
        slot = _wait(queue, tuple(places), note, stopped)
    try:
        yield slot
    finally:
        os.close(slot.descriptor)


def wanted(slot: Slot) -> bool:
    """Whether somebody waits for this slot."""
    queue = folder() / slot.kind
    if not (queue / "waiting").is_dir():
        return False
    with alone(queue):
        return any(slot.place in told["places"] for told in _waiting(queue))


@contextmanager
def alone(where: Path) -> Iterator[None]:
    """Hold a folder's mutex: one process or thread at a time is inside."""
    descriptor = os.open(where / "mutex", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def locked(path: Path) -> int | None:
    """A descriptor that holds the file's lock, or None where a living process holds it."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _wait(queue: Path, places: tuple[str, ...], note: Note, stopped: Callable[[], bool]) -> Slot:
    with alone(queue):
        if slot := _free(queue, _left_by(queue, places)):
            return slot
        ticket, held = _draw(queue, places)
    told = time.monotonic() + PATIENCE - TOLD_EVERY
    try:
        while True:
            if stopped():
                raise StageFailed(f"no {queue.name}: the run is being stopped")
            with alone(queue):
                if slot := _free(queue, _left_by(queue, places, ticket)):
                    return slot
            if time.monotonic() - told > TOLD_EVERY:
                told = time.monotonic()
                note(f"waiting for the {queue.name} slot: {_held_by(queue, places)}")
            time.sleep(POLL)
    finally:
        with alone(queue):
            ticket.unlink(missing_ok=True)
            os.close(held)


def _draw(queue: Path, places: tuple[str, ...]) -> tuple[Path, int]:
    """The next number, and the descriptor that shows that its owner lives."""
    last = max((int(name) for name in os.listdir(queue / "waiting")), default=0)
    ticket = queue / "waiting" / f"{last + 1:012d}"
    held = locked(ticket)
    assert held is not None, "numbers are drawn alone"
    _write(held, {"pid": os.getpid(), "places": list(places)})
    return ticket, held


def _waiting(queue: Path) -> Iterator[dict[str, Any]]:
    """What the living who wait have said, first come first. Numbers of the dead are taken away."""
    for name in sorted(os.listdir(queue / "waiting")):
        path = queue / "waiting" / name
        dead = locked(path)
        if dead is None:
            yield {**json.loads(path.read_text(encoding="utf-8")), "number": name}
        else:
            path.unlink()
            os.close(dead)


def _left_by(queue: Path, places: Sequence[str], ticket: Path | None = None) -> list[str]:
    """Those of the places that nobody wants who is to be served first."""
    first = takewhile(lambda told: ticket is None or told["number"] < ticket.name, _waiting(queue))
    wanted_first = {place for told in first for place in told["places"]}
    return [place for place in places if place not in wanted_first]


def _free(queue: Path, places: Sequence[str]) -> Slot | None:
    for place in places:
        descriptor = locked(_lock_of(queue, place))
        if descriptor is not None:
            _write(descriptor, {"pid": os.getpid(), "study": _study.get(), "since": time.monotonic()})
            return Slot(queue.name, place, descriptor)
    return None


def _held_by(queue: Path, places: tuple[str, ...]) -> str:
    """Who has the places, for a person. The clock that counts from the machine's start is the same for all."""
    said = []
    for place in places:
        with suppress(OSError, ValueError, KeyError):  # it changed hands just now
            holder = json.loads(_lock_of(queue, place).read_text(encoding="utf-8"))
            study = f" (study {holder['study']})" if holder["study"] else ""
            who = "this process" if holder["pid"] == os.getpid() else f"process {holder['pid']}"
            said.append(f"held by {who}{study} for {time.monotonic() - holder['since']:.0f} s")
    return ", ".join(said) or "it is changing hands"


def _lock_of(queue: Path, place: str) -> Path:
    return queue / f"{re.sub(r'[^A-Za-z0-9+_-]', '_', place)}.lock"


def _write(descriptor: int, told: dict[str, Any]) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(told).encode(), 0)
    except OSError:
        os.close(descriptor)  # a place or a number of which nobody can be told is nobody's
        raise
