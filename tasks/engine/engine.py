"""An engine: vLLM in a process of its own, which serves one base model and any number of adapters of it.

Many threads stream requests through it at once; finished responses come back as they finish.
"""

import getpass
import itertools
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.engine.interface import Parameters, Request, Result, ServedModel
from tasks.models.model import Model
from tasks.resources import devices
from tasks.resources.errors import StageFailed, Transient
from tasks.resources.placement import Placement
from tasks.resources.scratch import Scratch
from tasks.resources.slots import Slot

DECIDES_NO_RESULT = True

LOOK_AHEAD = 512
"""Requests a stream has in the engine at once: twice what it computes together, so that it never waits for one; of a
small model as many, and other streams fill the gaps."""
TOGETHER = 256
"""Requests an engine computes together."""
TOGETHER_SMALL = 512
"""The same of a small model: what each step costs beside its requests is a good part of its time."""
SMALL_MODEL = 200 * 2**20
"""Bytes of weights below which one thread is as fast as several: handing work over costs more than the work."""
CLOSED = "it was closed"
MOST_BYTES = 1 << 16
"""Bytes of an engine's output that are read at a time."""
MOST_LINES = 30
"""The newest of these lines that are logged."""
NOISE = re.compile(r"it/s\]|Triton not available")
"""Lines that are never logged: progress bars, and what a machine without a GPU need not have."""
PROJECT = Path(__file__).resolve().parents[2]


class Engine(ServedModel):
    """A running engine process. Thread-safe."""

    def __init__(self, model: Model, rank: int, placement: Placement, slot: Slot | None = None) -> None:
        """Start it: seconds for a small model.

        Args:
            rank: largest LoRA rank it can serve; 0 for an engine without adapters.
            slot: its slot of the machine, which its process holds until it ends.

        Raises:
            StageFailed: vLLM cannot serve this model.
            Transient: not enough memory just now, or the process was killed while it started.
        """
        self.model = model
        self.rank = rank
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._streams: dict[int, queue.SimpleQueue[Any]] = {}
        self._cause_of_end: str | None = None
        self._log_offset = 0
        self._draining = False
        self.small = not placement.gpus and is_small(model)
        """Whether it takes so little that trainers have room beside it."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the engine
        self._scratch = Scratch()
        _share_compile_cache(self._scratch.path)
        device = devices.environment(slot.place, placement.gpus) if slot else {}
        began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tasks.engine.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(model) | device | {"TMPDIR": str(self._scratch.path)},
            pass_fds=[self._scratch.descriptor, *([slot.descriptor] if slot else [])],
            start_new_session=True,  # Ctrl-C is for this process, which then closes the engine
        )
        self._send(
            {
                "model": model.path,
                "revision": model.revision,
                "remote_code": model.remote_code,
                "rank": rank,
                "together": TOGETHER_SMALL if self.small else TOGETHER,
                "kv_cache_gib": placement.kv_cache_gib,
                "gpu_memory": placement.gpu_memory,
                "scratch": str(self._scratch.path),
            }
        )
        assert self._process.stdout is not None
        try:
            first = json.loads(self._process.stdout.readline() or b"{}")
        except BaseException:
            self.close()
            raise
        if "ready" not in first:
            why = first.get("failed") or f"its process ended. {self._last_line()}"
            self.close()
            passing = first.get("memory", True)
            raise (Transient if passing else StageFailed)(f"no engine for {model.name}: {why}")
        self.context: int = first["ready"]["context"]
        """Tokens of prompt and response together that the model can hold."""
        self.dtype: str = first["ready"]["dtype"]
        self.started = time.monotonic()
        """When it was ready, on the monotonic clock."""
        self.start_seconds = self.started - began
        self._reader = threading.Thread(target=self._read, name=f"engine {model.name}", daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        return self._cause_of_end is None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def draining(self) -> bool:
        """Whether it takes no more requests, and is closed when those it has are finished."""
        return self._draining

    def drain(self) -> None:
        """Take no more requests. Streams end once their requests are finished; `EngineHandle` continues elsewhere."""
        self._draining = True

    def close(self) -> None:
        """End the process and free its memory. Streams still open raise `StageFailed`: this was meant."""
        if self._cause_of_end is None:
            self._cause_of_end = CLOSED
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._scratch.remove()

    def results(
        self, requests: Iterator[tuple[int, Request]], sampling: Parameters
    ) -> Generator[tuple[int, Result], None, None]:
        inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        open_requests: dict[int, tuple[int, Request]] = {}
        try:
            while True:
                room = 0 if self._draining else LOOK_AHEAD - len(open_requests)
                fresh = list(itertools.islice(requests, room))
                self._submit(fresh, open_requests, inbox, sampling)
                if not open_requests:
                    return
                for number, result in self._next(inbox):
                    position, request = open_requests.pop(number)
                    if isinstance(result, str):
                        raise StageFailed(f"row {request.row}: the engine refused it: {result}")
                    yield position, result
        finally:
            self._abort(list(open_requests))

    def _submit(
        self, fresh: list[tuple[int, Request]], open_requests: dict[int, tuple[int, Request]], inbox: Any, sampling: Any
    ) -> None:
        if not fresh:
            return
        message = []
        for position, request in fresh:
            if len(request.prompt) >= self.context:
                raise StageFailed(
                    f"row {request.row}: its prompt has {len(request.prompt)} tokens, and {self.model.name} can hold "
                    f"{self.context} of prompt and response together"
                )
            number = next(self._numbers)
            open_requests[number] = (position, request)
            adapter = str(request.adapter.absolute()) if request.adapter else None
            message.append([number, request.prompt, sampling(request), adapter])
        with self._lock:
            if self._cause_of_end is not None:
                raise self._ended_error()
            self._streams.update((number, inbox) for number, *_ in message)
        self._send({"add": message})

    def _next(self, inbox: "queue.SimpleQueue[Any]") -> list[tuple[int, Any]]:
        """All results that are in the inbox; waits for the first."""
        results = [inbox.get()]
        while not inbox.empty():
            results.append(inbox.get())
        if None in results:
            raise self._ended_error()
        return results

    def _ended_error(self) -> Exception:
        kind = StageFailed if self._cause_of_end == CLOSED else Transient
        return kind(f"the engine of {self.model.name} is gone: {self._cause_of_end}")

    def _abort(self, numbers: list[int]) -> None:
        if not numbers:
            return
        with self._lock:
            for number in numbers:
                self._streams.pop(number, None)
        self._send({"abort": numbers})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            with self._writing:
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()
        except (OSError, ValueError):
            pass  # the process is gone: its reader reports that to every stream

    def _read(self) -> None:
        """Put each result into its stream's inbox, until the process ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                message = json.loads(line)
            except ValueError:  # it was killed while it wrote
                break
            with self._lock:
                for number, *result in message.get("done", []):
                    if stream := self._streams.pop(number, None):
                        stream.put((number, result))
                for number, why in message.get("refused", []):
                    if stream := self._streams.pop(number, None):
                        stream.put((number, why))
        self._process.kill()  # nothing it writes from here on would be read
        code = self._process.wait()
        self._scratch.remove()
        with self._lock:
            if self._cause_of_end is None:
                self._cause_of_end = f"its process ended with {code}. {self._last_line()}"
            for stream in set(self._streams.values()):
                stream.put(None)
            self._streams.clear()

    def new_output(self) -> list[str]:
        """Warnings and errors that its process has printed since the last call, a line each."""
        with self._lock:
            # Not by seeking: the process shares the file's position.
            fresh = os.pread(self._log.fileno(), MOST_BYTES, self._log_offset)
            self._log_offset += len(fresh)
        lines = [line.strip() for line in fresh.decode(errors="replace").splitlines()]
        return [line[:500] for line in lines if line and not NOISE.search(line)][-MOST_LINES:]

    def _last_line(self) -> str:
        """The last line it logged: most often the error that ended it."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip()[:500] if lines else ""


def is_small(model: Model) -> bool:
    """Whether a model's weights are known to be few: it is a folder."""
    return 0 < sum(path.stat().st_size for path in Path(model.path).glob("*.safetensors")) < SMALL_MODEL


def _environment(model: Model) -> dict[str, str]:
    # What it prints goes to the run's log: errors, not advice to programmers.
    quiet = {
        "PYTHONWARNINGS": "ignore",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    threads = {"OMP_WAIT_POLICY": "PASSIVE"}  # threads that spin while they wait starve the trainers beside them
    if is_small(model):
        threads["OMP_NUM_THREADS"] = "1"
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    return {**threads, **os.environ, **quiet, "PYTHONPATH": path}


def _share_compile_cache(scratch: Path) -> None:
    """Share torch's compile cache between engines; their other temporary files end with them."""
    try:
        name = f"torchinductor_{getpass.getuser()}"
    except (KeyError, OSError):  # a container whose user has no name
        return
    cache = Path(tempfile.gettempdir()) / name
    cache.mkdir(mode=0o700, exist_ok=True)
    (scratch / name).symlink_to(cache)
