"""The engines of a process: started when first used, shared by its stages, closed at the end.

One engine runs at a time, since two would share the same cores or the same GPU memory. The next one starts when the
stages that use the present one are done. Processes take turns; see tasks/resources/slots.py.
"""

import atexit
import json
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from tasks.engine.engine import Engine
from tasks.engine.interface import Parameters, Request, Result, ServedModel
from tasks.models.model import Model
from tasks.resources import slots
from tasks.resources.errors import StageFailed
from tasks.resources.placement import Placement

DECIDES_NO_RESULT = True

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Adapter ranks vLLM has kernels for; an adapter takes the next larger."""
NO_RANKS: Mapping[Model, int] = MappingProxyType({})
POLL = 1.0
"""Seconds between checks whether another process waits for the engine's slot."""
IDLE = 2.0
"""Seconds without a stage after which an engine counts as idle: the next stage often follows at once."""
TURN_PER_START = 5
"""The least length of an engine's turn in lengths of its start, so that no machine does nothing but start engines."""


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
    """The engines of a process: at most one at a time, started when first used, closed at the end.

    While another process waits for its slot on the machine, an engine that no stage uses is closed, and one that is
    used is closed after its turn: its streams finish their requests, and continue when it is their turn again.
    """

    def __init__(
        self,
        placement: Placement,
        log: Callable[[str], None] = lambda text: None,
        ranks: Mapping[Model, int] = NO_RANKS,
    ) -> None:
        """Nothing is started yet.

        Args:
            log: called with lines of the engine's output, in the thread of the stage that uses the engine.
            ranks: the largest rank of the adapters that will be asked for, by base model. An engine is started for
                them at once, though the first stage that uses it may need none: a second start takes longer.
        """
        self._placement = placement
        self._log = log
        self._ranks = {model: min(rank, RANKS[-1]) for model, rank in ranks.items()}
        self._free = threading.Condition()
        self._engine: Engine | None = None
        self._users = 0
        self._idle_since = 0.0
        self._starting = False
        self._closed = False
        self._refused: dict[tuple[Model, int], str] = {}
        atexit.register(self.close)

    @contextmanager
    def use(self, model: Model, rank: int = 0, note: slots.Note = slots.quiet) -> Iterator["EngineHandle"]:
        """A handle on an engine of a base model that can serve adapters up to `rank`; starts one if none runs.

        A dead engine is replaced. Waits while stages use an engine that does not fit, and for a slot of the machine;
        `note` is told of that. Not to be nested.

        Raises:
            StageFailed, Transient: it cannot be started; see `Engine`. An adapter's rank is too large for vLLM.
        """
        handle = EngineHandle(self, model, _bucket(max(rank, self._ranks.get(model, 0))), note)
        try:
            yield handle
        finally:
            handle.close()

    def release(self) -> None:
        """Close the running engine if no stage uses it. It starts again when it is needed."""
        with self._free:
            if self._users or self._starting or self._engine is None:
                return
            engine, self._engine = self._engine, None
            engine.close()

    def make_room(self) -> None:
        """`release` for trainers that wait, unless the engine is so small that they have room beside it: to start it
        again would take longer than it had worked."""
        if (engine := self._engine) is not None and not engine.small:
            self.release()

    def close(self) -> None:
        """Close the running engine for good: stages that use one, or ask for one later, fail and are not retried."""
        with self._free:
            self._closed = True
            engine, self._engine, self._users = self._engine, None, 0
            self._free.notify_all()
        if engine is not None:
            engine.close()
        atexit.unregister(self.close)

    def acquire(self, model: Model, rank: int, note: slots.Note) -> Engine:
        """An engine that fits, with one more user; waits for it."""
        with self._free:
            while True:
                engine = self._engine
                if self._closed:
                    raise StageFailed(f"no engine for {model.name}: the run is being stopped")
                if (model, rank) in self._refused:  # to try again for every stage would take long, and help none
                    raise StageFailed(self._refused[model, rank])
                if self._starting:
                    self._free.wait()
                elif engine is not None and engine.alive and _fits(engine, model, rank):
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
            started = self._started(model, rank, note)
        except StageFailed as error:
            if not self._closed:
                self._refused[model, rank] = str(error)
            raise
        finally:
            with self._free:
                self._starting = False
                if started is not None and not self._closed:
                    self._engine, self._users = started, 1
                self._free.notify_all()
        if self._closed:
            started.close()
        adapters = f", adapters up to rank {rank}" if rank else ""
        self._log(
            f"engine of {model.name}: ready in {started.start_seconds:.1f} s, context {started.context:,} tokens, "
            f"{started.dtype}{adapters}"
        )
        self._log_output(started)
        return started

    def _log_output(self, engine: Engine) -> None:
        """Log what the engine has printed since the last call."""
        for line in engine.new_output():
            self._log(f"engine of {engine.model.name}: {line}")

    def free(self, engine: Engine) -> None:
        """Count one user less."""
        self._log_output(engine)
        with self._free:
            if engine is self._engine:
                self._users -= 1
                self._idle_since = time.monotonic()
            self._free.notify_all()

    def _started(self, model: Model, rank: int, note: slots.Note) -> Engine:
        places = self._placement.engine_places
        with slots.taken("engine", places, note, stopped=lambda: self._closed) as slot:
            engine = Engine(model, rank, self._placement, slot)
        watch = threading.Thread(target=self._watch, args=(engine, slot), name="engine's turn", daemon=True)
        watch.start()
        return engine

    def _watch(self, engine: Engine, slot: slots.Slot) -> None:
        """Close the engine when another process waits for its slot and it is idle, or has had its turn."""
        turn = max(self._placement.turn, TURN_PER_START * engine.start_seconds)
        while engine.alive:
            time.sleep(POLL)
            wanted = slots.wanted(slot)
            if wanted and time.monotonic() - engine.started > turn:
                engine.drain()
            patience = IDLE if wanted else self._placement.engine_idle
            with self._free:
                idle = engine is self._engine and not self._users and time.monotonic() - self._idle_since > patience
                if idle:
                    self._engine = None
            if idle:
                engine.close()


class EngineHandle(ServedModel):
    """A stage's handle on the engines: its requests go to whichever engine has the turn."""

    def __init__(self, engines: Engines, model: Model, rank: int, note: slots.Note) -> None:
        self.model = model
        self._engines = engines
        self._rank = rank
        self._note = note
        self._moving = threading.Lock()
        self._streams = 0
        self._ended = threading.Condition()
        self._engine: Engine | None = engines.acquire(model, rank, note)

    @property
    def engine(self) -> Engine:
        """The engine that has the turn.

        Raises:
            StageFailed: none has, since the run is being stopped.
        """
        if self._engine is None:
            raise StageFailed(f"no engine for {self.model.name}: the run is being stopped")
        return self._engine

    @property
    def dtype(self) -> str:
        return self.engine.dtype

    @property
    def pid(self) -> int:
        return self.engine.pid

    def results(
        self, requests: Iterator[tuple[int, Request]], sampling: Parameters
    ) -> Generator[tuple[int, Result], None, None]:
        while True:
            with self._moving, self._ended:
                engine = self.engine
                self._streams += 1
            try:
                yield from engine.results(requests, sampling)
            finally:
                with self._ended:
                    self._streams -= 1
                    self._ended.notify_all()
            following = next(requests, None) if engine.draining else None
            if following is None:
                return
            requests = chain([following], requests)
            self._move(engine)

    def _move(self, engine: Engine) -> None:
        """Change from an engine that has had its turn to the next, once all streams of this handle have ended there."""
        with self._moving:
            if self._engine is not engine:
                return
            with self._ended:
                while self._streams:
                    self._ended.wait()
            self.close()
            self._engine = self._engines.acquire(self.model, self._rank, self._note)

    def close(self) -> None:
        """Use no engine any more."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            self._engines.free(engine)


def _fits(engine: Engine, model: Model, rank: int) -> bool:
    return engine.model == model and engine.rank >= rank and not engine.draining


def _bucket(rank: int) -> int:
    if rank == 0:
        return 0
    for size in RANKS:
        if rank <= size:
            return size
    raise StageFailed(f"an adapter of rank {rank} cannot be served: vLLM allows ranks up to {RANKS[-1]}")
