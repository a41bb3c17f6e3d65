"""The manifest of an artifact: its text, and what is refused of one that another machine has written."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

MANIFEST = "manifest.json"
CONTENT = "content-"
"""Begins the name of an empty object beside a manifest in a shared store; a digest of what the artifact holds follows.
One listing then tells the keys of all steps after these."""
BESIDE = frozenset({"input_rows.parquet"})
"""Files of an artifact that no stage reads: they say what its rows were made of (`tasks.storage.input_rows`)."""


def content_of(manifest: Mapping[str, Any]) -> str:
    """A digest of what an artifact holds: of its files, whatever they were made of, and when. 32 hexadecimal digits."""
    files = sorted((name, file["sha256"]) for name, file in manifest["files"].items() if name not in BESIDE)
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:32]


def read_manifest(content: bytes) -> dict[str, Any] | None:
    """The manifest in a file's content; None if it is none, or names files outside the artifact's folder."""
    try:
        manifest = json.loads(content)
        for name, file in manifest["files"].items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not isinstance(file["bytes"], int) or not file["sha256"]:
                return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return dict(manifest)


def manifest_text(manifest: dict[str, Any]) -> str:
    """A manifest as it is written."""
    return json.dumps(manifest, indent=1, ensure_ascii=False)
