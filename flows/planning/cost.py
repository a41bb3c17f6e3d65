"""What a plan will cost, from what earlier runs of the same stages took."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from flows.planning.forecast import Forecasts
from flows.planning.gpu_hours import GpuHours, gpu_hours
from flows.planning.plan import Plan
from tasks.endpoint.estimate import Estimate, estimate
from tasks.models.endpoint import Endpoint
from tasks.pipeline.stage import Node
from tasks.storage.artifacts import Store

LONG = frozenset(["generate", "score", "finetune", "evaluate"])
"""Stages that a study's time goes into: without all of them an estimate would be none."""
Kind = tuple[str, str | None]
"""A stage and what identifies the model it runs."""


@dataclass(frozen=True)
class Cost:
    """The part of a plan that is not in the store yet."""

    questions: int
    """Answers to generate, samples counted apart."""
    tokens: int
    """Response tokens to generate: from the mean length of earlier runs, else the most that is allowed."""
    tokens_are_bound: bool
    adapters: int
    minutes: float | None
    """None where no earlier run tells how long one of the long stages takes with these models."""
    unknown: tuple[str, ...]
    """Stages whose duration no earlier run tells."""
    requests: tuple[Estimate, ...] = ()
    """Requests to endpoints, which are among the answers above."""
    gpu_hours: GpuHours | None = None
    """By the models' sizes; None where they are small or not known."""
    uncounted: tuple[str, ...] = ()
    """Benchmarks of which all questions are asked for: how many they are is not known before they are read."""


def cost(plan: Plan, forecasts: Forecasts, store: Store) -> Cost:
    """Estimate what the misses of a plan cost.

    Durations add up as if stages ran one after another, by slot: stages of different slots run side by side less
    often than not, since the chain orders them.
    """
    rates = Rates.of(store)
    questions = tokens = adapters = 0
    bound = False
    seconds = 0.0
    unknown: dict[str, None] = {}
    endpoints: dict[str, list[tuple[Node, int]]] = defaultdict(list)
    for forecast in forecasts.misses:
        node = forecast.node
        rows = plan.units(node)
        if node.stage.name == "finetune":
            adapters += 1
        if "sampling" in node.values and node.stage.slot == "engine":
            questions += rows
            if isinstance(node.values.get("model"), Endpoint):
                endpoints[node.values["model"].name].append((node, rows))
            each = rates.tokens_per_row(node)
            bound = bound or each is None
            tokens += int(rows * (each if each is not None else node.values["sampling"].max_tokens))
        took = rates.seconds(node, rows)
        if took is None:
            unknown[node.stage.name] = None
        else:
            seconds += took
    minutes = None if LONG & set(unknown) or (unknown and not seconds) else seconds / 60
    requests = tuple(estimate(nodes, store) for nodes in endpoints.values())
    guess = gpu_hours(forecasts, {each.node.key: _rows(plan, each.node) for each in forecasts.misses})
    uncounted = tuple(dict.fromkeys(each.node.label for each in forecasts if _uncounted(each.node)))
    return Cost(questions, tokens, bound, adapters, minutes, tuple(unknown), requests, guess, uncounted)


def _uncounted(node: Node) -> bool:
    return not node.upstream and "count" in node.values and node.values["count"] is None


def _rows(plan: Plan, node: Node) -> int:
    """Rows a step works on; of a training, those it sees in all its epochs."""
    if node.stage.name != "finetune":
        return plan.units(node)
    rows = min(filter(None, (plan.units(plan.asked(node)), plan.study.questions.keep)), default=0)
    return rows * int(getattr(plan.study.method, "epochs", 1))


@dataclass
class Rates:
    """Seconds and tokens a row, by stage and the model it ran, as the store's manifests have them."""

    per_row: dict[Kind, float]
    per_run: dict[Kind, float]
    tokens: dict[Kind, float]

    @classmethod
    def of(cls, store: Store) -> "Rates":
        seconds: dict[Kind, float] = defaultdict(float)
        rows: dict[Kind, int] = defaultdict(int)
        runs: dict[Kind, int] = defaultdict(int)
        tokens: dict[Kind, float] = defaultdict(float)
        for line in _log(store):
            stage = line["stage"], line.get("model")
            seconds[stage] += line["busy"]
            rows[stage] += line["rows"] or 0
            runs[stage] += 1
            tokens[stage] += line.get("tokens") or 0
        return cls(
            {stage: seconds[stage] / rows[stage] for stage in seconds if rows[stage]},
            {stage: seconds[stage] / runs[stage] for stage in seconds},
            {stage: tokens[stage] / rows[stage] for stage in seconds if rows[stage] and tokens[stage]},
        )

    def seconds(self, node: Node, rows: int) -> float | None:
        kind = node.stage.name, node.model
        per_row = self.per_row.get(kind) if node.stage.per_row else None
        return per_row * rows if per_row is not None else self.per_run.get(kind)

    def tokens_per_row(self, node: Node) -> float | None:
        return self.tokens.get((node.stage.name, node.model))


def _log(store: Store) -> Iterable[dict]:
    for line in store.timing_lines()[-20000:]:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:  # a line cut short by a full disk
            continue
