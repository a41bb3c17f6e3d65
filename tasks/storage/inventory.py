"""What a store holds: its artifacts, the unfinished and the damaged ones, their sizes, and when they were last used.

Nothing is taken for a part of the store but `<stage>/<key>/` whose manifest says the same, unfinished artifacts of such
stages, and what was set aside in `damaged/`. So a folder that is no store has nothing to be removed.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tasks.storage.artifacts import USED, Store
from tasks.storage.manifest import MANIFEST, read_manifest
from tasks.storage.store_files import ObjectInfo
from tasks.storage.study_records import StudyRecord

STAGE = re.compile(r"[a-z][a-z0-9_]*")
KEY = re.compile(r"[0-9a-f]{32}")
SET_ASIDE = re.compile(r"([a-z][a-z0-9_]*)-([0-9a-f]{32})-\d+")
DAMAGED = "damaged"
OTHERS = frozenset({DAMAGED, "endpoints", "incoming", "latest", "locks", "relatives", "seen", "studies", "timings"})
"""Folders of a store in which there are no artifacts."""
AT_ONCE = 256
"""Manifests that are read at once."""


class Condition(StrEnum):
    """How an artifact in a store is."""

    COMPLETE = "complete"
    UNFINISHED = "unfinished"
    """It has no manifest."""
    UNREADABLE = "unreadable"
    """Its manifest cannot be read, or is another artifact's."""
    DAMAGED = "damaged"
    """It was set aside."""


@dataclass(frozen=True)
class StoredArtifact:
    """One artifact of a store."""

    stage: str
    key: str
    folder: str
    """Its name in the store."""
    condition: Condition
    files: Mapping[str, ObjectInfo] = field(repr=False)
    used: float = 0.0
    """When it was last made, found or read, in seconds since 1970; an unfinished one: when it was last written to."""
    label: str = ""
    rows: int | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(info.size for info in self.files.values())

    @property
    def name(self) -> str:
        """What it is called by a person: stage, label, key."""
        return " ".join(filter(None, (self.stage, self.label, self.key)))


def inventory(store: Store, records: Iterable[StudyRecord] = ()) -> list[StoredArtifact]:
    """Every artifact of a store, by stage and key.

    Args:
        records: what studies reached when they ran counts as used then.

    Raises:
        Transient, InputError: the store does not answer, or refuses.
    """
    reached = _reached(records)
    found = [one for stage in _stages(store) for one in _of_stage(store, stage, reached)]
    return [*found, *_set_aside(store)]


def manifest_of(stage: str, key: str, content: bytes | None) -> dict[str, Any] | None:
    """The manifest in a file's content; None where it is not that of this artifact."""
    manifest = None if content is None else read_manifest(content)
    if manifest is None or (manifest.get("stage"), manifest.get("key")) != (stage, key):
        return None
    return manifest


def _stages(store: Store) -> list[str]:
    return [name for name in store.files.folders("") if STAGE.fullmatch(name) and name not in OTHERS]


def _reached(records: Iterable[StudyRecord]) -> dict[tuple[str, str], float]:
    """When a study last reached each artifact."""
    latest: dict[tuple[str, str], float] = {}
    for record in records:
        when = max(record.started, record.finished or 0.0)
        for stage, keys in record.keys.items():
            for key in keys:
                latest[stage, key] = max(when, latest.get((stage, key), 0.0))
    return latest


def _of_stage(store: Store, stage: str, reached: Mapping[tuple[str, str], float]) -> Iterator[StoredArtifact]:
    keys = [name for name in store.files.folders(stage) if KEY.fullmatch(name)]
    if not keys:
        return
    by_key: dict[str, dict[str, ObjectInfo]] = {key: {} for key in keys}
    for name, info in store.files.list(stage).items():
        key, _, below = name.partition("/")
        if below and key in by_key:
            by_key[key][below] = info
    complete = 0
    unfinished: list[StoredArtifact] = []
    for batch in _batches([key for key in keys if MANIFEST in by_key[key]]):
        contents = store.files.read_many(f"{stage}/{key}/{MANIFEST}" for key in batch)
        for key in batch:
            one = _with_manifest(store, stage, key, by_key[key], contents.get(f"{stage}/{key}/{MANIFEST}"), reached)
            complete += one.condition is Condition.COMPLETE
            yield one
    for key in keys:
        if MANIFEST not in by_key[key]:
            times = [_written(info) for info in by_key[key].values()]
            written = max(times, default=_changed(store, stage, key) or time.time())
            unfinished.append(StoredArtifact(stage, key, f"{stage}/{key}", Condition.UNFINISHED, by_key[key], written))
    for one in unfinished:
        if complete or any(name.startswith("parts/") for name in one.files):
            yield one


def _with_manifest(
    store: Store,
    stage: str,
    key: str,
    files: Mapping[str, ObjectInfo],
    content: bytes | None,
    reached: Mapping[tuple[str, str], float],
) -> StoredArtifact:
    folder = f"{stage}/{key}"
    manifest = manifest_of(stage, key, content)
    if manifest is None:
        return StoredArtifact(stage, key, folder, Condition.UNREADABLE, files, _written(files[MANIFEST]))
    used = max(_written(files[MANIFEST]), last_marked(store, stage, key), reached.get((stage, key), 0.0))
    label, rows = str(manifest.get("label", "")), manifest.get("rows")
    return StoredArtifact(stage, key, folder, Condition.COMPLETE, files, used, label, rows)


def _written(info: ObjectInfo) -> float:
    """When a file was written; now where its store does not say, so that nothing is taken for old that may not be."""
    return time.time() if info.modified is None else info.modified


def last_marked(store: Store, stage: str, key: str) -> float:
    """When a run on this machine last found or read an artifact; 0 where none did."""
    return _changed(store, stage, f"{key}/{USED}")


def _changed(store: Store, stage: str, name: str) -> float:
    try:
        return (store.root / stage / name).lstat().st_mtime
    except OSError:
        return 0.0


def _set_aside(store: Store) -> Iterator[StoredArtifact]:
    by_folder: dict[str, dict[str, ObjectInfo]] = defaultdict(dict)
    names = {name for name in store.files.folders(DAMAGED) if SET_ASIDE.fullmatch(name)}
    if not names:
        return
    for name, info in store.files.list(DAMAGED).items():
        folder, _, below = name.partition("/")
        if below and folder in names:
            by_folder[folder][below] = info
    for name in sorted(names):
        parsed = SET_ASIDE.fullmatch(name)
        assert parsed is not None
        used = int(name.rpartition("-")[2]) / 1e9  # when it was set aside
        yield StoredArtifact(parsed[1], parsed[2], f"{DAMAGED}/{name}", Condition.DAMAGED, by_folder[name], used)


def _batches(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), AT_ONCE):
        yield keys[start : start + AT_ONCE]
