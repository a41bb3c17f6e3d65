"""Where stages run: the store, the devices, the engines, and who hears of progress. Never part of a key."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.fork_server.client import ForkServer
from tasks.models.model import Model
from tasks.pipeline.artifact_keys import ArtifactKeys
from tasks.resources import devices
from tasks.resources.placement import Placement
from tasks.resources.slot_shares import Shares
from tasks.storage.artifacts import Store
from tasks.storage.opening import open_store

if TYPE_CHECKING:
    from tasks.engine.pool import Engines

Listener = Callable[[str, str, dict[str, Any]], None]
"""Called with an event ("start", "progress", "done", "hit", "failed", "note", "log"), a run name and what is known.

A "note" is for whoever watches the study, a "log" only for who reads about this one run."""


def _nobody(event: str, run: str, facts: dict[str, Any]) -> None:
    """A listener that hears nothing."""


@dataclass
class Runtime:
    """What stages of one run have at hand."""

    store: Store
    placement: Placement = field(default_factory=Placement)
    listener: Listener = _nobody
    shares: Shares = field(default_factory=Shares)
    adapter_ranks: Mapping[Model, int] = field(default_factory=dict)
    """The largest rank of the adapters that will be served, by the model they are of, as far as it is known."""
    fork_server: ForkServer = field(default_factory=ForkServer)
    """Runs the trainers. No process until the first of them."""
    keys: ArtifactKeys = field(init=False)
    """Keys of steps in the store."""
    _engines: "Engines | None" = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.keys = ArtifactKeys(self.store)

    @property
    def engines(self) -> "Engines":
        """The engines, started when first needed."""
        with self._lock:
            if self._engines is None:
                from tasks.engine.pool import Engines

                self._engines = Engines(
                    self.placement, lambda text: self.listener("log", "engine", {"text": text}), self.adapter_ranks
                )
            return self._engines

    def engines_if_any(self, act: "Callable[[Engines], None]") -> None:
        """Do something with the engines, unless none was ever asked for."""
        if self._engines is not None:
            act(self._engines)

    def close(self) -> None:
        """Shut every engine down, and the trainers' fork server. An engine left open keeps the interpreter from
        ending."""
        self.fork_server.close()
        if self._engines is not None:
            self._engines.close()
            self._engines = None


_of_run: ContextVar[Runtime | None] = ContextVar("runtime", default=None)
_of_process: Runtime | None = None
"""Of a process that runs single steps which a run elsewhere has sent to it, by Ray. It knows of no study: it is made of
what the environment of that process says, and keeps one engine for the steps that follow each other there."""
_making = threading.Lock()


@contextlib.contextmanager
def using(runtime: Runtime) -> Iterator[None]:
    """Have a run, which is this thread's and that of all tasks it submits, use a runtime. Other runs do not see it."""
    token = _of_run.set(runtime)
    try:
        yield
    finally:
        _of_run.reset(token)


def of_run() -> Runtime | None:
    """The runtime of the run that this thread works for, if that runs in this process."""
    return _of_run.get()


def current(listener: Callable[[], Listener] = lambda: _nobody) -> Runtime:
    """The runtime of the run that this thread works for; else the process's own, made, with such a listener, from the
    environment."""
    global _of_process
    if (running := _of_run.get()) is not None:
        return running
    with _making:
        if _of_process is None:
            _of_process = Runtime(open_store(), listener=listener())
        return _of_process


def follow_gpus() -> None:
    """Where the environment names other GPUs than it did, end the process's own engines and use those from now on.

    Ray gives a GPU to a step, and not to the process that runs it: the next step there may have another.
    """
    global _of_process
    with _making:
        old = _of_process
        if _of_run.get() is not None or old is None or old.placement.gpus == devices.visible():
            return
        _of_process = Runtime(old.store, Placement(), old.listener)
    old.close()
