"""A stage's share of the time of a slot: split evenly among the stages that ran in it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Busy:
    """One stage's share of its slot, in seconds; final once the stage has left."""

    seconds: float = 0.0


class Shares:
    """Splits wall time among the stages in each slot, so that the shares of a run add up to how long it took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: dict[str, list[Busy]] = {}
        self._since: dict[str, float] = {}

    @contextmanager
    def taking(self, slot: str) -> Iterator[Busy]:
        """Share a slot from here to the end of the `with`."""
        busy = Busy()
        with self._lock:
            self._settle(slot)
            self._inside[slot].append(busy)
        try:
            yield busy
        finally:
            with self._lock:
                self._settle(slot)
                self._inside[slot] = [other for other in self._inside[slot] if other is not busy]

    def _settle(self, slot: str) -> None:
        now = time.monotonic()
        inside = self._inside.setdefault(slot, [])
        for busy in inside:
            busy.seconds += (now - self._since[slot]) / len(inside)
        self._since[slot] = now
