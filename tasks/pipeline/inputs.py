"""A step's inputs as its function wants them: each node as its rows, or as its artifact where the type says so."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args, get_origin, get_type_hints

from tasks.pipeline.stage import Node, nodes_in
from tasks.storage.artifacts import Artifact


def arguments(node: Node, artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    """What a step's function is called with: values as they are, inputs as rows or artifacts, as their types say.

    Args:
        artifacts: those of the node's inputs, by their recipes.
    """
    return {
        **node.values,
        **{name: read(value, node.stage.hints[name], artifacts) for name, value in node.inputs.items()},
    }


def read(value: Any, hint: Any, artifacts: Mapping[str, Artifact]) -> Any:
    """An input as its stage wants it: each node as its rows, or as its artifact where the type says `Artifact`."""
    if isinstance(value, Node):
        artifact = artifacts[value.recipe]
        return artifact if _wants_artifact(hint) else artifact.rows()
    if not nodes_in(value):
        return value
    if isinstance(value, Mapping):
        return {name: read(item, hint, artifacts) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(read(item, hint, artifacts) for item in value)
    hints = _record_hints(type(value), hint)
    return replace(value, **{name: read(getattr(value, name), hints[name], artifacts) for name in hints})


def _record_hints(record: type, hint: Any) -> dict[str, Any]:
    """The types of a record's fields, those that it leaves open as `hint` says them (`Record[Artifact]`)."""
    alias = next((part for part in _parts(hint) if get_origin(part) is record), None)
    said = dict(zip(getattr(record, "__parameters__", ()), get_args(alias), strict=False))

    def filled(of: Any) -> Any:
        open_ones = getattr(of, "__parameters__", ())
        return said.get(of, of[tuple(said.get(one, one) for one in open_ones)] if open_ones else of)

    return {name: filled(of) for name, of in get_type_hints(record).items()}


def _parts(hint: Any) -> Iterator[Any]:
    """A type and all that stand inside of it."""
    yield hint
    for part in get_args(hint):
        yield from _parts(part)


def _wants_artifact(hint: Any) -> bool:
    """Whether `Artifact` stands in a type, as it is or inside of another (`Artifact | None`)."""
    return Artifact in _parts(hint)
