"""What a remote store keeps beside its artifacts: what went into the newest of each name, and how long steps took.

    latest/<stage>/<label>.json     ingredients, to explain a miss
    timings/<machine>.jsonl         each machine's own, so that none writes over another's

Copies of both are kept in the cache and fetched anew only when their object has changed.
"""

import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.resources.errors import Transient
from tasks.storage.atomic_write import write_atomically
from tasks.storage.object_store import Remote

UPLOAD_EVERY = 15.0
"""Seconds between uploads of this machine's timings, which grow by a line with each artifact."""


class Notes:
    """The notes of one remote store. Use it from any thread.

    Args:
        cache: where copies are kept.
        timings: this machine's own file of timings.
    """

    def __init__(self, remote: Remote, cache: Path, timings: Path, machine: str) -> None:
        self._remote = remote
        self._cache = cache
        self._timings = timings
        self._own = f"{machine}.jsonl"
        self._latest: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._uploaded = -UPLOAD_EVERY

    def look_again(self, stage: str) -> None:
        """What other machines have noted since is wanted."""
        with self._lock:
            self._latest.pop(stage, None)

    def latest(self, stage: str, name: str) -> dict[str, Any] | None:
        """The ingredients under a name; all of a stage are fetched at the first question, side by side."""
        with self._lock:
            if stage not in self._latest:
                texts = self._fetched(f"latest/{stage}")
                self._latest[stage] = {each: _parsed(text) for each, text in texts.items()}
            return self._latest[stage].get(name)

    def remember(self, stage: str, name: str, ingredients: dict[str, Any]) -> None:
        """Note a complete artifact, and now and then this machine's timings. A store that fails is not asked again."""
        with suppress(Transient):
            self._remote.write(f"latest/{stage}/{name}", json.dumps(ingredients).encode())
            if time.monotonic() - self._uploaded >= UPLOAD_EVERY:
                self._uploaded = time.monotonic()
                self._upload_timings()

    def timing_lines(self) -> list[str]:
        """Every machine's timings, this one's last; brings the store's copy of them up to date."""
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
        there = self._remote.list(folder)
        own = there.pop(but, None) if but else None
        if but and self._timings.exists() and (own is None or own.size != self._timings.stat().st_size):
            with suppress(Transient):
                self._upload_timings()
        changed = [name for name, entry in there.items() if not entry.mark or kept.get(name, ["", ""])[0] != entry.mark]
        gone = kept.keys() - there.keys()
        came = self._remote.read_many(f"{folder}/{name}" for name in changed)
        for name in changed:
            content = came.get(f"{folder}/{name}")
            if content is not None:
                kept[name] = [there[name].mark, content.decode("utf-8", "replace")]
        for name in gone:
            del kept[name]
        if changed or gone:
            with suppress(OSError):  # a full disk: they are fetched again
                write_atomically(copy, json.dumps(kept))
        return {name: text for name, (_, text) in kept.items()}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
