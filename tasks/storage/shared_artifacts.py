"""The store at a fsspec URL: a folder on this machine in which stages write as ever, and the copy all machines see.

<url>/<stage>/<key>/manifest.json       uploaded last: without it there is no artifact
<url>/<stage>/<key>/content-<digest>    what the artifact holds, to be read from a listing
<url>/<stage>/<key>/rows.parquet        or whatever files the stage wrote
<url>/<stage>/<key>/parts/              finished rows of an unfinished artifact (tasks/storage/shared_partial_rows.py)
<url>/relatives/<stage>/<name>/         artifacts that rows may be taken over from (tasks/pipeline/take_over.py)
<url>/latest/, <url>/timings/           what was made last, and how long it took (tasks/storage/shared_metadata.py)
<url>/locks/<stage>-<key>.json          who makes an artifact now (tasks/storage/lease.py)
<url>/damaged/                          what did not have its digest

The folder on this machine is a cache: deleting it loses nothing but finished rows that were not uploaded yet.
"""

import json
import os
import shutil
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from tasks.resources.errors import Transient
from tasks.storage.artifacts import CLEANING, Artifact, Store, most_rows, most_rows_first
from tasks.storage.atomic_write import write_atomically
from tasks.storage.latest import Latest
from tasks.storage.lease import Lease
from tasks.storage.local_cache import folder_name, machine_name, seconds, user_cache
from tasks.storage.manifest import CONTENT, MANIFEST, content_of, manifest_text, read_manifest
from tasks.storage.object_store import ObjectStore
from tasks.storage.shared_metadata import SharedMetadata
from tasks.storage.shared_partial_rows import SharedPartialRows

STORED = ".stored"
"""Marks a folder of the cache whose artifact the remote store has."""
UPLOADED = ".uploaded.json"
"""Digests of the files that were uploaded before an upload broke off."""
UNREADABLE = "its manifest cannot be read"


class SharedStore(Store):
    """Artifacts at a URL, used by several machines at once. Use it from any thread.

    Args:
        url: such as s3://bucket/prefix.
        cache: the folder under which this machine keeps copies, one subfolder a URL.
        limit: seconds that the store has for an answer.
        lease: seconds without a sign of life after which another machine may take over.

    Raises:
        InputError: no store can be at that URL.
    """

    def __init__(self, url: str, cache: Path, limit: float = 60.0, lease: float = 60.0) -> None:
        self._remote = ObjectStore(url, limit)
        self.url = self._remote.url
        super().__init__(cache / folder_name(self.url))
        self.files = self._remote
        self._lease_seconds = lease
        self.machine = machine_name(self.root)
        self._leases: dict[tuple[str, str], Lease] = {}
        self._without_lease: set[tuple[str, str]] = set()
        self._known: dict[str, set[str]] = defaultdict(set)
        self._contents_there: dict[tuple[str, str], str] = {}
        self._begun: dict[str, frozenset[str]] = {}
        self._parts = SharedPartialRows(self._remote)
        self._metadata = SharedMetadata(self._remote, self.root / "seen", self.timings, self.machine)
        self._guard = threading.Lock()

    @classmethod
    def at(cls, url: str) -> "SharedStore":
        """The store at a URL, with the cache, time limit and lease that the environment names.

        MOTHERTONGUE_CACHE, MOTHERTONGUE_STORE_TIMEOUT and MOTHERTONGUE_LEASE (seconds).
        """
        cache = os.environ.get("MOTHERTONGUE_CACHE") or user_cache() / "mothertongue"
        times = seconds("MOTHERTONGUE_STORE_TIMEOUT", 60.0), seconds("MOTHERTONGUE_LEASE", 60.0)
        return cls(url, Path(cache).expanduser().absolute(), *times)

    def __str__(self) -> str:
        return f"{self.url} (cache: {self.root})"

    def check(self) -> None:
        super().check()
        self._remote.check()

    # What there is

    def has(self, stage: str, key: str) -> bool:
        if (self.folder(stage, key) / STORED).exists() or key in self._known[stage]:
            return True
        if self._remote.read(f"{stage}/{key}/{MANIFEST}") is None:
            return False
        self._known[stage].add(key)
        return True

    def keys(self, stage: str) -> frozenset[str]:
        """Keys of the stage's complete artifacts, by one listing."""
        marked = {key for key in super().keys(stage) if (self.folder(stage, key) / STORED).exists()}
        listed = [name.partition("/") for name in self._remote.list(stage)]
        complete = frozenset(key for key, _, name in listed if name == MANIFEST)
        for key in marked - complete:  # removed from the store since: this machine's copy is uploaded when it is used
            (self.folder(stage, key) / STORED).unlink(missing_ok=True)
        self._known[stage] = set(complete)
        for key, _, name in listed:
            if name.startswith(CONTENT):
                self._contents_there[stage, key] = name.removeprefix(CONTENT)
        self._begun[stage] = frozenset(key for key, _, name in listed if name.startswith("parts/"))
        self._metadata.forget_stage(stage)
        return complete

    def content(self, stage: str, key: str) -> str | None:
        if (self.folder(stage, key) / STORED).exists() and (here := super().content(stage, key)) is not None:
            return here
        if (stage, key) not in self._contents_there:
            manifest = self._manifest(stage, key)
            if manifest is None:
                return None
            self._contents_there[stage, key] = content_of(manifest)
        return self._contents_there[stage, key]

    def relatives(self, stage: str, name: str) -> dict[str, int]:
        return most_rows_first(self._remote.list(f"relatives/{stage}/{name}"))

    def most_rows(self, stage: str) -> dict[str, int]:
        return most_rows(self._remote.list(f"relatives/{stage}"))

    def begun(self, stage: str, key: str) -> bool:
        return super().begun(stage, key) or key in self._begun.get(stage, ()) or super().has(stage, key)

    def sound(self, stage: str, key: str) -> bool:
        """Digests are checked of what this machine has; of the rest, only that there is a manifest."""
        return super().open(stage, key) is not None or self.has(stage, key)

    def find(self, stage: str, key: str) -> Artifact | None:
        """As `open`, without fetching files: those that this machine lacks come when they are opened."""
        here = self._here(stage, key)
        if here is not None:
            return here
        manifest = self._manifest(stage, key)
        return None if manifest is None else Artifact(self.folder(stage, key), manifest)

    def open(self, stage: str, key: str) -> Artifact | None:
        return self._here(stage, key) or self._fetched(stage, key)

    def _here(self, stage: str, key: str) -> Artifact | None:
        """The artifact as this machine has it. One that could not be uploaded when it was made is uploaded now."""
        here = super().open(stage, key)
        lease = self._leases.get((stage, key))
        if here is None or (here.folder / STORED).exists():
            return here
        if lease is None and self._manifest(stage, key) is None:
            return here
        return self._uploaded(stage, key, here, lease)

    def _manifest(self, stage: str, key: str) -> dict[str, Any] | None:
        """The manifest that the remote store has. One that cannot be read is set aside with its artifact."""
        content = self._remote.read(f"{stage}/{key}/{MANIFEST}")
        if content is None:
            return None
        manifest = read_manifest(content)
        if manifest is None:
            self._set_aside_there(stage, key, UNREADABLE)
        return manifest

    # Making an artifact

    @contextmanager
    def lock(self, stage: str, key: str) -> Iterator[None]:
        """Hold a key alone among all machines: the kernel's lock on this one, and a lease in the store.

        What the store has already needs no lease, unless it turns out to be damaged (`fetch_parts`).
        """
        with super().lock(stage, key):
            if self.has(stage, key):
                self._without_lease.add((stage, key))
            else:
                self._acquire(stage, key)
            try:
                yield
            finally:
                self._without_lease.discard((stage, key))
                if (lease := self._leases.pop((stage, key), None)) is not None:
                    lease.release()

    def _acquire(self, stage: str, key: str) -> None:
        lease = self.lease(f"{stage}-{key}")
        lease.acquire()
        self._leases[stage, key] = lease

    def lease(self, name: str) -> Lease:
        return Lease(self._remote, f"locks/{name}.json", self.machine, self._lease_seconds)

    @contextmanager
    def alone(self) -> Iterator[None]:
        with super().alone(), self.lease(CLEANING).held():
            yield

    def forget(self, stage: str, key: str) -> None:
        super().forget(stage, key)
        self._known[stage].discard(key)
        self._contents_there.pop((stage, key), None)

    def publish(self, stage: str, key: str, manifest: dict[str, Any]) -> Artifact:
        """Complete on this machine first, then there: where the upload fails, the next try only uploads.

        Raises:
            Transient: the store does not answer, or another machine has taken over.
        """
        made = super().publish(stage, key, manifest)
        return self._uploaded(stage, key, made, self._leases.get((stage, key)))

    def _uploaded(self, stage: str, key: str, made: Artifact, lease: Lease | None) -> Artifact:
        """Upload what the store lacks of an artifact, the manifest last."""
        if lease is not None:
            lease.confirm()
        theirs = self._manifest(stage, key)
        if theirs is not None and theirs["files"] != made.manifest["files"]:
            # Another machine has made it meanwhile, and what follows may stand on its files: they are the ones.
            (made.folder / MANIFEST).unlink()
            fetched = self._fetched(stage, key)
            if fetched is not None:
                return fetched
            write_atomically(made.folder / MANIFEST, manifest_text(made.manifest))
            theirs = None
        there = self._remote.list(f"{stage}/{key}")
        if theirs is None:
            self._upload_files(stage, key, made, {name: entry.size for name, entry in there.items()})
            if lease is not None:
                lease.confirm()
            self._remote.write(f"{stage}/{key}/{CONTENT}{made.content}", b"")
            self._remote.write(f"{stage}/{key}/{MANIFEST}", manifest_text(made.manifest).encode())
        (made.folder / STORED).touch()
        (made.folder / UPLOADED).unlink(missing_ok=True)
        self._known[stage].add(key)
        self._parts.forget(made.folder)
        with suppress(Transient):  # the artifact is complete: what is left over is only in the way
            self._remote.remove(*(f"{stage}/{key}/{name}" for name in there if name.startswith("parts/")))
            if relatives := made.manifest.get("relatives"):
                self._remote.write(f"relatives/{stage}/{relatives}/{made.manifest['rows']}-{key}", b"")
            self._metadata.record(stage, self._latest_file(stage, made.manifest["label"]).name, made.manifest)
        return made

    def _upload_files(self, stage: str, key: str, made: Artifact, there: dict[str, int]) -> None:
        note = made.folder / UPLOADED
        done: dict[str, str] = {}
        with suppress(FileNotFoundError, ValueError):
            done = json.loads(note.read_text(encoding="utf-8"))
        for name, file in made.manifest["files"].items():
            if done.get(name) == file["sha256"] and there.get(name) == file["bytes"]:
                continue
            self._remote.upload(made.path(name), f"{stage}/{key}/{name}")
            done[name] = file["sha256"]
            write_atomically(note, json.dumps(done))

    def keep_part(self, stage: str, key: str, part: Path) -> None:
        """Upload a part of an unfinished artifact.

        Raises:
            Transient: another machine has taken over.
        """
        lease = self._leases.get((stage, key))
        if lease is not None and lease.lost:
            lease.confirm()
        self._parts.keep(self.folder(stage, key), f"{stage}/{key}", part)

    def send_parts(self, stage: str, key: str) -> None:
        self._parts.send(self.folder(stage, key), f"{stage}/{key}")

    def fetch_parts(self, stage: str, key: str) -> None:
        if (stage, key) in self._without_lease:  # it was thought to be there, and was damaged
            self._without_lease.discard((stage, key))
            self._acquire(stage, key)
        self._parts.fetch(self.folder(stage, key), f"{stage}/{key}")

    # Fetching one

    def _fetched(self, stage: str, key: str) -> Artifact | None:
        """Download an artifact and check its digests; None where there is none, or a damaged one, set aside."""
        folder = self.folder(stage, key)
        with FileLock(self.lock_file(f"fetch-{stage}-{key}")):
            if (here := super().open(stage, key)) is not None:
                return here
            manifest = self._manifest(stage, key)
            if manifest is None:
                return None
            draft = self.root / "incoming" / f"{stage}-{key}-{os.getpid()}-{time.monotonic_ns()}"
            try:
                # A damaged file may have been damaged on its way: it gets a second chance.
                damage = self._download(stage, key, manifest, draft) and self._download(stage, key, manifest, draft)
                if damage is not None:
                    self._set_aside_there(stage, key, damage)
                    return None
                for name in manifest["files"]:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (draft / name).replace(folder / name)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            write_atomically(folder / MANIFEST, manifest_text(manifest))
            (folder / STORED).touch()
            for leftover in ("parts", "scratch"):
                shutil.rmtree(folder / leftover, ignore_errors=True)
            return super().open(stage, key)

    def _download(self, stage: str, key: str, manifest: dict[str, Any], draft: Path) -> str | None:
        """Fetch the files that are not there undamaged; returns what is wrong with them."""
        for name, file in manifest["files"].items():
            alone = {"files": {name: file}}
            if self._damage(draft, alone) is not None:
                self._remote.download(f"{stage}/{key}/{name}", draft / name, file["bytes"])
        return self._damage(draft, manifest)

    def _set_aside_there(self, stage: str, key: str, why: str) -> None:
        aside = f"damaged/{stage}-{key}-{time.time_ns()}"
        names = sorted(self._remote.list(f"{stage}/{key}"), key=lambda name: name != MANIFEST)
        for name in names:  # the manifest first: without it there is no artifact
            self._remote.move(f"{stage}/{key}/{name}", f"{aside}/{name}")
        self.forget(stage, key)
        warnings.warn(
            f"damaged artifact {self.url}/{stage}/{key}: {why}. Set aside as {self.url}/{aside}; "
            "it will be made again.",
            stacklevel=4,
        )

    # Metadata

    def latest(self, stage: str, label: str) -> Latest | None:
        return self._metadata.latest(stage, self._latest_file(stage, label).name)

    def timing_lines(self) -> list[str]:
        return self._metadata.timing_lines()
