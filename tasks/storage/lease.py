"""A lease: which process makes an artifact of a shared store, for as long as it renews the lease.

A lease is one object with its owner and a count that the owner's thread raises. A waiter watches the object and takes
over when it has not changed for the lease's length of the waiter's own monotonic clock: clocks are never compared
between machines, and setting one changes nothing. A holder whose lease was taken over (suspended, cut off) learns of it
at its next renewal, or before it publishes, and its stage is tried again.

Not excluded: where the store has no conditional writes (everything but S3), two waiters that take over in the same
second may both hold it until the next renewal; and a holder may be replaced between its last check and the last object
of its upload. Both then make the same artifact from the same key. Nothing is lost: files that do not match a manifest
are detected by their digests and made again.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from data.errors import InputError
from tasks.resources.errors import Transient
from tasks.storage.object_store import ObjectStore, WriteConflict

RENEWALS = 6
"""Renewals in the length of a lease: so many may fail before anyone takes over."""
LONGEST_POLL = 2.0


class Lease:
    """One lease of this process.

    Args:
        name: the object's name.
        machine: what the processes share among which the kernel's lock lets only one come here. A lease of the same
            machine is then that of a dead process, and taken over at once.
        length: seconds without a sign of life after which others may take over.
    """

    def __init__(self, remote: ObjectStore, name: str, machine: str, length: float) -> None:
        self._remote = remote
        self._name = name
        self._machine = machine
        self.length = length
        self._owner = uuid.uuid4().hex
        self._count = 0
        self._version = ""
        self._ended = threading.Event()
        self._renewing = threading.Lock()
        self._thread = threading.Thread(target=self._renew_until_released, name=f"lease {name}", daemon=True)
        self.lost = False

    def acquire(self) -> None:
        """Wait until this process holds the lease."""
        try:
            self._acquire()
        except BaseException:  # Ctrl-C among them: the write may have been carried out
            self.release()
            raise

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def _acquire(self) -> None:
        watched: bytes | None = None
        since = time.monotonic()
        while not self._try_to_create():
            content = self._remote.read(self._name)
            if content is None:
                continue
            if self._is_ours(content):  # written by a request whose answer was lost
                self._version = self._remote.version(self._name) or ""
                break
            now = time.monotonic()
            if content != watched:
                watched, since = content, now
            of_dead_process = parsed(content).get("machine") == self._machine
            if (of_dead_process or now - since >= self.length) and self._take(content):
                break
            time.sleep(min(LONGEST_POLL, self.length / RENEWALS))
        self._thread.start()

    def confirm(self) -> None:
        """Check that the lease is still held, before anything is written that others can see.

        Raises:
            Transient: somebody else has taken over.
        """
        with self._renewing:
            if not self.lost:
                self.lost = not self._still_ours()
        if self.lost:
            raise Transient(
                f"the lease {self._name} was lost: it was not renewed in time, and another machine makes the artifact"
            )

    def release(self) -> None:
        """Release the lease. If the store does not answer, it expires by itself."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(self._remote.limit)
        if self.lost:
            return
        try:
            if self._is_ours(self._remote.read(self._name)):
                self._remote.remove(self._name)
        except (Transient, InputError, OSError):
            pass

    def _try_to_create(self) -> bool:
        # Looked at first: not every server that speaks S3 heeds the condition of the write.
        if self._remote.read(self._name) is not None:
            return False
        try:
            self._version = self._remote.create(self._name, self._content())
        except WriteConflict:
            return False
        return True

    def _take(self, watched: bytes) -> bool:
        """Replace the lease of a dead owner, and check that no other waiter has done so too."""
        version = self._remote.version(self._name)
        if version is None or self._remote.read(self._name) != watched:
            return False
        try:
            self._version = self._remote.write(self._name, self._content(), seen=version)
        except WriteConflict:
            return False
        time.sleep(min(1.0, self.length / RENEWALS))  # another waiter's write may be on its way
        return self._is_ours(self._remote.read(self._name))

    def _is_ours(self, content: bytes | None) -> bool:
        return content is not None and parsed(content).get("owner") == self._owner

    def _renew_until_released(self) -> None:
        while not self._ended.wait(self.length / RENEWALS):
            try:
                with self._renewing:
                    self.lost = self.lost or not self._renewed()
            except (Transient, InputError, OSError):
                continue  # the next renewal may succeed; whether we still hold it is asked before publishing
            if self.lost:
                return

    def _renewed(self) -> bool:
        self._count += 1
        if not self._version and not self._still_ours():
            return False
        try:
            self._version = self._remote.write(self._name, self._content(), seen=self._version)
        except WriteConflict:
            # It may be our own write, carried out twice.
            return self._still_ours()
        return True

    def _still_ours(self) -> bool:
        version = self._remote.version(self._name)
        content = self._remote.read(self._name)
        if content is None:  # somebody has cleared the locks away
            return self._try_to_create()
        self._version = version or ""
        return self._is_ours(content)

    def _content(self) -> bytes:
        lease = {
            "owner": self._owner,
            "machine": self._machine,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "count": self._count,
        }
        return json.dumps(lease).encode()


def parsed(content: bytes) -> dict[str, Any]:
    """What a lease's object says: `owner`, `machine`, `host`, `process` and `count`; nothing where it is unreadable."""
    try:
        lease = json.loads(content)
    except ValueError:  # a file that is being written
        return {}
    return lease if isinstance(lease, dict) else {}
