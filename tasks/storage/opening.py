"""Opening the store that the environment names: a folder, or artifacts shared at a URL."""

import os
from pathlib import Path

from tasks.storage.artifacts import Store


def open_store() -> Store:
    """The store named by MOTHERTONGUE_STORE (a folder, or a fsspec URL), or `runs/store`.

    Raises:
        InputError: no store can be there.
    """
    named = os.environ.get("MOTHERTONGUE_STORE") or "runs/store"
    if "://" not in named:
        return Store(Path(named).absolute())
    from tasks.storage.shared_artifacts import SharedStore  # fsspec and its event loop, for those who name a URL

    return SharedStore.at(named)
