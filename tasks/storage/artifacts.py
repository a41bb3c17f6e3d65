"""The store: one folder an artifact, named by its key, complete when its manifest exists.

<store>/<stage>/<key>/manifest.json     written last and atomically, with a digest of every file
<store>/<stage>/<key>/rows.parquet      or whatever files the stage wrote
<store>/<stage>/<key>/parts/            finished rows of an unfinished stage
<store>/relatives/<stage>/<name>/<rows>-<key>   artifacts that rows may be taken over from (tasks/pipeline/take_over.py)
<store>/latest/<stage>/<label>.json     what was made last under that name, to explain a miss
<store>/studies/<study>-<id>.json       what each study reached when it was last run (tasks/storage/study_records.py)
"""

import json
import os
import re
import shutil
import socket
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from data.digest import file_digest
from data.errors import InputError
from tasks.storage.atomic_write import write_atomically
from tasks.storage.latest import Latest, with_newest
from tasks.storage.manifest import MANIFEST, content_of, manifest_text
from tasks.storage.rows import Rows
from tasks.storage.store_files import FolderFiles, StoreFiles

if TYPE_CHECKING:
    from tasks.storage.lease import Lease

USED = ".used"
"""A file of an artifact's folder that is touched when a run finds or reads the artifact."""
CLEANING = "cleaning"
"""The lock that is held while a store is cleaned."""


@dataclass(frozen=True)
class Artifact:
    """A complete artifact: its folder and its manifest."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """What the stage reported of its result: counts, losses, settings that were measured."""
        return dict(self.manifest["facts"])

    @property
    def content(self) -> str:
        """A digest of what it holds, as keys of the steps after it have it."""
        return content_of(self.manifest)

    def rows(self) -> Rows:
        return Rows([self.folder / "rows.parquet"])

    def path(self, name: str) -> Path:
        return self.folder / name


class Store:
    """A folder of artifacts that several processes may use at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: StoreFiles = FolderFiles(root)
        """What lies in it."""
        self.machine = socket.gethostname()
        """What this machine is called in it."""
        self._verified: set[tuple[str, int, int]] = set()
        self._contents: dict[tuple[str, str], tuple[int, str]] = {}
        """What artifacts hold, with the time at which their manifests were written."""

    def __str__(self) -> str:
        return str(self.root)

    def check(self) -> None:
        """Check that the store can be written.

        Raises:
            InputError: it cannot.
            Transient: it is remote and does not answer.
        """
        try:
            probe = self.root / f".check-{os.getpid()}-{time.monotonic_ns()}"
            write_atomically(probe, "")
            probe.unlink()
        except OSError as error:
            raise InputError(f"{self.root} cannot be written: {error.strerror}; set MOTHERTONGUE_STORE") from None

    @property
    def timings(self) -> Path:
        """One JSON line for each artifact made: stage, seconds of its slot, rows, tokens; for estimates."""
        return self.root / "timings.jsonl"

    def folder(self, stage: str, key: str) -> Path:
        return self.root / stage / key

    def has(self, stage: str, key: str) -> bool:
        """Whether a manifest exists. Its files are only checked when the artifact is opened."""
        return (self.root / stage / key / MANIFEST).exists()

    def content(self, stage: str, key: str) -> str | None:
        """A digest of what a complete artifact holds; None where there is none. Its files are not checked."""
        path = self.root / stage / key / MANIFEST
        try:
            written = path.stat().st_mtime_ns
            known = self._contents.get((stage, key))
            if known is None or known[0] != written:
                known = written, content_of(json.loads(path.read_text(encoding="utf-8")))
                self._contents[stage, key] = known
        except (FileNotFoundError, ValueError, KeyError):  # one that cannot be read is set aside when it is opened
            return None
        return known[1]

    def keys(self, stage: str) -> frozenset[str]:
        """Keys of the stage's complete artifacts: those for which `has` is true."""
        folder = self.root / stage
        if not folder.is_dir():
            return frozenset()
        return frozenset(entry.name for entry in os.scandir(folder) if os.path.exists(f"{entry.path}/{MANIFEST}"))

    def relatives(self, stage: str, name: str) -> dict[str, int]:
        """Keys of artifacts under one name of relatives (`tasks.pipeline.take_over`) with their rows, most first."""
        folder = self.root / "relatives" / stage / name
        return most_rows_first(os.listdir(folder) if folder.is_dir() else [])

    def most_rows(self, stage: str) -> dict[str, int]:
        """The most rows that an artifact has under each name of relatives, by one look at all of a stage."""
        folder = self.root / "relatives" / stage
        return most_rows(f"{each.name}/{mark}" for each in _folders(folder) for mark in os.listdir(each.path))

    def begun(self, stage: str, key: str) -> bool:
        """Whether there is an unfinished artifact with finished rows."""
        return (self.folder(stage, key) / "parts").is_dir()

    def sound(self, stage: str, key: str) -> bool:
        """Whether the artifact exists and, as far as that can be told without fetching it, is undamaged."""
        return self.open(stage, key) is not None

    def find(self, stage: str, key: str) -> Artifact | None:
        """The artifact with its manifest alone: in a shared store its files need not be on this machine."""
        return self.open(stage, key)

    def open(self, stage: str, key: str) -> Artifact | None:
        """The artifact, its digests checked; None where there is none, or a damaged one, which is set aside."""
        folder = self.folder(stage, key)
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (json.JSONDecodeError, UnicodeDecodeError):
            self._set_aside(folder, "its manifest cannot be read")
            return None
        damage = self._damage(folder, manifest)
        if damage is not None:
            self._set_aside(folder, damage)
            return None
        return Artifact(folder, manifest)

    def mark_used(self, stage: str, key: str) -> None:
        """Note that a run found or read an artifact, where this machine has it."""
        with suppress(OSError):  # it tells only which artifacts are in use: a store that may only be read is one, too
            (self.folder(stage, key) / USED).touch()

    def forget(self, stage: str, key: str) -> None:
        """Note that an artifact was removed."""
        self._contents.pop((stage, key), None)

    def publish(self, stage: str, key: str, manifest: dict[str, Any]) -> Artifact:
        """Complete the artifact whose files lie in its folder: their digests, then the manifest."""
        folder = self.folder(stage, key)
        files = {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = path.relative_to(folder).as_posix()
            if name == MANIFEST or name.startswith(".") or name.split("/")[0] in {"parts", "scratch"}:
                continue
            files[name] = {"sha256": file_digest(path), "bytes": path.stat().st_size}
        manifest = {**manifest, "stage": stage, "key": key, "files": files}
        write_atomically(folder / MANIFEST, manifest_text(manifest))
        for leftover in ("parts", "scratch"):
            shutil.rmtree(folder / leftover, ignore_errors=True)
        with suppress(OSError):  # the artifact is complete; these files only explain, estimate and spare work
            if relatives := manifest.get("relatives"):
                place = self.root / "relatives" / stage / relatives / f"{manifest['rows']}-{key}"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()
            self._record(manifest)
        opened = self.open(stage, key)
        assert opened is not None, f"{folder} was damaged while it was written"
        return opened

    def keep_part(self, stage: str, key: str, part: Path) -> None:
        """Called for each file of finished rows of an unfinished artifact: a shared store uploads it."""

    def send_parts(self, stage: str, key: str) -> None:
        """Called when a machine leaves an unfinished artifact to others: a shared store uploads what it lacks.

        Raises:
            Transient: the store does not answer.
        """

    def fetch_parts(self, stage: str, key: str) -> None:
        """Called before an unfinished artifact is continued: a shared store downloads what this machine lacks."""

    def _record(self, manifest: dict[str, Any]) -> None:
        """Record the ingredients of the newest artifact of this name, and how long it took."""
        stage, label = manifest["stage"], manifest["label"]
        write_atomically(self._latest_file(stage, label), with_newest(self._latest_here(stage, label), manifest))
        tokens = manifest["facts"].get("tokens")
        timing = {
            **{name: manifest[name] for name in ("stage", "model", "busy")},
            **{"rows": manifest["made"], "tokens": tokens},
        }
        with self.timings.open("a", encoding="utf-8") as log:
            log.write(json.dumps(timing) + "\n")

    def latest(self, stage: str, label: str) -> Latest | None:
        """What was made last of this stage and label, to name what has changed since."""
        return self._latest_here(stage, label)

    def _latest_here(self, stage: str, label: str) -> Latest | None:
        try:
            return Latest.of(self._latest_file(stage, label).read_text(encoding="utf-8"))
        except (FileNotFoundError, UnicodeDecodeError):
            return None

    @contextmanager
    def lock(self, stage: str, key: str) -> Iterator[None]:
        """A mutex on a key between processes. The kernel frees the lock of a dead process, so none is left behind."""
        lock = FileLock(self.lock_file(f"{stage}-{key}"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def timing_lines(self) -> list[str]:
        """The lines of `timings`, those of other machines included."""
        try:
            return self.timings.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A mutex on the whole store: held while it is cleaned. Waits for another that holds it."""
        with FileLock(self.lock_file(CLEANING)):
            yield

    def lease(self, name: str) -> "Lease | None":
        """A lease that other machines see; None where the store has no other machines."""
        return None

    def lock_file(self, name: str) -> Path:
        """A file for a lock of the kernel's."""
        path = self.root / "locks" / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _latest_file(self, stage: str, label: str) -> Path:
        return self.root / "latest" / stage / (re.sub(r"[^\w.-]+", "_", label) + ".json")

    def _damage(self, folder: Path, manifest: dict[str, Any]) -> str | None:
        for name, expected in manifest["files"].items():
            path = folder / name
            try:
                status = path.stat()
            except FileNotFoundError:
                return f"{name} is missing"
            mark = (str(path), status.st_mtime_ns, status.st_size)
            if mark in self._verified:
                continue
            if status.st_size != expected["bytes"] or file_digest(path) != expected["sha256"]:
                return f"{name} does not have the digest its manifest gives"
            self._verified.add(mark)
        return None

    def _set_aside(self, folder: Path, why: str) -> None:
        aside = self.root / "damaged" / f"{folder.parent.name}-{folder.name}-{time.time_ns()}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(aside)
        except FileNotFoundError:  # another thread or process has moved it
            return
        warnings.warn(f"damaged artifact {folder}: {why}. Set aside as {aside}; it will be made again.", stacklevel=3)


def _folders(folder: Path) -> list["os.DirEntry[str]"]:
    return [entry for entry in os.scandir(folder) if entry.is_dir()] if folder.is_dir() else []


def most_rows(marks: Iterable[str]) -> dict[str, int]:
    """The most rows under each name, of marks such as `NAME/300-1f3a…`."""
    found: dict[str, int] = {}
    for mark in marks:
        name, _, one = mark.partition("/")
        found[name] = max([found.get(name, 0), *most_rows_first([one]).values()])
    return found


def most_rows_first(marks: Iterable[str]) -> dict[str, int]:
    """Keys and rows in names such as `300-1f3a…`."""
    found = [(int(rows), key) for rows, _, key in (mark.partition("-") for mark in marks) if rows.isdigit()]
    return {key: rows for rows, key in sorted(found, reverse=True)}
