"""Removing artifacts from a store, so that there is never half an artifact."""

import shutil
from collections import defaultdict
from collections.abc import Collection, Iterable

from tasks.storage.artifacts import Store
from tasks.storage.inventory import Condition, StoredArtifact, last_marked
from tasks.storage.latest import Latest
from tasks.storage.manifest import MANIFEST
from tasks.storage.store_files import FolderFiles, StoreFiles


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
    places = [store.files, *([] if isinstance(store.files, FolderFiles) else [FolderFiles(store.root)])]
    for stage, keys in by_stage.items():
        for files in places:  # of a shared store, the cache too
            _remove_marks(files, stage, keys)


def _remove_marks(files: StoreFiles, stage: str, keys: Collection[str]) -> None:
    marks = [name for name in files.list(f"relatives/{stage}") if name.rpartition("-")[2] in keys]
    files.remove(*(f"relatives/{stage}/{name}" for name in marks))
    names = [f"latest/{stage}/{name}" for name in files.list(f"latest/{stage}")]
    for name, content in files.read_many(names).items():
        latest = Latest.of(content.decode("utf-8", "replace"))
        if latest is None or not any(made["key"] in keys for made in latest.made):
            continue
        if (text := latest.without(keys)) is None:
            files.remove(name)
        else:
            files.write(name, text.encode())
