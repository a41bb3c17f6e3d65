"""What a plan would take on one GPU, from nothing but the sizes of its models: for studies that were never timed here.

A rule of thumb, within a factor of two or three: 2 floating-point operations a parameter and token to read or write
text, 6 to train an adapter with recomputed activations, at the share of an 80 GB A100's peak that such work commonly
reaches.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from flows.planning.forecast import Forecasts
from tasks.models.model import Model
from tasks.pipeline.stage import Node

PEAK = 312e12
"""Operations a second of an A100 in bfloat16."""
WRITING, READING, TRAINING = 0.10, 0.40, 0.40
"""Shares of the peak: generating in large batches is bound by memory, reading and training by arithmetic."""
TOKENS = 300
"""Tokens a row, prompt and response together, where no earlier run tells."""
SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z])")
SMALL = 1e8
"""Parameters of a model below which this says nothing: such a model needs no GPU."""


@dataclass(frozen=True)
class GpuHours:
    """Hours on one A100, by what they are spent on."""

    writing: float
    reading: float
    training: float

    @property
    def total(self) -> float:
        return self.writing + self.reading + self.training

    def __str__(self) -> str:
        return (
            f"about {self.total:,.0f} GPU-hours on one A100, by the models' sizes and {TOKENS} tokens a row alone: "
            f"{self.writing:,.0f} to generate, {self.reading:,.1f} to score, {self.training:,.0f} to train"
        )


def gpu_hours(forecasts: Forecasts, rows_of: dict[str, int]) -> GpuHours | None:
    """Of all steps still to run; None where no model is large, or the size of one is not known.

    Args:
        rows_of: rows that a step makes, by its key; of a training, those it sees in all its epochs.
    """
    flops = {"generate": 0.0, "evaluate": 0.0, "score": 0.0, "finetune": 0.0}
    sizes: list[float] = []
    for forecast in forecasts.misses:
        node = forecast.node
        model = _model(node)
        if node.stage.name not in flops or model is None:
            continue
        size = parameters(model)
        if size is None:
            return None
        sizes.append(size)
        each = 6 if node.stage.name == "finetune" else 2
        flops[node.stage.name] += each * size * TOKENS * rows_of[node.key]
    if max(sizes, default=0.0) < SMALL:
        return None
    hour = 3600 * PEAK
    return GpuHours(
        (flops["generate"] + flops["evaluate"]) / (WRITING * hour),
        flops["score"] / (READING * hour),
        flops["finetune"] / (TRAINING * hour),
    )


def parameters(model: Model) -> float | None:
    """How many it has: from the weights where they lie in a folder (16 bits each), else from its name (`7B`)."""
    weights = sum(file.stat().st_size for file in Path(model.path).glob("*.safetensors"))
    if weights:
        return weights / 2
    found = SIZE.search(model.name)
    return float(found[1]) * 1e9 if found else None


def _model(node: Node) -> Model | None:
    return next((value for value in node.values.values() if isinstance(value, Model)), None)
