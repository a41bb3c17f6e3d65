"""A plan held against the store: which steps are there already, and what has changed since the others were made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.planning.plan import Plan
from tasks.pipeline.stage import Node
from tasks.storage.artifacts import Store


@dataclass(frozen=True)
class Forecast:
    """One step of a plan as the store stands: there already, or why not."""

    node: Node
    hit: bool
    why: str = ""


@dataclass
class Forecasts:
    """A plan held against a store."""

    each: list[Forecast] = field(default_factory=list)

    def __iter__(self) -> Iterator[Forecast]:
        return iter(self.each)

    @property
    def misses(self) -> list[Forecast]:
        return [forecast for forecast in self.each if not forecast.hit]


def forecast(plan: Plan, store: Store) -> Forecasts:
    """Hit or miss for every step, and for a miss what has changed since an artifact of that name was made."""
    keys = {stage: store.keys(stage) for stage in {node.stage.name for node in plan.nodes}}
    missed: dict[str, Node] = {}
    forecasts = Forecasts()
    for node in plan.nodes:
        hit = node.key in keys[node.stage.name]
        why = "" if hit else _why(node, missed, store)
        if not hit:
            missed[node.key] = node
        forecasts.each.append(Forecast(node, hit, why))
    return forecasts


def _why(node: Node, missed: Mapping[str, Node], store: Store) -> str:
    before = store.latest_ingredients(node.stage.name, node.label)
    if before is None:
        return "begun, not finished" if store.begun(node.stage.name, node.key) else "not made yet"
    changes = list(_changes(before, node.ingredients))
    if changes:
        return "; ".join(changes[:3]) + (f"; and {len(changes) - 3} more" if len(changes) > 3 else "")
    waiting = [needed.run_name for needed in node.upstream if needed.key in missed]
    if waiting:
        return f"input changed: {waiting[0]}" + (f" and {len(waiting) - 1} more" if len(waiting) > 1 else "")
    return "an input changed" if before != node.ingredients else "its artifact is gone"


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for file in sorted({*before["code"], *now["code"]}):
        if before["code"].get(file) != now["code"].get(file):
            yield f"code of {file}"
    yield from _differences(before["values"], now["values"], "")


def _differences(before: Any, now: Any, where: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            yield from _differences(before.get(name), now.get(name), f"{where}.{name}".lstrip("."))
    elif before != now:
        yield f"{where} {_short(before)} -> {_short(now)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
