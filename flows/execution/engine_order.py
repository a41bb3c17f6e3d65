"""Which engine steps wait for others, so that an engine starts once for all that a model has to do."""

from collections.abc import Iterable

from tasks.models.model import Model
from tasks.pipeline.stage import Node


def order(nodes: Iterable[Node]) -> tuple[list[Node], list[Node]]:
    """Of the engine steps that need no other one: those to begin with, and those that wait until these have ended.

    A model that is needed again later, as a student is for its adapters, comes last: its engine is then still there.
    Without that, whichever step is ready first decides, and the student's engine is ended for a teacher's and started
    again.

    Args:
        nodes: inputs first.
    """
    by_engine: set[str] = set()
    """Steps that an engine makes, and all that need one of these."""
    later: set[Model] = set()
    beginning: list[tuple[Node, Model]] = []
    for node in nodes:
        after_engine = any(needed.recipe in by_engine for needed in node.upstream)
        model = _served(node)
        if after_engine or model is not None:
            by_engine.add(node.recipe)
        if model is not None:
            if after_engine:
                later.add(model)
            else:
                beginning.append((node, model))
    first = [node for node, model in beginning if model not in later]
    return first, [node for node, model in beginning if model in later] if first else []


def _served(node: Node) -> Model | None:
    """The model whose engine a step uses."""
    if node.stage.slot != "engine":
        return None
    return next((value for value in node.values.values() if isinstance(value, Model)), None)
