"""A plan held against the store: which steps are there already, and what has changed since the others were made.

A step after one that will run has no key yet. It is taken to run where it would run even if what comes before it came
out as it did last time; otherwise it waits, and runs only if that comes out in another way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from flows.planning.plan import Plan
from tasks.pipeline.artifact_keys import Made, key_of, seen_by
from tasks.pipeline.stage import Node
from tasks.pipeline.take_over import relatives_of
from tasks.storage.artifacts import Store
from tasks.storage.latest import Latest


class State(StrEnum):
    """How a step of a plan stands."""

    HIT = "hit"
    MISS = "miss"
    """It runs."""
    WAITS = "waits"
    """It runs unless what it needs comes out as before."""


@dataclass(frozen=True)
class Forecast:
    """One step of a plan as the store stands."""

    node: Node
    state: State
    why: str = ""
    key: str | None = None
    """None where it is not known before its inputs are made."""
    rows_there: int = 0
    """The most rows that a related artifact has, which may be taken over."""

    @property
    def least_rows(self) -> int:
        """Rows that are made in any case."""
        return max(0, self.node.expected_rows - self.rows_there) if self.state is State.MISS else 0

    @property
    def hit(self) -> bool:
        return self.state is State.HIT


@dataclass
class Forecasts:
    """A plan held against a store."""

    each: list[Forecast] = field(default_factory=list)

    def __iter__(self) -> Iterator[Forecast]:
        return iter(self.each)

    @property
    def misses(self) -> list[Forecast]:
        """The steps that run, and those that may."""
        return [forecast for forecast in self.each if not forecast.hit]

    @property
    def waiting(self) -> list[Forecast]:
        """The steps that run unless what they need comes out as before."""
        return [forecast for forecast in self.each if forecast.state is State.WAITS]


@dataclass
class _Expected:
    """What is known of a step's artifact, or assumed where it is not there."""

    made: Made | None
    """None where nothing like it was ever made."""
    certain: bool
    """Whether it is there."""


def forecast(plan: Plan, store: Store) -> Forecasts:
    """Hit, miss or waits for every step, and why."""
    return _Forecaster(plan, store).all()


class _Forecaster:
    def __init__(self, plan: Plan, store: Store) -> None:
        self._nodes = plan.nodes
        self._store = store
        self._keys = {stage: store.keys(stage) for stage in {node.stage.name for node in plan.nodes}}
        self._expected: dict[str, _Expected] = {}
        self._relatives: dict[str, Mapping[str, int]] = {}
        """By stage, the most rows that an artifact has under each name of relatives."""

    def all(self) -> Forecasts:
        return Forecasts([self._one(node) for node in self._nodes])

    def _one(self, node: Node) -> Forecast:
        inputs = {needed.recipe: self._expected[needed.recipe] for needed in node.upstream}
        unsure = [needed for needed in node.upstream if not inputs[needed.recipe].certain]
        made = {recipe: one.made for recipe, one in inputs.items() if one.made is not None}
        key = key_of(node, made) if len(made) == len(inputs) else None
        content = self._content(node, key)
        if key is not None and content is not None:
            self._expected[node.recipe] = _Expected(Made(key, content), not unsure)
            if not unsure:
                return Forecast(node, State.HIT, key=key)
            return Forecast(node, State.WAITS, f"runs unless {_named(unsure)} as before")
        before = self._store.latest(node.stage.name, node.label)
        self._expected[node.recipe] = _Expected(_as_before(node, before), certain=False)
        known = None if unsure else key
        why = self._why(node, known, before, unsure, made)
        return Forecast(node, State.MISS, why, known, self._rows_there(node, made))

    def _rows_there(self, node: Node, made: Mapping[str, Made]) -> int:
        """The most rows that a relative of a per-row step has; 0 where it is not known which its relatives are."""
        if not node.stage.per_row:
            return 0
        first = node.upstream[0]
        if any(needed.recipe not in made for needed in node.upstream if needed is not first):
            return 0
        known = {first.recipe: Made("", ""), **made}
        if (stage := node.stage.name) not in self._relatives:
            self._relatives[stage] = self._store.most_rows(stage)
        return self._relatives[stage].get(relatives_of(node, seen_by(node, known)), 0)

    def _content(self, node: Node, key: str | None) -> str | None:
        if key is None or key not in self._keys[node.stage.name]:
            return None
        return self._store.content(node.stage.name, key)

    def _why(
        self, node: Node, key: str | None, before: Latest | None, unsure: list[Node], made: Mapping[str, Made]
    ) -> str:
        if before is None:
            begun = key is not None and self._store.begun(node.stage.name, key)
            return "begun, not finished" if begun else "not made yet"
        changes = list(_changes(before.ingredients, node.described))
        if changes:
            return "; ".join(changes[:3]) + (f"; and {len(changes) - 3} more" if len(changes) > 3 else "")
        if unsure:
            return f"input changed: {unsure[0].run_name}" + (f" and {len(unsure) - 1} more" if len(unsure) > 1 else "")
        known = len(made) == len({needed.recipe for needed in node.upstream})
        if known and before.ingredients["inputs"] == node.encoded_inputs(seen_by(node, made)):
            return "its artifact is gone"
        return "an input changed"


def _named(unsure: list[Node]) -> str:
    if len(unsure) == 1:
        return f"{unsure[0].run_name} comes out"
    more = f" and {len(unsure) - 2} more" if len(unsure) > 2 else ""
    return f"{unsure[0].run_name}{',' if more else ' and'} {unsure[1].run_name}{more} come out"


def _as_before(node: Node, before: Latest | None) -> Made | None:
    """The artifact of this name that was made last, of those that are most like it."""
    if before is None:
        return None
    values, code = Latest.marks(node.described)

    def likeness(one: Mapping[str, str]) -> int:
        return 2 * (one["values"] == values) + (one["code"] == code)

    best = max(reversed(before.made), key=likeness, default=None)
    return None if best is None else Made(best["key"], best["content"])


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
