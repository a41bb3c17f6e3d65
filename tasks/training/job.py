"""A training as it is handed to a trainer process, and how it ended."""

import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import InputError
from tasks.resources.errors import StageFailed, Transient

ERRORS: dict[str, type[Exception]] = {"InputError": InputError, "StageFailed": StageFailed, "Transient": Transient}
"""Errors that a trainer's caller is told of as such; any other is a bug."""


@dataclass(frozen=True)
class Job:
    """One training, as it is handed to a trainer. Everything in it can be written as JSON."""

    method: dict[str, Any]
    model: dict[str, Any]
    examples: str
    folder: str
    scratch: str
    seed: int


def result(outcome: dict[str, Any], log: Path) -> dict[str, Any]:
    """What a trainer's last messages come to: the facts its method gave, or an error.

    Args:
        outcome: its messages, laid over each other.
        log: what it printed.

    Raises:
        InputError, StageFailed, Transient: as the method raised them; `Transient` too when the trainer was killed.
        KeyboardInterrupt: the trainer was interrupted from the terminal.
        RuntimeError: a bug in the method, with its traceback.
    """
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
    tail = " | ".join(printed(log)[-3:])
    how = signal.Signals(-ended).name if ended < 0 else f"exit status {ended}"
    if -ended in {signal.SIGKILL, signal.SIGTERM}:
        memory = ", perhaps because the machine's memory was full" if -ended == signal.SIGKILL else ""
        raise Transient(f"the trainer was killed ({how}{memory})")
    raise StageFailed(f"the trainer broke down ({how}). {tail}")


def printed(log: Path) -> list[str]:
    """The lines a trainer has printed."""
    with suppress(FileNotFoundError):
        return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return []
