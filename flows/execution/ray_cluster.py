"""What a Ray cluster has, and what a step takes of it."""

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import ray

from data.errors import InputError
from flows.execution.executor import LOOKUP
from tasks.pipeline.sharding import by_endpoint
from tasks.pipeline.stage import Node

HERE = "here"
"""A step that an endpoint answers: budget, rate limit and response cache are those of the run's own process."""
AHEAD = 16
"""Steps that Ray is given beyond those that can run now: it has the next at hand, and an autoscaler sees them wait."""
LOOK = 5.0
"""Seconds between looks at what the cluster has."""


class Cluster:
    """The cluster that this process is connected to, as it is now: machines come and go."""

    def __init__(
        self,
        check: Callable[[frozenset[str]], None] = lambda hosts: None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        """
        Args:
            check: called with all machines' names when there is a new one; raises `InputError` if that cannot be used.
            note: told what whoever watches the run must know.

        Raises:
            InputError: by `check`.
        """
        self._check = check
        self._note = note
        self._wrong: InputError | None = None
        self._nodes: list[dict[str, Any]] = []
        self.hosts: frozenset[str] = frozenset()
        """Names of the machines."""
        self.gpus = 0
        self.uses_gpus = False
        """Whether it has or had any. Once they are lost, steps wait for them: cores would take a hundred times as long,
        and compute otherwise."""
        self.look()
        if self._wrong is not None:
            raise self._wrong

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Look again and again, also while all steps wait."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(LOOK):
                with contextlib.suppress(Exception):  # of a cluster that is lost, the steps tell
                    self.look()

        # In the flow run's context: what is said is a line of its log.
        run = contextvars.copy_context().run
        thread = threading.Thread(target=run, args=(watch,), name="cluster", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def look(self) -> None:
        """See what is there now, and say what is missing."""
        nodes = [node for node in self._listed() if node["Alive"] and node["Resources"].get("CPU")]
        hosts = frozenset(node["NodeManagerHostname"] for node in nodes)
        gpus = int(sum(node["Resources"].get("GPU", 0) for node in nodes))
        if hosts - self.hosts:
            try:
                self._check(hosts)
            except InputError as error:
                self._wrong = error
        if self.gpus and not gpus:
            self._note("no machine with a GPU is left in the cluster: steps that need one wait for it")
        self._nodes, self.hosts, self.gpus, self.uses_gpus = nodes, hosts, gpus, self.uses_gpus or gpus > 0

    def _listed(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = ray.nodes()
        return listed

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """The living machines that have cores to give, as Ray tells of them.

        Raises:
            InputError: one has come that cannot be used.
        """
        if self._wrong is not None:
            raise self._wrong
        return self._nodes

    def places(self, kind: str) -> int:
        """How many steps of a kind can run at once.

        Raises:
            InputError: a machine has come that cannot be used.
        """
        nodes = self.nodes
        if self._on_gpu(kind):
            return max(1, self.gpus)
        if kind == "engine":
            return max(1, len(nodes))
        return max(1, int(sum(node["Resources"]["CPU"] for node in nodes)))

    def limit(self, slot: str) -> int:
        """How many steps in a slot Ray is given at once: as many as can run, and some that wait."""
        return self.places(slot) + AHEAD

    def kind(self, node: Node, in_store: bool = False) -> str:
        """What a step needs of a machine, in a word."""
        if by_endpoint(node):
            return HERE
        if in_store:
            return LOOKUP
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
