"""The study's side of training: a nursery process that forks trainers, and a slot of the machine for each of them."""

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.resources import devices, slots
from tasks.resources.errors import Transient
from tasks.resources.placement import Placement
from tasks.training.job import Job, printed, result

LAST_LINES = 30
"""What a trainer that broke down printed last, for the run's log."""


def train(
    job: Job,
    placement: Placement,
    progress: Callable[[int, int], None],
    note: slots.Note = slots.quiet,
    log: Callable[[str], None] = slots.quiet,
) -> dict[str, Any]:
    """Run a job in a trainer process, when a slot is free, and wait for it; returns the facts its method gave.

    Args:
        note: told who has the slots while this waits for one.
        log: told the lines that the method writes, and of a trainer that broke down the last ones it printed.

    Raises:
        InputError, StageFailed, Transient, KeyboardInterrupt, RuntimeError: see `job.result`.
    """
    with slots.taken("trainer", placement.trainer_places, note) as slot:
        channel = _nursery.start(job, devices.of(slot.place, placement.gpus), slot.descriptor)
    outcome: dict[str, Any] = {}
    try:
        with channel.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                message = json.loads(line)
                if "progress" in message:
                    progress(*message["progress"])
                if "log" in message:
                    log(message["log"])
                outcome |= message
                if "exit" in message:
                    break
    finally:
        with contextlib.suppress(OSError):
            channel.shutdown(socket.SHUT_RDWR)
        channel.close()
    written = Path(job.scratch) / "trainer.log"
    if "exit" in outcome and not outcome.keys() & {"result", "error"}:
        for line in printed(written)[-LAST_LINES:]:
            log(f"trainer: {line}")
    return result(outcome, written)


class _Nursery:
    """The nursery as the study's process sees it: started with the first job, and again if it was lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self, job: Job, device: dict[str, str], slot: int) -> socket.socket:
        """Have a trainer forked, and hand it the slot's descriptor; returns the socket that it speaks through."""
        ours, theirs = socket.socketpair()
        message = json.dumps({"job": asdict(job), "device": device}).encode()
        with self._lock, theirs:
            for attempt in (1, 2):
                try:
                    socket.send_fds(self._connected(), [message], [theirs.fileno(), slot])
                    return ours
                except (BrokenPipeError, ConnectionResetError):
                    self._stop()
                    if attempt == 2:
                        raise Transient("the trainers' parent process cannot be reached") from None
        raise AssertionError

    def _connected(self) -> socket.socket:
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._control is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tasks.training.trainer_process", str(theirs.fileno()), str(os.getpid())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=os.environ
                    | {
                        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                        "OMP_NUM_THREADS": "1",
                        "OPENBLAS_NUM_THREADS": "1",
                        "MKL_NUM_THREADS": "1",
                        "TOKENIZERS_PARALLELISM": "false",
                        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
                        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
                        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                    },
                )
        return self._control

    def warm(self) -> None:
        """Start the nursery if none runs, so that its imports are done when the first job comes."""
        with self._lock:
            self._connected()

    def stop(self) -> None:
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.wait(timeout=30)
            self._process = None


_nursery = _Nursery()
warm = _nursery.warm
atexit.register(_nursery.stop)
