"""The scheduler of a plan: each step is submitted when its inputs are there and a slot is free."""

import queue
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
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
Reached = Callable[[Node, Any], None]
"""Is told of each step that has ended well, and of its result."""
Finished = queue.SimpleQueue[tuple[Step, PrefectFuture[Any]]]


@dataclass
class Scheduler:
    """Runs nodes by an executor, and keeps what is done, found and failed so far, by recipe."""

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
    reached: Reached = lambda node, result: None

    def run(self, nodes: Iterable[Node]) -> None:
        """Run these nodes, given inputs first; those whose inputs fail are not run."""
        queued = _Queue(node for node in nodes if node.recipe not in self.done and node.recipe not in self.failed)
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
            slot = self.slots[step.node.recipe]
            running[slot] -= 1
            if not self._settle(step, future):
                queued.ready[slot].append(step)
            elif step.share is None or self._was_last_share(step.node, queued.ready[slot]):
                self._release(step.node, queued)
            if not running["engine"] and not queued.ready["engine"]:
                # Trainers get the engine's memory, where it holds much.
                self.runtime.engines_if_any(lambda engines: engines.make_room())
        for recipe, node in queued.nodes.items():
            if recipe not in self.done and recipe not in self.failed:
                self.failed[recipe] = Failure(node.run_name)

    def _admit(self, node: Node, queued: "_Queue") -> None:
        """Queue a node whose inputs have all ended; not where one of them failed."""
        failed = next((needed for needed in node.upstream if needed.recipe in self.failed), None)
        if failed is not None:
            self.failed[node.recipe] = Failure(node.run_name, blocked_by=failed.run_name)
            self._release(node, queued)
            return
        try:
            in_store = self.runtime.keys.has(node)
        except Transient:  # a store that is away just now: the step asks again, and is tried again
            in_store = False
        self.slots[node.recipe] = LOOKUP if in_store else node.stage.slot
        count = 1 if in_store else self.executor.share_count(node)
        self.open_shares[node.recipe] = count if count > 1 else 0
        steps = [Step(node, Share(number, count)) for number in range(count)] if count > 1 else [Step(node)]
        queued.ready[self.slots[node.recipe]].extend(steps)

    def _release(self, node: Node, queued: "_Queue") -> None:
        """Admit the dependants of a node that has ended which wait for nothing else."""
        for dependant in queued.ended(node):
            self._admit(dependant, queued)

    def _was_last_share(self, node: Node, ready: deque[Step]) -> bool:
        """Count a share that has ended, and say whether its node has ended with it, since one of them failed. After
        the last of all the node itself follows, which puts them together."""
        self.open_shares[node.recipe] -= 1
        if node.recipe in self.failed:
            needless = [step for step in ready if step.node.recipe == node.recipe]
            for step in needless:
                ready.remove(step)
            self.open_shares[node.recipe] -= len(needless)
            return not self.open_shares[node.recipe]
        if not self.open_shares[node.recipe]:
            ready.appendleft(Step(node))
        return False

    def _start(self, queued: "_Queue", running: Counter[str], finished: Finished) -> None:
        for slot, steps in queued.ready.items():
            while steps and running[slot] < self.executor.limit(slot) and not (self.strict and self.failed):
                step = steps.popleft()
                running[slot] += 1
                inputs = [self.futures[needed.recipe] for needed in step.node.upstream if needed.recipe in self.futures]
                future = self.executor.submit(step, inputs, slot == LOOKUP)
                if step.share is None:
                    self.futures[step.node.recipe] = future
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
            self.done.add(step.node.recipe)
            self.reached(step.node, result)
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
        if step.node.recipe not in self.failed:  # by another of its shares
            self.fail(step.node, error)
        return True

    def fail(self, node: Node, error: BaseException) -> None:
        """Note that there is no artifact of a node, and why."""
        failure = Failure(node.run_name, str(error) or type(error).__name__)
        self.errors.append(error)
        self.failed[node.recipe] = failure
        self.runtime.listener("failed", node.run_name, {"text": failure.reason})


class _Queue:
    """The nodes of one run of the scheduler: what each still waits for, and the steps that may start, by slot."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = {node.recipe: node for node in nodes}
        self.ready: defaultdict[str, deque[Step]] = defaultdict(deque)
        self._waits_for = {
            recipe: sum(needed.recipe in self.nodes for needed in node.upstream) for recipe, node in self.nodes.items()
        }
        self._dependants: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes.values():
            for needed in node.upstream:
                if needed.recipe in self.nodes:
                    self._dependants[needed.recipe].append(node)

    def hold(self, first: list[Node], then: list[Node]) -> None:
        """Have nodes wait for others though they need none of their artifacts, and though these may fail."""
        for node in first:
            self._dependants[node.recipe].extend(then)
        for node in then:
            self._waits_for[node.recipe] += len(first)

    def without_inputs(self) -> list[Node]:
        """The nodes that wait for no other one of these."""
        return [node for recipe, node in self.nodes.items() if not self._waits_for[recipe]]

    def ended(self, node: Node) -> list[Node]:
        """Count a node that has ended off its dependants; returns those that waited for nothing else."""
        free = []
        for dependant in self._dependants.get(node.recipe, []):
            self._waits_for[dependant.recipe] -= 1
            if not self._waits_for[dependant.recipe]:
                free.append(dependant)
        return free
