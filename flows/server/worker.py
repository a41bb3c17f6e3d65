"""`mothertongue worker`: Prefect's worker, which lets its runs end in order when it is stopped.

Prefect's own worker kills its runs (SIGKILL): they lose their last rows, and the server shows them as running for ever.
Here runs get SIGTERM first, and the worker is stopped once they have ended.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType

import psutil

from flows.server import health, process_guard
from flows.server.library_environment import CONSOLE

RUNS_TIME_LIMIT = 50.0
"""Seconds that runs have to end; the systemd unit and the compose file leave the worker 75."""
WORKER_TIME_LIMIT = 10.0
POLL = 0.5
RUN = "PREFECT__FLOW_RUN_ID"
"""The variable by which Prefect tells a process which run it is."""


def start(pool: str, options: list[str]) -> int:
    """Run Prefect's worker until it ends or gets a signal (a second one: at once); returns the exit code.

    Args:
        pool: work pool.
        options: further ones of `prefect worker start`.

    Raises:
        InputError, StageFailed: there is no server to take runs from.
    """
    health.required_address("a worker takes its runs from a server")
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, receive)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, *options]
    environment = {name: value for name, value in os.environ.items() if CONSOLE.get(name) != value}
    # In a session of its own: signals to the process group of a terminal or service reach this process only.
    worker = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        runs = Runs(psutil.Process(worker.pid))
        process_guard.end_with_this_process(worker.pid, signal.SIGTERM)
        while worker.poll() is None and not received:
            runs.running()
            time.sleep(POLL)
        runs.end(lambda: len(received) > 1)
    finally:
        worker.terminate()
        try:
            worker.wait(WORKER_TIME_LIMIT)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
    if received:
        return 130 if received[0] == signal.SIGINT else 0
    return worker.returncode


class Runs:
    """The runs of a worker that are processes of this machine, not containers or cluster jobs."""

    def __init__(self, worker: psutil.Process) -> None:
        self._worker = worker
        self._known: dict[int, psutil.Process] = {}

    def running(self) -> list[psutil.Process]:
        """The runs whose processes have not ended."""
        with contextlib.suppress(psutil.Error):
            for child in self._worker.children():
                with contextlib.suppress(psutil.Error):
                    if child.pid not in self._known and RUN in child.environ():
                        self._known[child.pid] = child
        self._known = {pid: run for pid, run in self._known.items() if run.is_running()}
        return list(self._known.values())

    def end(self, enough: Callable[[], bool]) -> None:
        """Send SIGTERM to all runs, those that start meanwhile included, and wait until they have ended.

        Args:
            enough: whether to stop waiting.
        """
        terminated: set[int] = set()
        until = time.monotonic() + RUNS_TIME_LIMIT
        while (running := self.running()) and time.monotonic() < until and not enough():
            for run in running:
                if run.pid not in terminated:
                    terminated.add(run.pid)
                    with contextlib.suppress(psutil.Error):
                        run.terminate()
                    with contextlib.suppress(OSError):  # standard error may be closed
                        print(f"stopping process {run.pid}: what is finished is kept", file=sys.stderr, flush=True)
            time.sleep(POLL)
