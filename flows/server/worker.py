"""`mothertongue worker`: Prefect's worker, whose runs may keep what they have when it is stopped.

By itself Prefect's worker ends its runs by SIGKILL, at once: they lose their last rows, and the server shows them as
running for ever. Here they are told first, and the worker is stopped once they have ended.
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

PATIENCE = 50.0
"""Seconds that runs have to end; the systemd unit and the compose file leave the worker 75."""
PATIENCE_OF_WORKER = 10.0
LOOK = 0.5
RUN = "PREFECT__FLOW_RUN_ID"
"""The variable by which Prefect tells a process which run it is."""


def start(pool: str, options: list[str]) -> int:
    """Run Prefect's worker until it ends or is told to (a second time: at once); returns the exit code.

    Args:
        pool: work pool.
        options: further ones of `prefect worker start`.

    Raises:
        InputError, StageFailed: there is no server to take runs from.
    """
    health.needed("a worker takes its runs from a server")
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, hear)
    words = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, *options]
    environment = {name: value for name, value in os.environ.items() if CONSOLE.get(name) != value}
    # In a session of its own: what a terminal or a service tells all of a group, only this process hears.
    worker = subprocess.Popen(words, env=environment, start_new_session=True)
    try:
        runs = Runs(psutil.Process(worker.pid))
        process_guard.watch(worker.pid, signal.SIGTERM)
        while worker.poll() is None and not heard:
            runs.look()
            time.sleep(LOOK)
        runs.end(lambda: len(heard) > 1)
    finally:
        worker.terminate()
        try:
            worker.wait(PATIENCE_OF_WORKER)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
    if heard:
        return 130 if heard[0] == signal.SIGINT else 0
    return worker.returncode


class Runs:
    """The runs of a worker, as processes of this machine; a container or a job of a cluster is none."""

    def __init__(self, worker: psutil.Process) -> None:
        self._worker = worker
        self._known: dict[int, psutil.Process] = {}

    def look(self) -> list[psutil.Process]:
        """Those that have not ended, and whose end the worker has not heard of."""
        with contextlib.suppress(psutil.Error):
            for child in self._worker.children():
                with contextlib.suppress(psutil.Error):
                    if child.pid not in self._known and RUN in child.environ():
                        self._known[child.pid] = child
        self._known = {pid: run for pid, run in self._known.items() if run.is_running()}
        return list(self._known.values())

    def end(self, enough: Callable[[], bool]) -> None:
        """Tell them to stop, and wait until they have; also those that begin meanwhile.

        Args:
            enough: whether to wait no longer.
        """
        told: set[int] = set()
        until = time.monotonic() + PATIENCE
        while (left := self.look()) and time.monotonic() < until and not enough():
            for run in left:
                if run.pid not in told:
                    told.add(run.pid)
                    with contextlib.suppress(psutil.Error):
                        run.terminate()
                    with contextlib.suppress(OSError):  # who read what is printed may be gone
                        print(f"stopping process {run.pid}: what is finished is kept", file=sys.stderr, flush=True)
            time.sleep(LOOK)
