"""Whether an adapter may be used: only one that was shown to be live in the engine."""

from pathlib import Path

from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Artifact


def live_folder(adapter: Artifact | None, attested: Artifact | None) -> Path | None:
    """The folder of an adapter that was attested; None where there is no adapter.

    Raises:
        StageFailed: `attested` is missing or another adapter's.
    """
    if adapter is None:
        return None
    if attested is None or attested.facts["adapter"] != adapter.content:
        raise StageFailed("this adapter was not shown to be live in the engine: run attest on it first")
    return adapter.path("adapter")
