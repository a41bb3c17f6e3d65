"""What a plan would take on one GPU, from nothing but the sizes of its models: for studies that were never timed here.

A rule of thumb, within a factor of two or three: each stage says how many floating-point operations it takes a
parameter and token, and which share of a GPU's peak such work commonly reaches.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.planning.forecast import Forecasts
from tasks.models.model import Model
from tasks.pipeline.stage import Node

PEAK = 312e12
"""Operations a second of an 80 GB A100 in bfloat16."""
TOKENS = 300
"""Tokens a row, prompt and response together, where no earlier run tells."""
SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z])")
SMALL = 1e8
"""Parameters of a model below which this says nothing: such a model needs no GPU."""


@dataclass(frozen=True)
class GpuHours:
    """Hours on one A100."""

    by_work: Mapping[str, float]
    """By what they are spent on, a verb."""

    @property
    def total(self) -> float:
        return sum(self.by_work.values())

    def __str__(self) -> str:
        each = ", ".join(f"{hours:,.{0 if hours >= 10 else 1}f} to {verb}" for verb, hours in self.by_work.items())
        return (
            f"about {self.total:,.0f} GPU-hours on one A100, by the models' sizes and {TOKENS} tokens a row alone: "
            f"{each}"
        )


def gpu_hours(forecasts: Forecasts) -> GpuHours | None:
    """Of all steps still to run; None where no model is large, or the size of one is not known."""
    seconds: dict[str, float] = {}
    sizes: list[float] = []
    for forecast in forecasts.misses:
        node = forecast.node
        model, compute = model_of(node), node.stage.compute
        if compute is None or model is None:
            continue
        size = parameters(model)
        if size is None:
            return None
        sizes.append(size)
        rows = compute.rows(node) if compute.rows is not None else node.expected_rows
        took = compute.flops * size * TOKENS * rows / (compute.efficiency * PEAK)
        seconds[compute.verb] = seconds.get(compute.verb, 0.0) + took
    if max(sizes, default=0.0) < SMALL:
        return None
    return GpuHours({verb: took / 3600 for verb, took in seconds.items()})


def parameters(model: Model) -> float | None:
    """How many it has: from the weights where they lie in a folder (16 bits each), else from its name (`7B`)."""
    weights = sum(file.stat().st_size for file in Path(model.path).glob("*.safetensors"))
    if weights:
        return weights / 2
    found = SIZE.search(model.name)
    return float(found[1]) * 1e9 if found else None


def model_of(node: Node) -> Model | None:
    """The model that a step runs on this machine, if it runs one."""
    return next((value for value in node.values.values() if isinstance(value, Model)), None)
