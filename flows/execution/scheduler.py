"""A plan on its way through the task runner: each step is submitted when its inputs are there and a slot is free."""

import queue
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
from prefect.concurrency.asyncio import AcquireConcurrencySlotTimeoutError, ConcurrencySlotAcquisitionError
from prefect.futures import PrefectFuture

from tasks.pipeline import runtime
from tasks.pipeline.sharding import Share
from tasks.pipeline.stage import Node
from tasks.resources.errors import Transient

Dependants = defaultdict[str, list[Node]]
Ready = defaultdict[str, deque["Step"]]
SERVER_FAILED = (ConcurrencySlotAcquisitionError, AcquireConcurrencySlotTimeoutError, httpx.TransportError)
"""What Prefect raises before a task begins or after it ends when its server is too busy to answer. (Before each task
with tags it asks for their limits.) A stage's own connection errors are `Transient` and never look like this."""
TRIES = 5
"""How often a step is handed over when the server fails, or the process that runs it is lost."""
FOUND = "found"
"""The slot of steps that the store has: they occupy nothing but a thread."""


class Step(NamedTuple):
    """What is handed over together: a node, or a share of its rows that is made ahead of it."""

    node: Node
    share: Share | None = None

    @property
    def run_name(self) -> str:
        return self.node.run_name if self.share is None else self.share.of_run(self.node.run_name)


Finished = queue.SimpleQueue[tuple[Step, PrefectFuture[Any]]]
Submit = Callable[[Step, list[PrefectFuture[Any]], bool], PrefectFuture[Any]]
"""Hands a step to the task runner, with the futures of its inputs, and whether the store seems to have it."""


@dataclass
class Walk:
    """What is done, found and failed so far, by key."""

    submit: Submit
    limit: Callable[[str], int]
    """Steps at once in a slot."""
    strict: bool = False
    """Start nothing more once a step has failed."""
    shares: Callable[[Node], int] = lambda node: 1
    """Into how many shares the rows of a node are divided whose inputs are there; they are made side by side."""
    lost: Callable[[PrefectFuture[Any], BaseException], bool] = lambda future, error: False
    """Whether a run's error says that its process or machine is gone."""
    heard: Callable[[Step, Any], None] = lambda step, result: None
    """Told of each step that has ended well, and of its result."""
    futures: dict[str, PrefectFuture[Any]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    hits: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Why there is no artifact."""
    names: dict[str, str] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    """How often a step was handed over for nothing, by its run name."""
    open_shares: Counter[str] = field(default_factory=Counter)
    """Shares of a node that have not ended."""

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
        finished: Finished = queue.SimpleQueue()
        running: Counter[str] = Counter()
        while True:
            self._start(ready, running, finished)
            if not running.total():
                break
            step, future = finished.get()
            slot = self.slots[step.node.key]
            running[slot] -= 1
            if not self._settle(step, future):
                ready[slot].append(step)
            elif step.share is None or self._was_last_share(step.node, ready[slot]):
                self._release(step.node, dependants, missing, ready)
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
            shares = 1 if found else self.shares(node)
            self.open_shares[node.key] = shares if shares > 1 else 0
            steps = [Step(node, Share(number, shares)) for number in range(shares)] if shares > 1 else [Step(node)]
            ready[self.slots[node.key]].extend(steps)
        else:
            self._give_up(node, f"not run, since {lost.run_name} failed")
            self._release(node, dependants, missing, ready)

    def _release(self, node: Node, dependants: Dependants, missing: dict[str, int], ready: Ready) -> None:
        """Count a node that has ended off its dependants, and admit those that waited for nothing else."""
        for dependant in dependants[node.key]:
            missing[dependant.key] -= 1
            if missing[dependant.key] == 0:
                self._admit(dependant, dependants, missing, ready)

    def _was_last_share(self, node: Node, waiting: deque[Step]) -> bool:
        """Count a share that has ended, and say whether its node has ended with it, since one of them failed. After
        the last of all the node itself follows, which puts them together."""
        self.open_shares[node.key] -= 1
        if node.key in self.failed:
            needless = [step for step in waiting if step.node.key == node.key]
            for step in needless:
                waiting.remove(step)
            self.open_shares[node.key] -= len(needless)
            return not self.open_shares[node.key]
        if not self.open_shares[node.key]:
            waiting.appendleft(Step(node))
        return False

    def _start(self, ready: Ready, running: Counter[str], finished: Finished) -> None:
        for slot, steps in ready.items():
            while steps and running[slot] < self.limit(slot) and not (self.strict and self.failed):
                step = steps.popleft()
                running[slot] += 1
                inputs = [self.futures[needed.key] for needed in step.node.upstream if needed.key in self.futures]
                future = self.submit(step, inputs, slot == FOUND)
                if step.share is None:
                    self.futures[step.node.key] = future
                future.add_done_callback(lambda _, ended=(step, future): finished.put(ended))  # type: ignore[misc]

    def _settle(self, step: Step, future: PrefectFuture[Any]) -> bool:
        """Note how a step has ended; False where the server or the machine, not the step, failed and it is to be handed
        over again."""
        node = step.node
        try:
            result = future.result()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            if isinstance(error, SERVER_FAILED):
                why = "the Prefect server did not answer in time"
            elif self.lost(future, error):
                why = "the process that ran it is gone"
            else:
                why = None
            if why is not None:
                self.tries[step.run_name] += 1
                if self.tries[step.run_name] < TRIES:
                    runtime.current().listener("note", step.run_name, {"text": f"{why}; handed over again"})
                    return False
                error = Transient(f"{why}, {TRIES} times in a row: {error}")
            if node.key not in self.failed:  # by another of its shares
                self.failure(node, error)
        else:
            self.heard(step, result)
            if step.share is None:
                self.done.add(node.key)
                self.hits += future.state.name == "Cached"
        return True

    def failure(self, node: Node, error: BaseException) -> None:
        """Note that there is no artifact of a node, and why."""
        self.errors.append(error)
        self._give_up(node, str(error) or type(error).__name__)
        runtime.current().listener("failed", node.run_name, {"text": str(error)})

    def _give_up(self, node: Node, why: str) -> None:
        self.failed[node.key] = why
        self.names[node.key] = node.run_name
