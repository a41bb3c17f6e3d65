"""Judging many rows at once: a verifier's `PARALLEL` says how, the order stays, and only a few rows are judged ahead.

Processes are for verifiers that compute, or that need a main thread (signals); each row goes to a worker process that
has imported the verifier and does nothing else. Threads are for verifiers that wait for processes of their own. How
many workers there are is placement: it changes when a verdict comes, never what it says.

pebble, not `concurrent.futures`: its pool ends the worker whose row takes too long, and a worker that dies takes no
other row with it.
"""

import importlib
import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import util
from types import FunctionType

from pebble import ProcessExpired, ProcessPool

from tasks.kinds.verifiers import Verdict
from tasks.storage.rows import Row
from tasks.verification.verdict import judged

AHEAD = 8
"""Rows a worker may be ahead of the first verdict that was not yet handed out."""
TIME_LIMIT = 120.0
"""Seconds a worker process has for one row; then it is ended, and the row is an error."""

_pools: dict[FunctionType, ProcessPool] = {}
"""The process's own, one a verifier: a verdict depends on the row alone, so studies share the workers."""
_lock = threading.Lock()


def kind(verifier: FunctionType) -> str | None:
    """How a verifier wants to be run: "processes", "threads" or one row after another (None)."""
    how: str | None = getattr(sys.modules.get(verifier.__module__), "PARALLEL", None)
    assert how in (None, "processes", "threads"), f"{verifier.__module__}.PARALLEL is {how!r}"
    return how


def count() -> int:
    """Workers: one for each core that this process may use."""
    return len(os.sched_getaffinity(0))


def judged_all(rows: Iterable[Row], verifier: FunctionType) -> Iterator[tuple[Row, Verdict]]:
    """Each row with the verdict on its response, in order; in parallel where the verifier's module says so: `PARALLEL`.

    Rows are asked for only a little ahead of the verdicts. A verdict that is there is handed out before another row is
    asked for. A process that dies over a row, or takes longer than `TIME_LIMIT`, makes that row's an error.
    """
    how = kind(verifier)
    if how is None:
        for row in rows:
            yield row, judged(row, verifier)
    elif how == "processes":
        pool = _pool(verifier)
        yield from _in_order(rows, lambda row: pool.schedule(judged, args=(row, verifier), timeout=TIME_LIMIT))
    else:
        with_threads = ThreadPoolExecutor(count(), thread_name_prefix="verifier")
        try:
            yield from _in_order(rows, lambda row: with_threads.submit(judged, row, verifier))
        finally:
            with_threads.shutdown(wait=False, cancel_futures=True)


def _in_order(rows: Iterable[Row], submit: Callable[[Row], "Future[Verdict]"]) -> Iterator[tuple[Row, Verdict]]:
    ahead = AHEAD * count()
    pending: deque[tuple[Row, Future[Verdict]]] = deque()
    try:
        for row in rows:
            pending.append((row, submit(row)))
            while pending and (pending[0][1].done() or len(pending) > ahead):
                judged_row, future = pending.popleft()
                yield judged_row, _verdict(future)
        while pending:
            judged_row, future = pending.popleft()
            yield judged_row, _verdict(future)
    finally:
        for _, future in pending:
            future.cancel()


def _verdict(future: "Future[Verdict]") -> Verdict:
    try:
        return future.result()
    except TimeoutError:
        return Verdict("error", None, f"no verdict within {TIME_LIMIT:g} s")
    except ProcessExpired as error:
        return Verdict("error", None, f"the process that judged it ended (exit code {error.exitcode})")


def _pool(verifier: FunctionType) -> ProcessPool:
    """The worker processes of a verifier, kept for its next rows: importing sympy takes each of them a second."""
    with _lock:
        if verifier not in _pools:
            if not _pools:  # atexit is not called in a process that multiprocessing has started
                util.Finalize(None, close, exitpriority=10)
            # Spawned, not forked: other threads are running here, and a fork would copy their locks. The import is the
            # initializer's, so that it is not the first row's time.
            _pools[verifier] = ProcessPool(
                count(),
                initializer=importlib.import_module,
                initargs=(verifier.__module__,),
                context=multiprocessing.get_context("spawn"),
            )
        return _pools[verifier]


def close() -> None:
    """End all worker processes. They end with this process anyway, when their pipes close."""
    with _lock:
        while _pools:
            pool = _pools.popitem()[1]
            pool.stop()
            pool.join()
