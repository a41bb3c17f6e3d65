"""Where and how fast stages run: GPUs, processes at once, memory. Never part of a cache key."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from data.errors import InputError
from tasks.resources import devices

Number = TypeVar("Number", int, float)


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
    """The GPUs this process may use; see tasks/resources/devices.py."""
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
