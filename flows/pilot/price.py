"""What steps cost, in proportion to each other: as planned, by the models' sizes, and as it was measured."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flows.planning.gpu_hours import model_of, parameters
from tasks.pipeline.artifact_keys import ArtifactKeys
from tasks.pipeline.stage import Node

CONCLUSION = ("compare", "report")
"""Stages at a study's end, which a pilot has its own steps of."""


class Operations:
    """Floating-point operations of steps, by the rule of thumb that `plan` counts GPU-hours by.

    They depend on nothing but the study, so that a pilot that was interrupted goes on at the sizes that it began with.
    Where the size of a model is not known, all are taken to be of one size. Models behind endpoints cost nothing here.

    Args:
        nodes: all the steps that are to be held against each other.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        models = {model for node in nodes if (model := model_of(node)) is not None}
        sizes = {model: parameters(model) for model in models}
        self._sizes = {model: size if all(sizes.values()) and size else 1.0 for model, size in sizes.items()}

    def of(self, nodes: Iterable[Node]) -> float:
        """The operations of these steps together, but for a constant."""
        total = 0.0
        for node in nodes:
            model, compute = model_of(node), node.stage.compute
            if model is not None and compute is not None:
                total += compute.flops * _rows(node) / compute.efficiency * self._sizes[model]
        return total


def _rows(node: Node) -> int:
    """Rows that pass through the model, for a stage that runs one; else those that it makes."""
    compute = node.stage.compute
    return compute.rows(node) if compute is not None and compute.rows is not None else node.expected_rows


@dataclass(frozen=True)
class Spent:
    """What a pilot took and what it left out, in seconds of the slots (GPUs, or CPUs) that steps ran in."""

    seconds: float
    extra: float
    """Of these, those for steps that are none of the study's: looks at sizes that it does not have."""
    saved: float
    """Estimated by what steps of the same stage and model took here, by row."""
    steps: int
    steps_saved: int
    without: tuple[str, ...]
    """Stages of steps that were saved and of which none ran here: they are in no figure."""
    unit: str
    """"GPU-seconds" where adapters were trained on GPUs, else "CPU-seconds"."""

    @property
    def whole(self) -> float:
        """What the whole study takes."""
        return self.seconds - self.extra + self.saved


def spent(made: Iterable[Node], study: Iterable[Node], keys: ArtifactKeys) -> Spent:
    """What a pilot's steps took, and the other steps of its study would have taken, by the manifests of the first.

    Steps that are there from an earlier run count as they took then.
    """
    made, study = list(made), list(study)
    own = {node.recipe for node in study}
    seconds: dict[tuple[str, str | None], float] = defaultdict(float)
    rows: dict[tuple[str, str | None], int] = defaultdict(int)
    steps, extra, unit = 0, 0.0, "CPU-seconds"
    for node in made:
        if node.stage.name in CONCLUSION or (artifact := keys.look_up(node)) is None:
            continue
        steps += 1
        kind = node.stage.name, node.model
        seconds[kind] += float(artifact.manifest["busy"])
        extra += 0.0 if node.recipe in own else float(artifact.manifest["busy"])
        rows[kind] += max(1, _rows(node))
        if str(artifact.manifest["facts"].get("device", "")).startswith("cuda"):
            unit = "GPU-seconds"
    saved, steps_saved = 0.0, 0
    without: dict[str, None] = {}
    done = {node.recipe for node in made}
    for node in study:
        if node.recipe in done or node.stage.name in CONCLUSION:
            continue
        steps_saved += 1
        kind = node.stage.name, node.model
        if kind in seconds:
            saved += seconds[kind] / rows[kind] * max(1, _rows(node))
        else:
            without[node.stage.name] = None
    return Spent(sum(seconds.values()), extra, saved, steps, steps_saved, tuple(without), unit)


def shared(cells: Mapping[str, Iterable[Node]]) -> set[str]:
    """Recipes of the steps that several arms need.

    Args:
        cells: by arm, all the steps that its cells need.
    """
    counts: dict[str, int] = defaultdict(int)
    for nodes in cells.values():
        for recipe in {node.recipe for node in nodes}:
            counts[recipe] += 1
    return {recipe for recipe, count in counts.items() if count > 1}
