"""Temporary files of a process: a folder that ends with it, or, if it was killed, when the next one is made."""

import os
import secrets
import shutil
import threading
from pathlib import Path

from tasks.resources import slots


class Scratch:
    """A folder for a process that is about to start, which must be given `descriptor`.

    Its lock tells a folder in use from one left behind; see tasks/resources/slots.py.
    """

    def __init__(self) -> None:
        root = slots.folder() / "scratch"
        root.mkdir(exist_ok=True)
        with slots.alone(root):
            for lock in root.glob("*.lock"):
                if (descriptor := slots.locked(lock)) is not None:
                    _remove(lock, descriptor)
            lock = root / f"{secrets.token_hex(4)}.lock"
            held = slots.locked(lock)
            assert held is not None, "the mutex on the folder is held"
            self._lock, self.descriptor = lock, held
            self._removing = threading.Lock()
            self.path.mkdir(mode=0o700)

    @property
    def path(self) -> Path:
        return self._lock.with_suffix("")

    def remove(self) -> None:
        """Remove the folder; its process must have ended."""
        with self._removing:
            if self.descriptor >= 0:
                _remove(self._lock, self.descriptor)
                self.descriptor = -1


def _remove(lock: Path, descriptor: int) -> None:
    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    lock.unlink(missing_ok=True)
    os.close(descriptor)
