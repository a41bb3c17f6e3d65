"""Which studies run on a store: each run holds a lock of its own, `locks/running-<study record>.<start>.<id>`.

In a folder it is the kernel's, which frees that of a dead process. A shared store has a lease beside it, which a dead
process no longer renews; on the run's own machine the kernel's lock tells at once.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from filelock import FileLock, Timeout

from tasks.storage.artifacts import CLEANING, Store
from tasks.storage.lease import LONGEST_POLL, RENEWALS, Lease, parsed

RUNNING = "running-"


@dataclass(frozen=True)
class RunningStudy:
    """A run whose process lives."""

    record: str
    """The name of its study record (`tasks.storage.study_records`)."""
    started: float
    """In seconds since 1970, rounded down."""


@contextmanager
def running(store: Store, record: str) -> Iterator[None]:
    """Be seen as a running study; begins when nobody cleans the store, and keeps it from being cleaned of what it uses.

    Raises:
        Transient: the store does not answer.
    """
    name = f"{RUNNING}{record}.{int(time.time())}.{uuid.uuid4().hex[:8]}"
    path = store.lock_file(name)
    with ExitStack() as stack:
        stack.callback(path.unlink, missing_ok=True)
        stack.enter_context(FileLock(path))
        if (lease := store.lease(name)) is not None:
            stack.enter_context(lease.held())
        # Whoever cleans looks for runs after it holds this lock, and whoever runs looks for it after it can be seen.
        if lease is None or store.files.read(f"locks/{CLEANING}.json") is not None:
            with store.alone():
                pass
        yield


def running_studies(store: Store, note: Callable[[str], None] = lambda text: None) -> list[RunningStudy]:
    """The runs whose processes live, on any machine. Marks that dead ones have left are removed.

    Where a run of another machine may be dead, this takes the length of a lease.

    Args:
        note: is told what is waited for.

    Raises:
        Transient: the store does not answer.
    """
    here = {path.stem: _held(store, path.stem) for path in (store.root / "locks").glob(f"{RUNNING}*.lock")}
    probe = store.lease(CLEANING)
    living = {name for name, held in here.items() if held} if probe is None else _living(store, probe, here, note)
    return sorted(filter(None, map(_parsed, living)), key=lambda run: (run.started, run.record))


def _held(store: Store, name: str) -> bool:
    """Whether a process of this machine holds a lock."""
    path = store.lock_file(name)
    try:
        with FileLock(path, timeout=0):
            path.unlink(missing_ok=True)
    except (Timeout, OSError):  # held, or another person's
        return True
    return False


def _living(store: Store, probe: Lease, here: dict[str, bool], note: Callable[[str], None]) -> set[str]:
    """Of the leases of runs, those that are renewed."""
    names = [name for name in store.files.list("locks") if name.startswith(RUNNING) and name.endswith(".json")]
    leases = store.files.read_many(f"locks/{name}" for name in names)
    of_here = {name for name, content in leases.items() if parsed(content).get("machine") == store.machine}
    living = {name for name in of_here if here.get(_stem(name))}
    others = {name: content for name, content in leases.items() if name not in of_here}
    if others:
        hosts = sorted({str(parsed(content).get("host", "?")) for content in others.values()})
        note(f"looking whether studies still run on {', '.join(hosts)} (up to {probe.length:.0f} s)")
        living |= _renewed(store, others, probe.length)
    store.files.remove(*(leases.keys() - living))
    return {_stem(name) for name in living}


def _renewed(store: Store, leases: dict[str, bytes], length: float) -> set[str]:
    renewed: set[str] = set()
    waiting = set(leases)
    deadline = time.monotonic() + length
    while waiting and time.monotonic() < deadline:
        time.sleep(min(LONGEST_POLL, length / RENEWALS))
        now = store.files.read_many(waiting)
        renewed |= {name for name in waiting & now.keys() if now[name] != leases[name]}
        waiting = (waiting & now.keys()) - renewed
    return renewed


def _stem(name: str) -> str:
    return name.removeprefix("locks/").removesuffix(".json")


def _parsed(name: str) -> RunningStudy | None:
    record, _, rest = name.removeprefix(RUNNING).rpartition(".")[0].rpartition(".")
    with suppress(ValueError):
        return RunningStudy(record, float(rest))
    return None
