"""Trainers in processes of their own, so that device memory returns when they end, without an import of torch for each.

A nursery process imports torch, transformers, peft and trl once, touches no device and starts no thread, and forks a
trainer for every job: a fork of it costs milliseconds and may still take a GPU. A trainer dies with the nursery, and
the nursery with the process that started it, however that ends; a job whose caller has gone is ended.

The study's process and the nursery share a socket, over which each job goes with a socket of its own, for lines of JSON
with the trainer's progress, its result or error, and, from the nursery, how it ended; and with the descriptor of its
slot, which nobody but the trainer keeps.
"""

import contextlib
import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.resources import disk
from tasks.training.job import ERRORS, Job

PRELOADED = (
    "from datasets import Dataset",
    "from peft import LoraConfig, PeftModel, get_peft_model",
    "from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer",
    "from transformers.models.llama import modeling_llama, tokenization_llama",
    "from trl import SFTConfig, SFTTrainer",
    "import torch.optim, torch.utils.checkpoint, pyarrow.parquet",
    "from tasks.kinds import methods; methods.kinds_by_name()",
)
PR_SET_PDEATHSIG = 1


def _serve(control: socket.socket, parent: int) -> None:
    """The nursery's life: fork trainers, say how they ended, and end with whoever started it."""
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
                child = os.fork()
                if child == 0:
                    selector.close()
                    for other in (control, wake, waker, *running.values()):
                        other.close()
                    asked = json.loads(data)
                    os.environ.update(asked["device"])  # before CUDA starts in this process
                    _be_trainer(Job(**asked["job"]), channel)
                os.close(slot)  # the trainer alone has it now
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


def _ended(running: dict[int, socket.socket]) -> Iterator[tuple[int, int]]:
    for child in list(running):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            yield pid, status


def _be_trainer(job: Job, channel: socket.socket) -> None:
    """Train, in the forked process, and leave without any of Python's farewells: they belong to the nursery."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        _die_with_parent()
        with disk.room(Path(job.scratch)):
            log = os.open(str(Path(job.scratch) / "trainer.log"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
            os.dup2(log, 1)
            os.dup2(log, 2)
            _say(channel, {"result": _trained(job, channel)})
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


def _trained(job: Job, channel: socket.socket) -> dict[str, Any]:
    import torch

    from tasks.kinds.methods import Training, kinds_by_name
    from tasks.models.model import Model

    torch.set_num_threads(1)
    method = kinds_by_name()[job.method["kind"]].model_validate(job.method)
    training = Training(
        model=Model(**job.model),
        examples=Path(job.examples),
        folder=Path(job.folder),
        scratch=Path(job.scratch),
        seed=job.seed,
        progress=lambda done, total: _say(channel, {"progress": [done, total]}),
        log=lambda text: _say(channel, {"log": text}),
    )
    return method.train(training)


def _say(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


def _die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the nursery dies (Linux); it has one thread, so its life is the parent's."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for statement in PRELOADED:
        exec(statement, {})
    gc.collect()
    gc.freeze()  # trainers neither walk nor copy what all of them share
    _serve(socket.socket(fileno=descriptor), parent)


if __name__ == "__main__":
    main()
