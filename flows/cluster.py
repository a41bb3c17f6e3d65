"""What a Ray cluster has, and what a step takes of it."""

import time
from typing import Any

import ray

from flows.walk import FOUND
from tasks import runtime
from tasks.shard import by_endpoint
from tasks.stage import Node

HERE = "here"
"""A step that an endpoint answers: budgets, pace and kept answers are counted in the run's own process."""
AHEAD = 16
"""Steps that Ray is given beyond those that can run now: it has the next at hand, and an autoscaler sees them wait."""
LOOK = 5.0
"""Seconds between looks at what the cluster has: machines come and go."""


class Cluster:
    """The cluster that this process is connected to."""

    def __init__(self) -> None:
        self._looked = -LOOK
        self._nodes: list[dict[str, Any]] = []
        self._had_gpus = False
        self._lacks_gpus = False

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """The living machines that have cores to give, as Ray tells of them."""
        if time.monotonic() - self._looked >= LOOK:
            self._nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
            self._looked = time.monotonic()
        return self._nodes

    @property
    def hosts(self) -> frozenset[str]:
        """Names of the machines."""
        return frozenset(node["NodeManagerHostname"] for node in self.nodes)

    @property
    def gpus(self) -> int:
        return int(sum(node["Resources"].get("GPU", 0) for node in self.nodes))

    @property
    def uses_gpus(self) -> bool:
        """Whether it has or had any. Once they are lost, steps wait for them: cores would take a hundred times as long,
        and compute otherwise."""
        lacks = not self.gpus
        self._had_gpus |= not lacks
        if self._had_gpus and lacks and not self._lacks_gpus:
            text = "no machine with a GPU is left in the cluster: steps that need one wait for it"
            runtime.current().listener("note", "ray", {"text": text})
        self._lacks_gpus = lacks
        return self._had_gpus

    def places(self, kind: str) -> int:
        """How many steps of a kind can run at once."""
        if self._on_gpu(kind):
            return max(1, self.gpus)
        if kind == "engine":
            return max(1, len(self.nodes))
        return max(1, int(sum(node["Resources"]["CPU"] for node in self.nodes)))

    def limit(self, slot: str) -> int:
        """How many steps in a slot Ray is given at once: as many as can run, and some that wait."""
        return self.places(slot) + AHEAD

    def kind(self, node: Node, found: bool = False) -> str:
        """What a step needs of a machine, in a word."""
        if by_endpoint(node):
            return HERE
        if found:
            return FOUND
        return "gpu" if node.stage.gpu and self.uses_gpus else node.stage.slot

    def needs(self, kind: str) -> dict[str, Any]:
        """The same, for Ray."""
        spread = {"scheduling_strategy": "SPREAD"}
        if self._on_gpu(kind):
            # Ray ends a process after each step with a GPU, unless told otherwise; an engine is to serve many steps.
            return {"num_cpus": 1, "num_gpus": 1, **spread, **({"max_calls": 0} if kind == "engine" else {})}
        if kind == "engine":
            # One a machine, as in one process: two would take turns.
            return {
                "num_cpus": max(1, min((int(node["Resources"]["CPU"]) for node in self.nodes), default=1)),
                **spread,
            }
        return {"num_cpus": 1, **spread}

    def _on_gpu(self, kind: str) -> bool:
        return kind in ("gpu", "engine", "trainer") and self.uses_gpus
