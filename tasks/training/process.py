"""Trainers in processes of their own, so that device memory returns when they end, without an import of torch for each.

A nursery process imports torch, transformers, peft and trl once, touches no device and starts no thread, and forks a
trainer for every job: a fork of it costs milliseconds and may still take a GPU. A trainer dies with the nursery, and
the nursery with the process that started it, however that ends; a job whose caller has gone is ended.

The study's process and the nursery share a socket, over which each job goes with a socket of its own: lines of JSON
with the trainer's progress, its result or error, and, from the nursery, how it ended.
"""

import atexit
import contextlib
import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.errors import InputError
from tasks.errors import StageFailed, Transient

PRELOADED = (
    "from datasets import Dataset",
    "from peft import LoraConfig, PeftModel, get_peft_model",
    "from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer",
    "from transformers.models.llama import modeling_llama, tokenization_llama",
    "from trl import SFTConfig, SFTTrainer",
    "import torch.optim, torch.utils.checkpoint, pyarrow.parquet",
    "from tasks import methods; methods.kinds()",
)
ERRORS: dict[str, type[Exception]] = {"InputError": InputError, "StageFailed": StageFailed, "Transient": Transient}
PR_SET_PDEATHSIG = 1
LAST_LINES = 30
"""What a trainer that broke down printed last, for the run's log."""


@dataclass(frozen=True)
class Job:
    """One training, as it is handed to a trainer. Everything in it can be written as JSON."""

    method: dict[str, Any]
    model: dict[str, Any]
    examples: str
    folder: str
    scratch: str
    seed: int
    slot: int = 0


def train(
    job: Job, progress: Callable[[int, int], None], log: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Run a job in a trainer process and wait for it; returns the facts its method gave.

    `log` is told the lines that the method writes, and of a trainer that broke down the last ones it printed.

    Raises:
        InputError, StageFailed, Transient: as the method raised them; `Transient` too when the trainer was killed.
        KeyboardInterrupt: the trainer was interrupted from the terminal.
        RuntimeError: a bug in the method, with its traceback.
    """
    with _slots.taken() as slot:
        channel = _nursery.start(Job(**{**asdict(job), "slot": slot}))
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
    printed = Path(job.scratch) / "trainer.log"
    if "exit" in outcome and not outcome.keys() & {"result", "error"}:
        for line in _printed(printed)[-LAST_LINES:]:
            log(f"trainer: {line}")
    return _result(outcome, printed)


def _result(outcome: dict[str, Any], log: Path) -> dict[str, Any]:
    if "result" in outcome:
        return dict(outcome["result"])
    if "error" in outcome:
        known = ERRORS.get(outcome["error"])
        raise known(outcome["text"]) if known else RuntimeError(f"the trainer failed:\n{outcome['text']}")
    ended = outcome.get("exit")
    if ended is None:
        raise Transient("the trainers' parent process was lost (killed?)")
    if ended == -signal.SIGINT:
        raise KeyboardInterrupt
    tail = " | ".join(_printed(log)[-3:])
    how = signal.Signals(-ended).name if ended < 0 else f"exit status {ended}"
    if -ended in {signal.SIGKILL, signal.SIGTERM}:
        memory = ", perhaps because the machine's memory was full" if -ended == signal.SIGKILL else ""
        raise Transient(f"the trainer was killed ({how}{memory})")
    raise StageFailed(f"the trainer broke down ({how}). {tail}")


def _printed(log: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return []


class _Slots:
    """Hands each running trainer the lowest free number, which on a GPU machine decides its GPU."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: set[int] = set()

    @contextmanager
    def taken(self) -> Iterator[int]:
        with self._lock:
            slot = next(number for number in range(len(self._busy) + 1) if number not in self._busy)
            self._busy.add(slot)
        try:
            yield slot
        finally:
            with self._lock:
                self._busy.discard(slot)


class _Nursery:
    """The nursery as the study's process sees it: started with the first job, and again if it was lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self, job: Job) -> socket.socket:
        ours, theirs = socket.socketpair()
        message = json.dumps(asdict(job)).encode()
        with self._lock, theirs:
            for attempt in (1, 2):
                try:
                    socket.send_fds(self._connected(), [message], [theirs.fileno()])
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
                    [sys.executable, "-m", "tasks.training.process", str(theirs.fileno()), str(os.getpid())],
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


_slots = _Slots()
_nursery = _Nursery()
warm = _nursery.warm
atexit.register(_nursery.stop)


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
                data, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 1)
                if not data:
                    return
                channel = socket.socket(fileno=descriptors[0])
                child = os.fork()
                if child == 0:
                    selector.close()
                    for other in (control, wake, waker, *running.values()):
                        other.close()
                    _be_trainer(Job(**json.loads(data)), channel)
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

    from tasks.methods import Training, kinds
    from tasks.model import Model

    _choose_gpu(job.slot)
    torch.set_num_threads(1)
    method = kinds()[job.method["kind"]].model_validate(job.method)
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


def _choose_gpu(slot: int) -> None:
    """Let this process see one GPU only, the slot's. Must come before CUDA starts."""
    import torch

    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if not visible:
        visible = [str(number) for number in range(torch.cuda.device_count())]
    if visible:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[slot % len(visible)]


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
