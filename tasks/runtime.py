"""Where stages run: the store, the devices, the engines, and who hears of progress. Never part of a key."""

import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from data.errors import InputError
from tasks import devices
from tasks.busy import Shares
from tasks.store import Store

if TYPE_CHECKING:
    from tasks.engine.pool import Engines

Number = TypeVar("Number", int, float)
Listener = Callable[[str, str, dict[str, Any]], None]
"""Called with an event ("start", "progress", "done", "hit", "failed", "note", "log"), a run name and what is known.

A "note" is for whoever watches the study, a "log" only for who reads about this one run."""


def _from_environment(name: str, kind: Callable[[str], Number]) -> Number | None:
    """A number from the environment, or None where it is not set.

    Raises:
        InputError: it is set to something else.
    """
    text = os.environ.get(f"MOTHERTONGUE_{name}")
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"MOTHERTONGUE_{name}={text}: allowed is a number") from None


@dataclass(frozen=True)
class Placement:
    """Settings that change how fast a result comes, never the result.

    MOTHERTONGUE_TRAINERS, _ENGINES, _TURN, _ENGINE_IDLE, _GPU_MEMORY and _SHARD_ROWS in the environment override the
    defaults.
    """

    gpus: tuple[str, ...] = field(default_factory=lambda: devices.visible())
    """The GPUs this process may use; see tasks/devices.py."""
    trainers: int = field(
        default_factory=lambda: _from_environment("TRAINERS", int) or len(devices.visible()) or os.cpu_count() or 1
    )
    """Trainer processes at once: one a GPU, or where there is none, one a core with one thread each."""
    engines: int = field(default_factory=lambda: _from_environment("ENGINES", int) or 1)
    """Engines of all studies at once on a machine without GPUs, where each takes memory and they share the cores."""
    turn: float = field(default_factory=lambda: _from_environment("TURN", float) or 300.0)
    """Seconds an engine may go on for while another process waits for its slot."""
    engine_idle: float = field(default_factory=lambda: _from_environment("ENGINE_IDLE", float) or math.inf)
    """Seconds without a stage after which an engine is closed though nobody waits for its slot."""
    score_tokens: int = 8192
    """Tokens a forward pass of the scorer may hold, padding included."""
    kv_cache_gib: float = 1.0
    """Memory for the engine's key-value cache on a CPU."""
    gpu_memory: float = field(default_factory=lambda: _from_environment("GPU_MEMORY", float) or 0.6)
    """Share of a GPU's memory the engine may take."""
    shard_rows: int = field(default_factory=lambda: _from_environment("SHARD_ROWS", int) or 50_000)
    """Rows of a per-row stage that are made as one task where its rows are spread over machines."""

    @property
    def engine_places(self) -> tuple[str, ...]:
        """The machine's slots for engines, the best first."""
        return devices.for_engines(self.gpus, self.engines)

    @property
    def trainer_places(self) -> tuple[str, ...]:
        """The machine's slots for trainers, the best first."""
        return devices.for_trainers(self.gpus, self.trainers)


@dataclass
class Runtime:
    """What a process that runs stages has at hand."""

    store: Store
    placement: Placement = field(default_factory=Placement)
    listener: Listener = lambda event, run, facts: None
    shares: Shares = field(default_factory=Shares)
    of_environment: bool = False
    """Made of what the environment says, and not by a flow."""
    _engines: "Engines | None" = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def engines(self) -> "Engines":
        """The engines of this process, started when first asked for."""
        with self._lock:
            if self._engines is None:
                from tasks.engine.pool import Engines

                self._engines = Engines(self.placement, lambda text: self.listener("log", "engine", {"text": text}))
            return self._engines

    def engines_if_any(self, act: "Callable[[Engines], None]") -> None:
        """Do something with the engines, unless none was ever asked for."""
        if self._engines is not None:
            act(self._engines)

    def close(self) -> None:
        """Shut every engine down. An engine left open keeps the interpreter from ending."""
        if self._engines is not None:
            self._engines.close()
            self._engines = None


_current: Runtime | None = None
_making = threading.Lock()


def current(listener: Callable[[], Listener] | None = None) -> Runtime:
    """The runtime of this process; made from the environment, with such a listener, where no flow has set one."""
    global _current
    with _making:
        if _current is None:
            _current = Runtime(Store.from_environment(), of_environment=True)
            if listener is not None:
                _current.listener = listener()
        return _current


def follow_gpus() -> None:
    """Where the environment names other GPUs than it did, end this process's engines and use those from now on.

    Ray gives a GPU to a step, and not to the process that runs it: the next step there may have another.
    """
    global _current
    with _making:
        old = _current
        if old is None or not old.of_environment or old.placement.gpus == devices.visible():
            return
        _current = Runtime(old.store, Placement(), old.listener, of_environment=True)
    old.close()


def is_set() -> bool:
    """Whether this process has a runtime."""
    return _current is not None


def use(runtime: Runtime | None) -> None:
    global _current
    _current = runtime
