"""Whether what a store holds is what its manifests say."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from data.digest import file_digest
from tasks.storage.artifacts import Store
from tasks.storage.inventory import Condition, StoredArtifact, manifest_of
from tasks.storage.manifest import CONTENT, MANIFEST, content_of
from tasks.storage.store_files import FolderFiles


@dataclass(frozen=True)
class Damage:
    """One file of an artifact that is not as its manifest says."""

    artifact: StoredArtifact
    file: str
    """Its name in the artifact."""
    what: str
    """What is wrong with it."""


def verify(store: Store, artifacts: Iterable[StoredArtifact]) -> Iterator[Damage]:
    """What is wrong with complete artifacts, as it is found. Nothing is changed.

    Sizes are those of the store's listing; digests are computed of the files that this machine has: all of a folder's,
    and of a shared store's the copies in the cache.

    Raises:
        Transient, InputError: the store does not answer, or refuses.
    """
    for one in artifacts:
        if one.condition is Condition.UNREADABLE:
            yield Damage(one, MANIFEST, "cannot be read, or is another artifact's")
        elif one.condition is Condition.COMPLETE:
            found = list(_of_artifact(store, one))
            # One that was removed or set aside meanwhile is not damaged.
            if found and store.files.read(f"{one.folder}/{MANIFEST}") is not None:
                yield from found


def _of_artifact(store: Store, one: StoredArtifact) -> Iterator[Damage]:
    manifest = manifest_of(one.stage, one.key, store.files.read(f"{one.folder}/{MANIFEST}"))
    if manifest is None:
        yield Damage(one, MANIFEST, "cannot be read, or is another artifact's")
        return
    for name, file in sorted(manifest["files"].items()):
        info = one.files.get(name)
        if info is None:
            yield Damage(one, name, "is missing")
        elif info.size != file["bytes"]:
            yield Damage(one, name, f"has {info.size:,} bytes, not {file['bytes']:,}")
        elif (wrong := _digest_is_wrong(store, one, name, file["sha256"])) is not None:
            yield Damage(one, name, wrong)
    for name in one.files:
        if name.startswith(CONTENT) and name != CONTENT + content_of(manifest):
            yield Damage(one, name, "says that it holds something else")


def _digest_is_wrong(store: Store, one: StoredArtifact, name: str, expected: str) -> str | None:
    path = store.root / one.stage / one.key / name
    try:
        if file_digest(path) == expected:
            return None
    except (FileNotFoundError, NotADirectoryError):  # a shared store's, of which there is no copy here
        return None
    except OSError as error:
        return f"cannot be read ({os.strerror(error.errno or 0)})"
    copy = "" if isinstance(store.files, FolderFiles) else f"this machine's copy ({path}) "
    return f"{copy}does not have the digest that its manifest gives"
