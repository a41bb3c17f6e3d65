"""The fork server: a process that imports torch, transformers and peft once and forks a process for each job.

It touches no device and starts no thread, so that a fork of it costs milliseconds and may still take a GPU. A job's
process dies with the server, and the server with the process that started it, however that ends; a job whose caller has
gone is ended. Device memory returns when a job's process ends.

The study's process and the server share a socket, over which each job goes with a socket of its own, for lines of JSON
with the job's progress, its result or error, and, from the server, how it ended; and with the descriptor of its slot,
which nobody but the job's process keeps.

`multiprocessing`'s fork server does not replace it: there is one for the whole program, which takes the environment of
the program, and its processes import the program's `__main__` again and outlive a parent that is killed.
"""

import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tasks.fork_server.job import ERRORS, Job
from tasks.resources import disk

PR_SET_PDEATHSIG = 1


Run = Callable[..., dict[str, Any]]
"""What a job's process calls, with the job's arguments, `progress` and `log`."""


def _serve(control: socket.socket, parent: int) -> None:
    """Fork a process for each job, say how it ended, and end with whoever started this process."""
    wake, waker = socket.socketpair()
    for end in (wake, waker):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    running: dict[int, socket.socket] = {}
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(wake, selectors.EVENT_READ)
    while os.getppid() == parent:
        for key, _ in selector.select(timeout=0.5):
            if key.fileobj is control:
                data, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 2)
                if not data:
                    return
                channel, slot = socket.socket(fileno=descriptors[0]), descriptors[1]
                request = json.loads(data)
                run = _preloaded(request["job"]["module"])
                child = os.fork()
                if child == 0:
                    selector.close()
                    for other in (control, wake, waker, *running.values()):
                        other.close()
                    os.environ.update(request["device"])  # before CUDA starts in this process
                    _do(run, Job(**request["job"]), channel)
                os.close(slot)  # the job's process alone has it now
                running[child] = channel
                selector.register(channel, selectors.EVENT_READ, child)
            elif key.fileobj is wake:
                with contextlib.suppress(BlockingIOError):
                    wake.recv(4096)
            else:
                selector.unregister(key.fileobj)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(key.data, signal.SIGKILL)
        for child, status in _ended(running):
            channel = running.pop(child)
            with contextlib.suppress(KeyError):
                selector.unregister(channel)
            with contextlib.suppress(OSError):
                channel.sendall(json.dumps({"exit": os.waitstatus_to_exitcode(status)}).encode() + b"\n")
            channel.close()


@functools.cache
def _preloaded(module: str) -> Run:
    """The function that a module's jobs call, its imports done."""
    gc.disable()  # what is imported stays: looking through it again and again takes long
    found = importlib.import_module(module)
    found.preload()
    gc.collect()
    gc.freeze()  # forked processes neither walk nor copy what all of them share
    gc.enable()
    run: Run = found.run
    return run


def _ended(running: dict[int, socket.socket]) -> Iterator[tuple[int, int]]:
    for child in list(running):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            yield pid, status


def _do(run: Run, job: Job, channel: socket.socket) -> None:
    """Do a job, in the forked process, and leave without what Python does at exit: that is for the server to do."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        _die_with_parent()
        with disk.errors_reported(Path(job.scratch)):
            log = os.open(str(Path(job.scratch) / "trainer.log"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
            os.dup2(log, 1)
            os.dup2(log, 2)
            found = run(
                job.arguments,
                progress=lambda done, total: _say(channel, {"progress": [done, total]}),
                log=lambda text: _say(channel, {"log": text}),
            )
            _say(channel, {"result": found})
        status = 0
    except BaseException as error:
        name = type(error).__name__
        known = isinstance(error, tuple(ERRORS.values()))
        with contextlib.suppress(OSError):
            _say(channel, {"error": name, "text": str(error) if known else traceback.format_exc()})
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _say(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


def _die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the server dies (Linux); it has one thread, so its life is the parent's."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(descriptor: str, parent: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _serve(socket.socket(fileno=int(descriptor)), int(parent))


if __name__ == "__main__":
    main(*sys.argv[1:])
