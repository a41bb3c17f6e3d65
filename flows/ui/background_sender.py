"""What is told to the Prefect server beside a run: one thread sends it, so that no stage ever waits for the server."""

import atexit
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate

from tasks.pipeline import runtime

MOST_WAITING = 1000
"""Messages kept while the server does not answer; the oldest are dropped first."""
PATIENCE = 10.0
"""Seconds to wait for an answer, and for the last messages when the process ends."""
PAUSE = 5.0
"""Seconds to leave a server alone that did not answer."""

Message = Callable[[SyncPrefectClient], Any]
log = logging.getLogger(__name__)


def _connected() -> SyncPrefectClient:
    return get_client(httpx_settings={"timeout": PATIENCE}, sync_client=True)


class BackgroundSender:
    """Sends messages in the order they came. What cannot be sent is dropped: nothing of a study depends on it."""

    def __init__(
        self, connect: Callable[[], SyncPrefectClient] = _connected, say: Callable[[str], None] = lambda text: None
    ) -> None:
        """`say` is told, in the context of the run whose message it was, when the server has stopped to answer."""
        self._connect = connect
        self._say = say
        self._waiting: dict[Hashable, tuple[Message, contextvars.Context]] = {}
        """With the run each is of, to tell that one."""
        self._changed = threading.Condition()
        self._sending = False
        self._thread: threading.Thread | None = None
        self._known: dict[Hashable, UUID] = {}

    def send(self, message: Message, about: Hashable | None = None) -> None:
        """Have something sent; it replaces a message about the same thing that still waits."""
        with self._changed:
            self._waiting[about if about is not None else object()] = message, contextvars.copy_context()
            if len(self._waiting) > MOST_WAITING:
                self._waiting.pop(next(iter(self._waiting)))
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_all, name="background sender", daemon=True)
                self._thread.start()
                atexit.register(self.settle)
            self._changed.notify_all()

    def artifact(self, artifact: ArtifactCreate) -> None:
        """Have a Prefect artifact made."""
        self.send(lambda client: client.create_artifact(artifact))

    def keep_up(self, about: Hashable, artifact: ArtifactCreate) -> None:
        """Have a Prefect artifact made, or brought up to date where there is one about this."""

        def deliver(client: SyncPrefectClient) -> None:
            known = self._known.get(about)
            if known is None:
                self._known[about] = client.create_artifact(artifact).id
            else:
                client.update_artifact(known, ArtifactUpdate(data=artifact.data, description=artifact.description))

        self.send(deliver, about)

    def settle(self, seconds: float = PATIENCE) -> bool:
        """Wait until everything is sent, at most so long. Returns whether it is."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._waiting or self._sending:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _send_all(self) -> None:
        client: SyncPrefectClient | None = None
        lost = False
        while True:
            with self._changed:
                self._sending = False
                self._changed.notify_all()
                while not self._waiting:
                    self._changed.wait()
                message, of_run = self._waiting.pop(next(iter(self._waiting)))
                self._sending = True
            try:
                if client is None:
                    client = self._connect().__enter__()
                message(client)
                lost = False
            except Exception as error:
                log.debug("not told to the Prefect server: %s", error)
                if isinstance(error, httpx.TransportError) and not lost:
                    lost = True
                    of_run.run(self._say, "the server does not answer; the study goes on without it")
                client = None
                time.sleep(PAUSE)


def _note(text: str) -> None:
    if (running := runtime.of_run()) is not None:
        running.listener("note", "prefect", {"text": text})


sender = BackgroundSender(say=_note)
"""One thread sends for all runs of the process; each message is sent in the context of the run that it is of."""
