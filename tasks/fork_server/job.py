"""A job as it is handed to a forked process, and how it ended."""

import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import InputError
from tasks.resources.errors import StageFailed, Transient

ERRORS: dict[str, type[Exception]] = {"InputError": InputError, "StageFailed": StageFailed, "Transient": Transient}
"""Errors that a job's caller is told of as such; any other is a bug."""


@dataclass(frozen=True)
class Job:
    """One call of a module's `run`. Everything in it can be written as JSON."""

    module: str
    """Has the functions `run`, which is called, and `preload`, which the server calls once before it forks."""
    arguments: Mapping[str, Any]
    """What `run` is called with, beside `progress` and `log`."""
    scratch: str
    """Folder for what the process prints."""


def result(outcome: dict[str, Any], printed_to: Path) -> dict[str, Any]:
    """What a process's last messages come to: what the function returned, or an error.

    Args:
        outcome: its messages, laid over each other.
        printed_to: file of what it printed.

    Raises:
        InputError, StageFailed, Transient: as the function raised them; `Transient` too when the process was killed.
        KeyboardInterrupt: the process was interrupted from the terminal.
        RuntimeError: a bug in the function, with its traceback.
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
    tail = " | ".join(printed(printed_to)[-3:])
    how = signal.Signals(-ended).name if ended < 0 else f"exit status {ended}"
    if -ended in {signal.SIGKILL, signal.SIGTERM}:
        memory = ", perhaps because the machine's memory was full" if -ended == signal.SIGKILL else ""
        raise Transient(f"the trainer was killed ({how}{memory})")
    raise StageFailed(f"the trainer broke down ({how}). {tail}")


def printed(path: Path) -> list[str]:
    """The lines a process has printed."""
    with suppress(FileNotFoundError):
        return path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return []
