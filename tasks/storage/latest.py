"""What was made last under each name: it explains a miss, and tells what an artifact that is to be made held before."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.storage.manifest import content_of

KEPT = 8
"""Artifacts of one name that are remembered: several studies may use a name, and one may go back to earlier values."""


@dataclass
class Latest:
    """The artifacts that were made last of one stage under one label."""

    ingredients: Mapping[str, Any]
    """What the newest was made of."""
    made: Sequence[Mapping[str, str]] = field(default_factory=list)
    """`key`, `content`, and digests of `values` and `code` of each, the newest last."""

    @classmethod
    def of(cls, text: str | None) -> "Latest | None":
        """What a file says; None where there is none, or one that cannot be read."""
        try:
            said = json.loads(text or "")
            return cls(said["ingredients"], said["made"])
        except (ValueError, KeyError, TypeError):
            return None

    def without(self, keys: Collection[str]) -> str | None:
        """The file's text without artifacts that were removed; None where none is left."""
        left = [one for one in self.made if one["key"] not in keys]
        return json.dumps({"ingredients": self.ingredients, "made": left}) if left else None

    @staticmethod
    def marks(ingredients: Mapping[str, Any]) -> tuple[str, str]:
        """Digests of an artifact's values and of its code."""
        return _digest(ingredients["values"]), _digest(ingredients["code"])


def with_newest(before: Latest | None, manifest: Mapping[str, Any]) -> str:
    """The file's text after an artifact was made."""
    values, code = Latest.marks(manifest["ingredients"])
    newest = {"key": manifest["key"], "content": content_of(manifest), "values": values, "code": code}
    earlier = [] if before is None else [one for one in before.made if one["key"] != newest["key"]]
    return json.dumps({"ingredients": manifest["ingredients"], "made": [*earlier[1 - KEPT :], newest]})


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
