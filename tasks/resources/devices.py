"""Which GPU an engine or a trainer takes: its slot decides, so that no two studies take the same one.

Each GPU has a slot for an engine and one for a trainer. Engines are given GPUs from the first on and trainers from the
last, so that they meet on one only where there are no others; there an engine leaves the trainer its share of memory
(MOTHERTONGUE_GPU_MEMORY).
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")
SLOT_MARK = "+"
"""Separates a GPU's name from the number of a further slot on it."""


def visible(environment: Mapping[str, str] = os.environ, driver: Path = DRIVER) -> tuple[str, ...]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them: numbers, or names of GPUs and MIG slices.

    Asked of the driver without importing torch, which would take seconds. Empty on a machine without GPUs.
    """
    count = len(list(driver.glob("*")))
    if not count:
        return ()
    if "CUDA_VISIBLE_DEVICES" not in environment:
        return tuple(str(number) for number in range(count))
    named = [name.strip() for name in environment["CUDA_VISIBLE_DEVICES"].split(",")]
    # CUDA stops reading at the first name that is none, such as -1.
    until = next((at for at, name in enumerate(named) if not name or name.startswith("-")), len(named))
    return tuple(named[:until])


def for_engines(gpus: Sequence[str], engines: int) -> tuple[str, ...]:
    """Slots for engines, the best first: a GPU each; without GPUs as many as the settings allow."""
    return tuple(gpus) or tuple(str(number) for number in range(engines))


def for_trainers(gpus: Sequence[str], trainers: int) -> tuple[str, ...]:
    """Slots for trainers, the best first: a GPU each, from the last; several on each where more trainers are wanted."""
    if not gpus:
        return tuple(str(number) for number in range(trainers))
    rounds = max(1, math.ceil(trainers / len(gpus)))
    return tuple(gpu + (f"{SLOT_MARK}{turn}" if turn else "") for turn in range(rounds) for gpu in reversed(gpus))


def number(place: str, gpus: Sequence[str]) -> int:
    """The number of a slot's GPU among those that this process sees."""
    return list(gpus).index(place.partition(SLOT_MARK)[0])


def environment(place: str, gpus: Sequence[str]) -> dict[str, str]:
    """The environment that lets a process see its slot's GPU and no other; nothing to set without GPUs."""
    return {"CUDA_VISIBLE_DEVICES": place.partition(SLOT_MARK)[0]} if gpus else {}
