"""The engines of a process: started when first used, shared by its stages, closed at the end.

One engine runs at a time, since two would share the same cores or the same GPU memory. One that is needed next waits
until the stages that use the present one are done, and takes its place.
"""

import atexit
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.engine import Engine
from tasks.errors import StageFailed
from tasks.model import Model
from tasks.runtime import Placement

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Adapter ranks vLLM has kernels for; an adapter takes the next larger."""


def rank_of(adapter: Path) -> int:
    """The largest LoRA rank in an adapter folder.

    Raises:
        StageFailed: the folder holds no LoRA adapter in safetensors.
    """
    if not (adapter / "adapter_model.safetensors").is_file():
        pickled = next(iter(sorted(adapter.glob("adapter_model.*"))), None)
        what = f"its weights are a pickle ({pickled.name}), which can run any code when it is loaded" if pickled else ""
        raise StageFailed(f"{adapter} holds no LoRA adapter: {what or 'no adapter_model.safetensors'}")
    try:
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        return max(int(config["r"]), *map(int, (config.get("rank_pattern") or {"": 0}).values()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageFailed(f"{adapter} holds no LoRA adapter: {type(error).__name__}: {error}") from error


class Engines:
    """The engines of a process: at most one at a time, started when first used, closed at the end."""

    def __init__(self, placement: Placement, say: Callable[[str], None] = lambda text: None) -> None:
        """`say` is told, in the thread of the stage that uses an engine, what a reader of its log wants to know."""
        self._placement = placement
        self._say = say
        self._free = threading.Condition()
        self._engine: Engine | None = None
        self._users = 0
        self._starting = False
        self._closed = False
        atexit.register(self.close)

    @contextmanager
    def use(self, model: Model, rank: int = 0) -> Iterator[Engine]:
        """The engine of a base model, able to serve adapters up to `rank`; starts it where none runs.

        A dead engine is replaced. Waits while stages use an engine that does not fit. Not to be nested.

        Raises:
            StageFailed, Transient: it cannot be started; see `Engine`. An adapter's rank is too large for vLLM.
        """
        engine = self._take(model, _bucket(rank))
        try:
            yield engine
        finally:
            self._repeat(engine)
            with self._free:
                if engine is self._engine:
                    self._users -= 1
                self._free.notify_all()

    def release(self) -> None:
        """End the running engine if no stage uses it, and free its memory. It starts again when it is needed."""
        with self._free:
            if self._users or self._starting or self._engine is None:
                return
            engine, self._engine = self._engine, None
            engine.close()

    def close(self) -> None:
        """End the running engine, for good: stages that use one, or ask for one from now on, fail and do not retry."""
        with self._free:
            self._closed = True
            engine, self._engine, self._users = self._engine, None, 0
            self._free.notify_all()
        if engine is not None:
            engine.close()
        atexit.unregister(self.close)

    def _take(self, model: Model, rank: int) -> Engine:
        with self._free:
            while True:
                engine = self._engine
                if self._closed:
                    raise StageFailed(f"no engine for {model.name}: the run is being stopped")
                if self._starting:
                    self._free.wait()
                elif engine is not None and engine.alive and engine.model == model and engine.rank >= rank:
                    self._users += 1
                    return engine
                elif engine is None or not engine.alive or self._users == 0:
                    break
                else:
                    self._free.wait()
            self._starting, self._engine, self._users = True, None, 0
        started = None
        try:
            if engine is not None:
                engine.close()
            begun = time.monotonic()
            started = Engine(model, rank, self._placement)
        finally:
            with self._free:
                self._starting = False
                if started is not None and not self._closed:
                    self._engine, self._users = started, 1
                self._free.notify_all()
        if self._closed:
            started.close()
        adapters = f", adapters up to rank {rank}" if rank else ""
        self._say(
            f"engine of {model.name}: ready in {time.monotonic() - begun:.1f} s, context {started.context:,} tokens, "
            f"{started.dtype}{adapters}"
        )
        self._repeat(started)
        return started

    def _repeat(self, engine: Engine) -> None:
        """Say what the engine has printed since it was last looked at."""
        for line in engine.printed():
            self._say(f"engine of {engine.model.name}: {line}")


def _bucket(rank: int) -> int:
    if rank == 0:
        return 0
    for size in RANKS:
        if rank <= size:
            return size
    raise StageFailed(f"an adapter of rank {rank} cannot be served: vLLM allows ranks up to {RANKS[-1]}")
