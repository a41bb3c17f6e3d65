"""What whoever starts a run decides beside the study. No number depends on it."""

import importlib.util
import os
from dataclasses import dataclass

from data import kinds
from data.errors import InputError
from flows.results.tracking import TRACK

RUNNER = "MOTHERTONGUE_RUNNER"
THREADS, RAY = "threads", "ray"


@dataclass(frozen=True)
class RunOptions:
    """The options of one run."""

    strict: bool = False
    """Start nothing more once a step has failed."""
    runner: str = THREADS
    """Where steps run: in threads of the run's own process, or on a Ray cluster."""
    tracker: str = ""
    """Who else is handed the numbers; "" for nobody."""

    @classmethod
    def of(cls, strict: bool, runner: str | None = None, tracker: str | None = None) -> "RunOptions":
        """A command's options; what it leaves out is what MOTHERTONGUE_RUNNER and MOTHERTONGUE_TRACK say.

        Raises:
            InputError: the runner cannot be had.
        """
        if tracker is None:
            tracker = os.environ.get(TRACK, "").strip()
        return cls(strict, check_runner(runner) if runner is not None else _runner_of_environment(), tracker)


@dataclass(frozen=True)
class PilotOptions:
    """What a pilot may cost, and what it may miss."""

    spend: float
    """The share of the whole study that the first look may cost, above 0 and up to 1."""
    margin: float = 0.0
    """By how much an arm that is dropped may be better than those that are left, in score, from 0 to below 1."""


def check_runner(name: str) -> str:
    """The runner of that name, where it can be had.

    Raises:
        InputError: there is none of that name, or its package is missing.
    """
    if name not in (THREADS, RAY):
        raise InputError(kinds.unknown("runner", name, [RAY, THREADS]))
    if name == RAY and not all(importlib.util.find_spec(package) for package in ("ray", "prefect_ray")):
        raise InputError("ray is not installed: pip install 'mothertongue[ray]'")
    return name


def _runner_of_environment() -> str:
    name = os.environ.get(RUNNER) or THREADS
    try:
        return check_runner(name)
    except InputError as error:
        raise InputError(f"{RUNNER}={name}: {error}") from None
