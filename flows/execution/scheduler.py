"""The scheduler of a plan: each step is submitted when its inputs are there and a slot is free."""

import queue
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
from prefect.concurrency.asyncio import AcquireConcurrencySlotTimeoutError, ConcurrencySlotAcquisitionError
from prefect.futures import PrefectFuture

from flows.execution import engine_order
from flows.execution.executor import LOOKUP, Executor, Step
from flows.execution.failure import Failure
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.sharding import Share
from tasks.pipeline.stage import Node
from tasks.resources.errors import Transient

SERVER_FAILED = (ConcurrencySlotAcquisitionError, AcquireConcurrencySlotTimeoutError, httpx.TransportError)
"""What Prefect raises before a task begins or after it ends when its server is too busy to answer. (Before each task
with tags it asks for their limits.) A stage's own connection errors are `Transient` and never look like this."""
TRIES = 5
"""How often a step is submitted when the server fails, or the process that runs it is lost."""
Finished = queue.SimpleQueue[tuple[Step, PrefectFuture[Any]]]


@dataclass
class Scheduler:
    """Runs nodes by an executor, and keeps what is done, found and failed so far, by key."""

    executor: Executor
    runtime: Runtime
    strict: bool = False
    """Start nothing more once a step has failed."""
    futures: dict[str, PrefectFuture[Any]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    hits: int = 0
    failed: dict[str, Failure] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)
    """What the steps raised that failed themselves."""
    slots: dict[str, str] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    """How often a step was submitted for nothing, by its run name."""
    open_shares: Counter[str] = field(default_factory=Counter)
    """Shares of a node that have not ended."""

    def run(self, nodes: Iterable[Node]) -> None:
        """Run these nodes, given inputs first; those whose inputs fail are not run."""
        queued = _Queue(node for node in nodes if node.key not in self.done and node.key not in self.failed)
        if self.executor.one_engine:
            queued.hold(*engine_order.order(queued.nodes.values()))
        for node in queued.without_inputs():
            self._admit(node, queued)
        finished: Finished = queue.SimpleQueue()
        running: Counter[str] = Counter()
        while True:
            self._start(queued, running, finished)
            if not running.total():
                break
            step, future = finished.get()
            slot = self.slots[step.node.key]
            running[slot] -= 1
            if not self._settle(step, future):
                queued.ready[slot].append(step)
            elif step.share is None or self._was_last_share(step.node, queued.ready[slot]):
                self._release(step.node, queued)
            if not running["engine"] and not queued.ready["engine"]:
                # Trainers get the engine's memory, where it holds much.
                self.runtime.engines_if_any(lambda engines: engines.make_room())
        for key, node in queued.nodes.items():
            if key not in self.done and key not in self.failed:
                self.failed[key] = Failure(node.run_name)

    def _admit(self, node: Node, queued: "_Queue") -> None:
        """Queue a node whose inputs have all ended; not where one of them failed."""
        failed = next((needed for needed in node.upstream if needed.key in self.failed), None)
        if failed is not None:
            self.failed[node.key] = Failure(node.run_name, blocked_by=failed.run_name)
            self._release(node, queued)
            return
        try:
            in_store = self.runtime.store.has(node.stage.name, node.key)
        except Transient:  # a store that is away just now: the step asks again, and is tried again
            in_store = False
        self.slots[node.key] = LOOKUP if in_store else node.stage.slot
        count = 1 if in_store else self.executor.share_count(node)
        self.open_shares[node.key] = count if count > 1 else 0
        steps = [Step(node, Share(number, count)) for number in range(count)] if count > 1 else [Step(node)]
        queued.ready[self.slots[node.key]].extend(steps)

    def _release(self, node: Node, queued: "_Queue") -> None:
        """Admit the dependants of a node that has ended which wait for nothing else."""
        for dependant in queued.ended(node):
            self._admit(dependant, queued)

    def _was_last_share(self, node: Node, ready: deque[Step]) -> bool:
        """Count a share that has ended, and say whether its node has ended with it, since one of them failed. After
        the last of all the node itself follows, which puts them together."""
        self.open_shares[node.key] -= 1
        if node.key in self.failed:
            needless = [step for step in ready if step.node.key == node.key]
            for step in needless:
                ready.remove(step)
            self.open_shares[node.key] -= len(needless)
            return not self.open_shares[node.key]
        if not self.open_shares[node.key]:
            ready.appendleft(Step(node))
        return False

    def _start(self, queued: "_Queue", running: Counter[str], finished: Finished) -> None:
        for slot, steps in queued.ready.items():
            while steps and running[slot] < self.executor.limit(slot) and not (self.strict and self.failed):
                step = steps.popleft()
                running[slot] += 1
                inputs = [self.futures[needed.key] for needed in step.node.upstream if needed.key in self.futures]
                future = self.executor.submit(step, inputs, slot == LOOKUP)
                if step.share is None:
                    self.futures[step.node.key] = future
                future.add_done_callback(lambda _, ended=(step, future): finished.put(ended))  # type: ignore[misc]

    def _settle(self, step: Step, future: PrefectFuture[Any]) -> bool:
        """Note how a step has ended; False where the server or the machine, not the step, failed and it is to be
        submitted again."""
        try:
            result = future.result()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            return self._settle_failed(step, future, error)
        self.executor.completed(step, result)
        if step.share is None:
            self.done.add(step.node.key)
            self.hits += future.state.name == "Cached"
        return True

    def _settle_failed(self, step: Step, future: PrefectFuture[Any], error: BaseException) -> bool:
        """As `_settle`, of a step that has raised."""
        if isinstance(error, SERVER_FAILED):
            why = "the Prefect server did not answer in time"
        elif self.executor.is_lost(future, error):
            why = "the process that ran it is gone"
        else:
            why = None
        if why is not None:
            self.tries[step.run_name] += 1
            if self.tries[step.run_name] < TRIES:
                self.runtime.listener("note", step.run_name, {"text": f"{why}; submitted again"})
                return False
            error = Transient(f"{why}, {TRIES} times in a row: {error}")
        if step.node.key not in self.failed:  # by another of its shares
            self.fail(step.node, error)
        return True

    def fail(self, node: Node, error: BaseException) -> None:
        """Note that there is no artifact of a node, and why."""
        failure = Failure(node.run_name, str(error) or type(error).__name__)
        self.errors.append(error)
        self.failed[node.key] = failure
        self.runtime.listener("failed", node.run_name, {"text": failure.reason})


class _Queue:
    """The nodes of one run of the scheduler: what each still waits for, and the steps that may start, by slot."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = {node.key: node for node in nodes}
        self.ready: defaultdict[str, deque[Step]] = defaultdict(deque)
        self._waits_for = {
            key: sum(needed.key in self.nodes for needed in node.upstream) for key, node in self.nodes.items()
        }
        self._dependants: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes.values():
            for needed in node.upstream:
                if needed.key in self.nodes:
                    self._dependants[needed.key].append(node)

    def hold(self, first: list[Node], then: list[Node]) -> None:
        """Have nodes wait for others though they need none of their artifacts, and though these may fail."""
        for node in first:
            self._dependants[node.key].extend(then)
        for node in then:
            self._waits_for[node.key] += len(first)

    def without_inputs(self) -> list[Node]:
        """The nodes that wait for no other one of these."""
        return [node for key, node in self.nodes.items() if not self._waits_for[key]]

    def ended(self, node: Node) -> list[Node]:
        """Count a node that has ended off its dependants; returns those that waited for nothing else."""
        free = []
        for dependant in self._dependants.get(node.key, []):
            self._waits_for[dependant.key] -= 1
            if not self._waits_for[dependant.key]:
                free.append(dependant)
        return free
