"""Judging many rows at once: a verifier's `LANES` says how, the order stays, and only a few rows are judged ahead.

Lanes of processes are for verifiers that compute, or that need a main thread (signals); each row goes to a child
process that has imported the verifier and does nothing else. Lanes of threads are for verifiers that wait for processes
of their own. How many lanes there are is placement: it changes when a verdict comes, never what it says.
"""

import atexit
import importlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from types import FunctionType
from typing import Any

from tasks.kinds.verifiers import Verdict
from tasks.storage.rows import Row
from tasks.verification.verdict import judged

AHEAD = 8
"""Rows a lane may be ahead of the first verdict that was not yet handed out."""
PATIENCE = 120.0
"""Seconds a child process has for one row; then it is ended, and the row is an error."""


def kind(verifier: FunctionType) -> str | None:
    """How a verifier wants to be run: "processes", "threads" or one row after another (None)."""
    found: str | None = getattr(sys.modules.get(verifier.__module__), "LANES", None)
    assert found in (None, "processes", "threads"), f"{verifier.__module__}.LANES is {found!r}"
    return found


def count() -> int:
    """Lanes: one for each core that this process may use."""
    return len(os.sched_getaffinity(0))


def judged_all(rows: Iterable[Row], verifier: FunctionType) -> Iterator[tuple[Row, Verdict]]:
    """Each row with the verdict on its response, in order: in parallel where the verifier's module says so (`LANES`).

    Rows are asked for only a little ahead of the verdicts. A verdict that is there is handed out before another row is
    asked for. A process that dies over a row makes that row's an error.
    """
    how = kind(verifier)
    if how is None:
        for row in rows:
            yield row, judged(row, verifier)
        return
    lanes = count()
    work = judged if how == "threads" else _elsewhere
    pool = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
    waiting: deque[tuple[Row, Future[Verdict]]] = deque()
    try:
        for row in rows:
            waiting.append((row, pool.submit(work, row, verifier)))
            while waiting and (waiting[0][1].done() or len(waiting) > AHEAD * lanes):
                yield _done(waiting.popleft())
        while waiting:
            yield _done(waiting.popleft())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _done(one: tuple[Row, "Future[Verdict]"]) -> tuple[Row, Verdict]:
    return one[0], one[1].result()


class _Child:
    """A process that judges one row after another by one verifier."""

    def __init__(self, verifier: FunctionType) -> None:
        # Spawned, not forked: other threads are running here, and a fork would copy their locks.
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        name = verifier.__module__, verifier.__qualname__
        self.process = context.Process(target=_serve, args=(theirs, *name, list(sys.path)), daemon=True)
        self.process.start()
        theirs.close()
        self._ready = False

    def judge(self, row: Row) -> Verdict | str:
        """The verdict, or why there is none; then this process is of no more use."""
        try:
            # Starting is not the row's time: importing a verifier takes seconds, more on a busy machine.
            if not self._ready:
                self._ready = bool(self._ours.recv())
            self._ours.send(row)
            if not self._ours.poll(PATIENCE):
                return f"no verdict within {PATIENCE:g} s"
            verdict: Verdict = self._ours.recv()
        except (EOFError, OSError):
            self.process.join(5)
            return f"the process that judged it ended (exit code {self.process.exitcode})"
        return verdict

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self._ours.close()


def _serve(channel: Connection, module: str, name: str, path: list[str]) -> None:
    """What a child does, in its main thread, until its parent closes the channel or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[:] = path
    verifier: Any = getattr(importlib.import_module(module), name)
    with suppress(EOFError, BrokenPipeError):
        channel.send(True)
        while True:
            channel.send(judged(channel.recv(), verifier))


_idle: dict[FunctionType, "queue.SimpleQueue[_Child]"] = {}
_children: set[_Child] = set()
_lock = threading.Lock()


def _elsewhere(row: Row, verifier: FunctionType) -> Verdict:
    """Judge in an idle child process, or a new one."""
    with _lock:
        idle = _idle.setdefault(verifier, queue.SimpleQueue())
    try:
        child = idle.get_nowait()
    except queue.Empty:
        child = _Child(verifier)
        with _lock:
            _children.add(child)
    found = child.judge(row)
    if isinstance(found, str):
        with _lock:
            _children.discard(child)
        child.end()
        return Verdict("error", None, found)
    idle.put(child)
    return found


@atexit.register
def close() -> None:
    """End all child processes. They end with this process anyway, when their channels close."""
    with _lock:
        _idle.clear()
        while _children:
            _children.pop().end()
