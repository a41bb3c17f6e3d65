"""A plan on its way through the task runner: each step is submitted when its inputs are there and a slot is free."""

import queue
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from prefect.concurrency.asyncio import AcquireConcurrencySlotTimeoutError, ConcurrencySlotAcquisitionError
from prefect.futures import PrefectFuture

from tasks import runtime
from tasks.errors import Transient
from tasks.stage import Node

Dependants = defaultdict[str, list[Node]]
Ready = defaultdict[str, deque[Node]]
SERVER_FAILED = (ConcurrencySlotAcquisitionError, AcquireConcurrencySlotTimeoutError, httpx.TransportError)
"""What Prefect raises before a task begins or after it ends when its server is too busy to answer. (Before each task
with tags it asks for their limits.) A stage's own connection errors are `Transient` and never look like this."""
SERVER_TRIES = 5
FOUND = "found"
"""The slot of steps that the store has: they occupy nothing but a thread."""
Submit = Callable[[Node, list[PrefectFuture[Any]], bool], PrefectFuture[Any]]
"""Hands a node to the task runner, with the futures of its inputs, and whether the store seems to have it."""


@dataclass
class Walk:
    """What is done, found and failed so far, by key."""

    submit: Submit
    limits: Mapping[str, int]
    """Steps at once, by slot."""
    strict: bool = False
    """Start nothing more once a step has failed."""
    futures: dict[str, PrefectFuture[Any]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    hits: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Why there is no artifact."""
    names: dict[str, str] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    """How often a node was handed over for nothing, since the server failed."""

    def through(self, nodes: Iterable[Node]) -> None:
        """Run these nodes, given inputs first; those whose inputs fail are left out, with the reason."""
        todo = {node.key: node for node in nodes if node.key not in self.done and node.key not in self.failed}
        missing = {key: sum(needed.key in todo for needed in node.upstream) for key, node in todo.items()}
        dependants: Dependants = defaultdict(list)
        for node in todo.values():
            for needed in node.upstream:
                if needed.key in todo:
                    dependants[needed.key].append(node)
        ready: Ready = defaultdict(deque)
        for node in todo.values():
            if not any(needed.key in todo for needed in node.upstream):
                self._admit(node, dependants, missing, ready)
        finished: queue.SimpleQueue[Node] = queue.SimpleQueue()
        running: Counter[str] = Counter()
        while True:
            self._start(ready, running, finished)
            if not running.total():
                break
            node = finished.get()
            running[self.slots[node.key]] -= 1
            if not self._settle(node):
                ready[self.slots[node.key]].append(node)
                continue
            self._release(node, dependants, missing, ready)
            if not running["engine"] and not ready["engine"]:
                # Trainers get the engine's memory; it starts again in seconds.
                runtime.current().engines_if_any(lambda engines: engines.release())
        for key, node in todo.items():
            if key not in self.done:
                self._give_up(node, self.failed.get(key, "not run, since another step failed"))

    def _admit(self, node: Node, dependants: Dependants, missing: dict[str, int], ready: Ready) -> None:
        """Queue a node whose inputs have all ended; give it up where one of them failed."""
        lost = next((needed for needed in node.upstream if needed.key in self.failed), None)
        if lost is None:
            try:
                found = runtime.current().store.has(node.stage.name, node.key)
            except Transient:  # a store that is away just now: the step asks again, and is tried again
                found = False
            self.slots[node.key] = FOUND if found else node.stage.slot
            ready[self.slots[node.key]].append(node)
        else:
            self._give_up(node, f"not run, since {lost.run_name} failed")
            self._release(node, dependants, missing, ready)

    def _release(self, node: Node, dependants: Dependants, missing: dict[str, int], ready: Ready) -> None:
        """Count a node that has ended off its dependants, and admit those that waited for nothing else."""
        for dependant in dependants[node.key]:
            missing[dependant.key] -= 1
            if missing[dependant.key] == 0:
                self._admit(dependant, dependants, missing, ready)

    def _start(self, ready: Ready, running: Counter[str], finished: "queue.SimpleQueue[Node]") -> None:
        for slot, nodes in ready.items():
            while nodes and running[slot] < self.limits[slot] and not (self.strict and self.failed):
                node = nodes.popleft()
                running[slot] += 1
                inputs = [self.futures[needed.key] for needed in node.upstream if needed.key in self.futures]
                future = self.submit(node, inputs, slot == FOUND)
                self.futures[node.key] = future
                future.add_done_callback(lambda _, node=node: finished.put(node))  # type: ignore[misc]

    def _settle(self, node: Node) -> bool:
        """Note how a node has ended; False where the server, not the step, failed and it is to be handed over again."""
        future = self.futures[node.key]
        try:
            future.result()
        except (KeyboardInterrupt, SystemExit):
            raise
        except SERVER_FAILED as error:
            self.tries[node.key] += 1
            if self.tries[node.key] < SERVER_TRIES:
                text = "the Prefect server did not answer in time; handed over again"
                runtime.current().listener("note", node.run_name, {"text": text})
                return False
            self.lost(node, error)
        except BaseException as error:
            self.lost(node, error)
        else:
            self.done.add(node.key)
            self.hits += future.state.name == "Cached"
        return True

    def lost(self, node: Node, error: BaseException) -> None:
        """Note that there is no artifact of a node, and why."""
        self.errors.append(error)
        self._give_up(node, str(error) or type(error).__name__)
        runtime.current().listener("failed", node.run_name, {"text": str(error)})

    def _give_up(self, node: Node, why: str) -> None:
        self.failed[node.key] = why
        self.names[node.key] = node.run_name
