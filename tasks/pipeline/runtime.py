"""Where stages run: the store, the devices, the engines, and who hears of progress. Never part of a key."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
            _current = Runtime(open_store(), of_environment=True)
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
