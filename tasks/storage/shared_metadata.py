"""What a shared store keeps beside its artifacts: what was made last under each name, and how long stages took.

    latest/<stage>/<label>.json     what was made last, to explain a miss
    timings/<machine>.jsonl         each machine's own, so that none writes over another's

Copies of both are kept in the cache and fetched anew only when their object has changed.
"""

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.resources.errors import Transient
from tasks.storage.atomic_write import write_atomically
from tasks.storage.latest import Latest, with_newest
from tasks.storage.object_store import ObjectStore

UPLOAD_EVERY = 15.0
"""Seconds between uploads of this machine's timings, which grow by a line with each artifact."""


class SharedMetadata:
    """Metadata of one shared store. Thread-safe.

    Args:
        cache: where copies are kept.
        timings: this machine's own file of timings.
    """

    def __init__(self, remote: ObjectStore, cache: Path, timings: Path, machine: str) -> None:
        self._remote = remote
        self._cache = cache
        self._timings = timings
        self._own = f"{machine}.jsonl"
        self._latest: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        self._uploaded = -UPLOAD_EVERY

    def forget_stage(self, stage: str) -> None:
        """Fetch what was made last of a stage anew when they are next asked for."""
        with self._lock:
            self._latest.pop(stage, None)

    def latest(self, stage: str, name: str) -> Latest | None:
        """What was made last under a name; all of a stage are fetched at once when the first is asked for."""
        with self._lock:
            if stage not in self._latest:
                self._latest[stage] = self._fetched(f"latest/{stage}")
            return Latest.of(self._latest[stage].get(name))

    def record(self, stage: str, name: str, manifest: Mapping[str, Any]) -> None:
        """Record a complete artifact, and every `UPLOAD_EVERY` seconds this machine's timings. A failure is ignored."""
        with suppress(Transient):
            before = self._remote.read(f"latest/{stage}/{name}")
            text = with_newest(Latest.of((before or b"").decode("utf-8", "replace")), manifest)
            self._remote.write(f"latest/{stage}/{name}", text.encode())
            if time.monotonic() - self._uploaded >= UPLOAD_EVERY:
                self._uploaded = time.monotonic()
                self._upload_timings()

    def timing_lines(self) -> list[str]:
        """Every machine's timings, this one's last; uploads this machine's if the store's copy is old."""
        others = self._fetched("timings", but=self._own)
        lines = [line for text in others.values() for line in text.splitlines()]
        with suppress(FileNotFoundError):
            lines += self._timings.read_text(encoding="utf-8").splitlines()
        return lines

    def _upload_timings(self) -> None:
        with suppress(FileNotFoundError):
            self._remote.upload(self._timings, f"timings/{self._own}")

    def _fetched(self, folder: str, but: str = "") -> dict[str, str]:
        """The text of every object of a folder: from the cache where it has not changed."""
        copy = self._cache / f"{folder}.json"
        kept: dict[str, list[str]] = {}
        with suppress(FileNotFoundError, ValueError):
            kept = json.loads(copy.read_text(encoding="utf-8"))
        objects = self._remote.list(folder)
        own = objects.pop(but, None) if but else None
        if but and self._timings.exists() and (own is None or own.size != self._timings.stat().st_size):
            with suppress(Transient):
                self._upload_timings()
        changed = [
            name for name, entry in objects.items() if not entry.mark or kept.get(name, ["", ""])[0] != entry.mark
        ]
        removed = kept.keys() - objects.keys()
        contents = self._remote.read_many(f"{folder}/{name}" for name in changed)
        for name in changed:
            content = contents.get(f"{folder}/{name}")
            if content is not None:
                kept[name] = [objects[name].mark, content.decode("utf-8", "replace")]
        for name in removed:
            del kept[name]
        if changed or removed:
            with suppress(OSError):  # a full disk: they are fetched again
                write_atomically(copy, json.dumps(kept))
        return {name: text for name, (_, text) in kept.items()}
