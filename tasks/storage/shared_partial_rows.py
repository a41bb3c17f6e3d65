"""Finished rows of unfinished artifacts in a shared store, so that another machine can continue them.

A part's object carries a digest of its content in its name (`parts/000004.1f3a….parquet`): machines that made
different rows under the same number do not overwrite each other. What is fetched is put beside the parts that are
there; rows that two parts hold are taken once, when the parts are put together.
"""

import os
import time
import warnings
from collections import defaultdict
from contextlib import suppress
from pathlib import Path, PurePosixPath

from data.digest import file_digest, known_digest
from tasks.resources.errors import Transient
from tasks.storage.object_store import ObjectStore

DIGITS = 16


class SharedPartialRows:
    """The parts of one store's unfinished artifacts. Thread-safe."""

    def __init__(self, remote: ObjectStore) -> None:
        self._remote = remote
        self._waiting: dict[Path, dict[Path, None]] = defaultdict(dict)
        self._quiet_until = 0.0

    def keep(self, folder: Path, where: str, part: Path) -> None:
        """Upload a part. If the store does not answer, it is uploaded with the next one.

        Args:
            folder: the artifact's folder on this machine.
            where: its name in the store.
        """
        waiting = self._waiting[folder]
        waiting[part] = None
        if time.monotonic() < self._quiet_until:
            return
        for unsent in list(waiting):
            try:
                if unsent.exists():
                    self._upload(folder, where, unsent)
            except Transient as error:
                self._quiet_until = time.monotonic() + self._remote.limit
                warnings.warn(f"{error}; finished rows are kept on this machine only for now", stacklevel=3)
                return
            waiting.pop(unsent, None)

    def send(self, folder: Path, where: str) -> None:
        """Upload all parts that the store lacks, those written while it did not answer included.

        Raises:
            Transient: it does not answer now.
        """
        uploaded = {local[1] for name in self._remote.list(f"{where}/parts") if (local := _local_name(name))}
        for part in sorted((folder / "parts").glob("[!.]*")):
            if part.suffix == ".draft" or part.is_dir():
                continue
            with suppress(FileNotFoundError):  # another run has put all rows together, and taken the parts away
                if known_digest(part)[:DIGITS] not in uploaded:
                    self._upload(folder, where, part)
            self._waiting[folder].pop(part, None)

    def _upload(self, folder: Path, where: str, part: Path) -> None:
        self._remote.upload(part, f"{where}/{_remote_name(part.relative_to(folder), known_digest(part))}")

    def forget(self, folder: Path) -> None:
        """Upload no more parts of an artifact that is complete."""
        self._waiting.pop(folder, None)

    def fetch(self, folder: Path, where: str) -> None:
        """Download the parts that only the store has.

        Raises:
            Transient: the store does not answer.
        """
        objects = self._remote.list(f"{where}/parts")
        if not objects:
            return
        local = folder / "parts"
        digests = {known_digest(path)[:DIGITS] for path in local.rglob("*") if path.is_file()}
        for name, entry in sorted(objects.items()):
            part = _local_name(name)
            if part is None or part[1] in digests:
                continue
            draft = local / f".{part[1]}.{os.getpid()}.fetched"
            try:
                if not self._remote.download(f"{where}/parts/{name}", draft, entry.size):
                    continue
                if not file_digest(draft).startswith(part[1]):
                    warnings.warn(f"{self._remote.url}/{where}/parts/{name} is damaged: left out", stacklevel=3)
                    continue
                target = _free_name(local / part[0])
                target.parent.mkdir(parents=True, exist_ok=True)
                draft.replace(target)
            finally:
                draft.unlink(missing_ok=True)


def _remote_name(part: Path, digest: str) -> str:
    return part.with_name(f"{part.stem}.{digest[:DIGITS]}{part.suffix}").as_posix()


def _local_name(name: str) -> tuple[str, str] | None:
    """A part's name below `parts/` and its digest; None for anything else."""
    path = PurePosixPath(name)
    stem, _, digest = path.stem.rpartition(".")
    if not stem or len(digest) != DIGITS or path.is_absolute() or ".." in path.parts:
        return None
    return path.with_name(f"{stem}{path.suffix}").as_posix(), digest


def _free_name(target: Path) -> Path:
    """The name, or where another part has it, one with the next free number."""
    while target.exists():
        head = target.stem.rstrip("0123456789")
        digits = target.stem[len(head) :]
        target = target.with_name(f"{head}{int(digits or 0) + 1:0{len(digits)}d}{target.suffix}")
    return target
