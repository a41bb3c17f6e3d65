"""What a plan will cost, from what earlier runs of the same stages took."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flows.planning.forecast import Forecasts, State
from flows.planning.gpu_hours import GpuHours, gpu_hours
from flows.planning.plan import Plan
from tasks.endpoint.estimate import Estimate, estimate
from tasks.models.endpoint import Endpoint
from tasks.models.sampling import Sampling
from tasks.pipeline.declaration import Compute
from tasks.pipeline.stage import Node
from tasks.storage.artifacts import Store

Kind = tuple[str, str | None]
"""A stage and what identifies the model it runs."""


@dataclass(frozen=True)
class Cost:
    """The part of a plan that is not in the store yet."""

    counts: Mapping[Compute, int]
    """What the stages of the plan that run a model still have to do, in the order of the plan."""
    tokens_by_compute: Mapping[Compute, int]
    """Response tokens to generate: from the mean length of earlier runs, else the most that is allowed."""
    tokens_are_bound: bool
    minutes: float | None
    """At most; None where no earlier run tells how long one of the stages that run a model takes."""
    least_minutes: float | None
    """If all that waits comes out as before, and finished rows are taken over where they can be."""
    unknown: tuple[str, ...]
    """Stages whose duration no earlier run tells."""
    requests: tuple[Estimate, ...] = ()
    """Requests to endpoints, which are among the answers above."""
    gpu_hours: GpuHours | None = None
    """By the models' sizes; None where they are small or not known."""
    uncounted: tuple[str, ...] = ()
    """Benchmarks of which all questions are asked for: how many they are is not known before they are read."""

    @property
    def tokens(self) -> int:
        """Response tokens to generate, in all stages together."""
        return sum(self.tokens_by_compute.values())

    def count(self, counted: str) -> int:
        """How many of something are to be made: "answers", "adapters", or what a stage's `Compute` counts."""
        return sum(number for compute, number in self.counts.items() if compute.counted == counted)


def cost(plan: Plan, forecasts: Forecasts, store: Store) -> Cost:
    """Estimate what the misses of a plan cost.

    Durations add up as if stages ran one after another, by slot: stages of different slots run side by side less
    often than not, since the chain orders them.
    """
    rates = Rates.of(store)
    counts: dict[Compute, int] = {}
    tokens: dict[Compute, int] = defaultdict(int)
    bound = long_unknown = False
    seconds = least = 0.0
    unknown: dict[str, None] = {}
    endpoints: dict[str, list[tuple[Node, int]]] = defaultdict(list)
    for forecast in forecasts:
        node, compute = forecast.node, forecast.node.stage.compute
        if compute is not None:
            counts.setdefault(compute, 0)
        if forecast.hit:
            continue
        rows = passes = node.expected_rows
        if compute is not None:
            passes = compute.rows(node) if compute.rows is not None else rows
            counts[compute] += 1 if compute.one_a_step else passes
        if compute is not None and compute.writes:
            for endpoint in (value for value in node.values.values() if isinstance(value, Endpoint)):
                endpoints[endpoint.name].append((node, rows))
            each = rates.tokens_per_row(node)
            bound = bound or each is None
            tokens[compute] += int(rows * each) if each is not None else passes * _most_tokens(node)
        took = rates.seconds(node, rows)
        if took is None:
            unknown[node.stage.name] = None
            long_unknown = long_unknown or compute is not None
        else:
            seconds += took
            least += took * forecast.least_rows / rows if rows else took * (forecast.state is State.MISS)
    told = not long_unknown and (bool(seconds) or not unknown)
    return Cost(
        counts=counts,
        tokens_by_compute=tokens,
        tokens_are_bound=bound,
        minutes=seconds / 60 if told else None,
        least_minutes=least / 60 if told else None,
        unknown=tuple(unknown),
        requests=tuple(estimate(nodes, store) for nodes in endpoints.values()),
        gpu_hours=gpu_hours(forecasts),
        uncounted=tuple(dict.fromkeys(each.node.label for each in forecasts if _uncounted(each.node))),
    )


def _most_tokens(node: Node) -> int:
    return max((value.max_tokens for value in node.values.values() if isinstance(value, Sampling)), default=0)


def _uncounted(node: Node) -> bool:
    return node.stage.rows is not None and not node.upstream and node.stage.rows(node) is None


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
