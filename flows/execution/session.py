"""One run of a study in this process: what it is run with, and how it ended. Another run has a session of its own."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from flows.execution.options import PilotOptions, RunOptions
from flows.execution.outcome import Outcome
from tasks.pipeline import runtime
from tasks.pipeline.runtime import Runtime


@dataclass
class Session:
    """A run of a study."""

    options: RunOptions
    runtime: Runtime
    pilot: PilotOptions | None = None
    """None for the whole study without a pilot."""
    outcome: Outcome | None = None
    """How it ended; known also where its Prefect server is gone by then, and cannot be asked."""


_session: ContextVar[Session | None] = ContextVar("session", default=None)
"""Of the run that this thread has started: a flow has no other parameters than those that Prefect's server shows."""


@contextlib.contextmanager
def started(options: RunOptions, made: Runtime, pilot: PilotOptions | None = None) -> Iterator[Session]:
    """A session for the run that this thread starts. Its engines end with it."""
    session = Session(options, made, pilot)
    token = _session.set(session)
    try:
        with runtime.using(made):
            yield session
    finally:
        _session.reset(token)
        made.close()


def current() -> Session | None:
    """The session that this thread has started, if it has."""
    return _session.get()
