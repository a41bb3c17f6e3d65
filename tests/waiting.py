"""Waiting for what must happen, however slow the machine is: for the event, and no longer."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 900.0
"""Seconds until what must happen is given up; a busy machine may take most of them."""
T = TypeVar("T")


def until(found: Callable[[], T], otherwise: str = "waited in vain", pause: float = 0.02) -> T:
    """Ask again and again until there is something; returns it."""
    deadline = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(pause)
    return value
