"""What a study's numbers come from, small enough to be kept with them: code by stage, data, models."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from tasks.models.endpoint import Endpoint
from tasks.models.model import Model
from tasks.pipeline import cache_key
from tasks.pipeline.stage import Node


def made_of(nodes: Iterable[Node]) -> dict[str, dict[str, Any]]:
    """`code`: digest by stage and source file; `data`: digest by step; `models`: content by name."""
    code: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    data: dict[str, str] = {}
    models: dict[str, str] = {}
    for node in nodes:
        for file, digest in node.described["code"].items():
            code[node.stage.name][file].add(digest)
        if (content := _content(node)) is not None:
            data[node.run_name] = cache_key.digest(content)
        for value in node.values.values():
            if isinstance(value, Model | Endpoint):
                said = value.identity()
                models[value.name] = said if isinstance(said, str) else cache_key.digest(said)
    return {
        "code": {stage: {file: _one(found) for file, found in files.items()} for stage, files in code.items()},
        "data": data,
        "models": models,
    }


def _content(node: Node) -> Any:
    """What identifies the file or data set that a step reads; None for a step that reads none."""
    encoded = node.described["values"]
    for read in (encoded[name] for name, value in node.values.items() if not isinstance(value, Model | Endpoint)):
        if isinstance(read, dict) and (content := read.get("source", read.get("content"))) is not None:
            return content
    return None


def _one(digests: set[str]) -> str:
    """Steps of one stage may reach different parts of a file: one digest for all of them."""
    return next(iter(digests)) if len(digests) == 1 else hashlib.sha256(" ".join(sorted(digests)).encode()).hexdigest()
