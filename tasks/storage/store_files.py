"""What lies in a store, by names relative to it, alike for a folder and a URL: to list, check and clean it."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tasks.storage.atomic_write import write_atomically


@dataclass(frozen=True)
class ObjectInfo:
    """One file or object of a listing."""

    size: int
    """Bytes."""
    mark: str = ""
    """Changes when its content does; empty where the store has nothing like it."""
    modified: float | None = None
    """When it was written, in seconds since 1970 by the store's clock; None where it does not say."""


class StoreFiles(Protocol):
    """The files of a store. `ObjectStore` has the same methods."""

    def folders(self, folder: str) -> list[str]:
        """Names of the folders in a folder; links are none. Empty where there is no such folder."""

    def list(self, folder: str) -> dict[str, ObjectInfo]:
        """Every file under a folder, by its name relative to it."""

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is none."""

    def read_many(self, names: Iterable[str]) -> dict[str, bytes]:
        """The content of those that are there."""

    def write(self, name: str, content: bytes) -> str:
        """Write a whole file; returns its version, where the store has any."""

    def remove(self, *names: str) -> None:
        """Remove files; one that is not there is no error."""

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with all that is in it; one that is not there is no error."""


class FolderFiles:
    """The files of a store that is a folder. No link is followed below it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folders(self, folder: str) -> list[str]:
        try:
            with os.scandir(self._root / folder) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def list(self, folder: str) -> dict[str, ObjectInfo]:
        root = self._root / folder
        found = {}
        for place, _, names in os.walk(root, followlinks=False):
            for name in names:
                path = Path(place, name)
                with suppress(FileNotFoundError):  # removed meanwhile
                    status = path.lstat()
                    info = ObjectInfo(status.st_size, str(status.st_mtime_ns), status.st_mtime)
                    found[path.relative_to(root).as_posix()] = info
        return found

    def read(self, name: str) -> bytes | None:
        try:
            return (self._root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def read_many(self, names: Iterable[str]) -> dict[str, bytes]:
        return {name: content for name in names if (content := self.read(name)) is not None}

    def write(self, name: str, content: bytes) -> str:
        write_atomically(self._root / name, content.decode("utf-8"))
        return ""

    def remove(self, *names: str) -> None:
        for name in names:
            (self._root / name).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self._root / folder)
