"""The study's side of the fork server: it is started with the first job, and hands each job a slot of the machine."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.fork_server.job import Job, printed, result
from tasks.resources import devices, slots
from tasks.resources.errors import StageFailed, Transient
from tasks.resources.placement import Placement

LAST_LINES = 30
"""What a trainer that broke down printed last, for the run's log."""
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
"""What libraries read when they are imported: one thread a trainer, and no use of CUDA before the fork."""


class ForkServer:
    """A process that forks others; started when first needed, again if it was lost, and ended with this object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The server's process id, while there is one."""
        return None if self._process is None else self._process.pid

    def run(
        self,
        job: Job,
        placement: Placement,
        progress: Callable[[int, int], None],
        note: slots.Note = slots.quiet,
        log: Callable[[str], None] = slots.quiet,
    ) -> dict[str, Any]:
        """Run a job in a process of its own, when a trainer slot is free, and wait for it; returns what it returned.

        Args:
            note: told who has the slots while this waits for one.
            log: told the lines that the job writes, and of a process that broke down the last ones it printed.

        Raises:
            InputError, StageFailed, Transient, KeyboardInterrupt, RuntimeError: see `tasks.fork_server.job.result`;
                `StageFailed` also when this is closed.
        """
        with slots.taken("trainer", placement.trainer_places, note) as slot:
            channel = self._send(job, devices.environment(slot.place, placement.gpus), slot.descriptor)
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
        printed_to = Path(job.scratch) / "trainer.log"
        if "exit" in outcome and not outcome.keys() & {"result", "error"}:
            for line in printed(printed_to)[-LAST_LINES:]:
                log(f"trainer: {line}")
        return result(outcome, printed_to)

    def close(self) -> None:
        """End the server, and the jobs that run with it; no other is started."""
        with self._lock:
            self._closed = True
            self._stop()

    def _send(self, job: Job, device: dict[str, str], slot: int) -> socket.socket:
        """Have a process forked, and hand it the slot's descriptor; returns the socket that it speaks through."""
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
        if self._closed:
            raise StageFailed("no trainer: the run is being stopped")
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._control is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tasks.fork_server.server", str(theirs.fileno()), str(os.getpid())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **ENVIRONMENT},
                )
            self._finalizer = weakref.finalize(self, _end, self._control, self._process)
        return self._control

    def _stop(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._control = self._process = self._finalizer = None


def _end(control: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(OSError):
        control.shutdown(socket.SHUT_RDWR)  # the server ends when nobody is at the other end
    control.close()
    process.wait(timeout=30)
