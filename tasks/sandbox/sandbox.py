"""Runs a program against its tests where it can harm nothing and fake nothing: inside bubblewrap.

A worker is two bubblewrap sandboxes, one for programs and one for their tests, each with a Python that waits with the
standard modules loaded (`tasks.sandbox.cell`). A judgement forks one fresh process in each: the tests' process finds
the code in the response and runs the tests (`tasks.sandbox.tests`), the program's process executes it and answers what
the tests ask (`tasks.sandbox.program`), over a socket that carries plain values only (`tasks.sandbox.values`).

What holds the program: no network, no file but the interpreter's (read-only) and an empty /tmp of limited size, no
environment, no other process to see, limits on memory, CPU, wall-clock time, file size and processes, no capability, a
system-call filter, an ordinary user id even where we are root. What it prints goes nowhere.

Why a verdict cannot be forged: the program's process never holds the tests, what they expect, or the channel that the
verdict goes through. Whatever it does (exits, patches builtins, handles signals, writes into its descriptors), all that
reaches the tests are values it could have returned. The verdict carries the request's token and is sent after the last
line of the tests. What cannot be defended against: a program that knows the expected values beforehand and returns them
(tests are public), a test that holds for wrong values too, and a hole in the kernel.
"""

import atexit
import itertools
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tasks.sandbox.command import SandboxMissing
from tasks.sandbox.worker import Judgement, Limits, SandboxBroken, Worker

LIMITS = Limits()


def judge(response: str, question: str, tests: str, limits: Limits = LIMITS) -> Judgement:
    """Run the code in a response against tests (see `tasks.sandbox.tests` for their form). Callable from any thread.

    `question` is what was asked: where it is the start of a function, the response may be only its body.

    Raises:
        SandboxMissing: bubblewrap is not there or may not be used; says what to do.
        SandboxBroken: the sandbox failed.
    """
    with _worker(limits) as worker:
        return worker.judge({"response": response, "question": question, "tests": tests})


def problem() -> str | None:
    """Why no program can be judged on this machine, or None where one that is right and one that is wrong were."""
    try:
        right = judge("def one():\n    return 1", "", "from program import one\nassert one() == 1")
        wrong = judge("def one():\n    return 2", "", "from program import one\nassert one() == 1")
    except (SandboxMissing, SandboxBroken) as error:
        return str(error)
    if (right.verdict, wrong.verdict) != ("correct", "wrong"):
        return f"the sandbox judges wrongly: {right} {wrong}"
    return None


_idle: dict[Limits, "queue.SimpleQueue[Worker]"] = {}
_workers: list[Worker] = []
"""The process's own, idle ones by their limits: each judgement is a fresh process, so studies share the workers."""
_lock = threading.Lock()
_numbers = itertools.count()
MOST_WORKERS = 64
"""Workers of a process that have users of their own; processes with neighbouring numbers have others."""


@contextmanager
def _worker(limits: Limits) -> Iterator[Worker]:
    """An idle worker, or a new one; one in which something broke is not used again."""
    with _lock:
        idle = _idle.setdefault(limits, queue.SimpleQueue())
    try:
        worker = idle.get_nowait()
    except queue.Empty:
        worker = Worker(limits, os.getpid() * MOST_WORKERS + next(_numbers) % MOST_WORKERS)
        with _lock:
            _workers.append(worker)
    try:
        yield worker
    except BaseException:
        with _lock, suppress(ValueError):
            _workers.remove(worker)
        worker.close()
        raise
    idle.put(worker)


@atexit.register
def close() -> None:
    """End every sandbox. They end with this process anyway, however it ends."""
    with _lock:
        _idle.clear()
        while _workers:
            _workers.pop().close()
