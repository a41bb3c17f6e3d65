"""Removing artifacts from a store, so that there is never half an artifact."""

import shutil
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from tasks.storage.artifacts import Store
from tasks.storage.inventory import Condition, StoredArtifact, last_marked
from tasks.storage.latest import Latest
from tasks.storage.manifest import MANIFEST


def remove(store: Store, one: StoredArtifact) -> bool:
    """Remove one artifact, and this machine's copy of it; its manifest first: without it there is no artifact.

    Returns whether it was removed: one that a run has found, or completed, since it was listed stays.

    Raises:
        OSError: it may not be removed.
        Transient, InputError: the store does not answer, or refuses.
    """
    if one.condition is Condition.DAMAGED:
        store.files.remove_folder(one.folder)
        return True
    with store.lock(one.stage, one.key):
        complete = one.condition is Condition.COMPLETE
        if last_marked(store, one.stage, one.key) > one.used if complete else _has_manifest(store, one):
            return False
        copy = store.root / one.stage / one.key
        store.files.remove(f"{one.folder}/{MANIFEST}")
        if copy.is_dir() and not copy.is_symlink():
            (copy / MANIFEST).unlink(missing_ok=True)
        store.files.remove_folder(one.folder)
        if copy.is_dir() and not copy.is_symlink():
            shutil.rmtree(copy)
        store.forget(one.stage, one.key)
    return True


def _has_manifest(store: Store, one: StoredArtifact) -> bool:
    return store.files.read(f"{one.folder}/{MANIFEST}") is not None


def remove_marks(store: Store, removed: Iterable[StoredArtifact]) -> None:
    """Remove what names removed artifacts: that rows may be taken over from them, and that they were made last."""
    by_stage: dict[str, set[str]] = defaultdict(set)
    for one in removed:
        if one.condition is Condition.COMPLETE:
            by_stage[one.stage].add(one.key)
    for stage, keys in by_stage.items():
        marks = [name for name in store.files.list(f"relatives/{stage}") if name.rpartition("-")[2] in keys]
        store.files.remove(*(f"relatives/{stage}/{name}" for name in marks))
        names = [f"latest/{stage}/{name}" for name in store.files.list(f"latest/{stage}")]
        for name, content in store.files.read_many(names).items():
            with suppress(UnicodeDecodeError):
                latest = Latest.of(content.decode("utf-8"))
                if latest is None or not any(made["key"] in keys for made in latest.made):
                    continue
                if (text := latest.without(keys)) is None:
                    store.files.remove(name)
                else:
                    store.files.write(name, text.encode())
