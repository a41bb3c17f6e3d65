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

from flows import server_lost
from flows.quiet import CONSOLE

PATIENCE = 50.0
"""Seconds that runs have to end; the systemd unit and the compose file leave the worker 75."""
LOOK = 0.2
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
    server_lost.needed("a worker takes its runs from a server")
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)
    words = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, *options]
    environment = {name: value for name, value in os.environ.items() if CONSOLE.get(name) != value}
    # In a session of its own: what a terminal or a service tells all of a group, only this process hears.
    with subprocess.Popen(words, env=environment, start_new_session=True) as worker:
        while worker.poll() is None and not heard:
            time.sleep(LOOK)
        if not heard:
            return worker.wait()
        _end_runs(psutil.Process(worker.pid), lambda: len(heard) > 1)
        worker.terminate()
        try:
            worker.wait(LOOK * 50)
        except subprocess.TimeoutExpired:
            worker.kill()
    return 130 if heard[0] == signal.SIGINT else 0


def _end_runs(worker: psutil.Process, enough: Callable[[], bool]) -> None:
    """Tell the worker's runs to stop, and wait until they have; also those that it begins meanwhile.

    Args:
        enough: whether to wait no longer.
    """
    told: set[int] = set()
    until = time.monotonic() + PATIENCE
    while (runs := _runs(worker)) and time.monotonic() < until and not enough():
        for run in runs:
            if run.pid in told:
                continue
            told.add(run.pid)
            with contextlib.suppress(psutil.NoSuchProcess):
                print(f"stopping {run.environ()[RUN]}: what is finished is kept", file=sys.stderr, flush=True)
                run.terminate()
        time.sleep(LOOK)


def _runs(worker: psutil.Process) -> list[psutil.Process]:
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in worker.children():
            with contextlib.suppress(psutil.Error):
                if child.status() != psutil.STATUS_ZOMBIE and RUN in child.environ():
                    found.append(child)
    return found
