"""The scheduler: order, slots, failures that leave the rest going, strict runs, shares."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError

from flows.execution.executor import LOOKUP, Executor, Step
from flows.execution.failure import Failure
from flows.execution.scheduler import TRIES, Scheduler
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node, stage
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows


@stage()
def source(name: str) -> list[Row]:
    return [{"id": name}]


@stage(slot="trainer")
def joined(parts: dict[str, Rows], name: str) -> list[Row]:
    return [{"id": name}]


class Finished(Future[Any]):
    """A future that has ended, with the state Prefect's have."""

    state = SimpleNamespace(name="Completed")


class Gone(Exception):
    """The process that ran a step is."""


class Recorder(Executor):
    """Runs nothing: a node named in `bad` fails, every other one ends at once, and the order is kept."""

    def __init__(self, bad: frozenset[str] = frozenset(), lost: Counter[str] | None = None) -> None:
        self.order: list[str] = []
        self.succeeded: list[str] = []
        self.limits = {"cpu": 2, "trainer": 1, "engine": 1, LOOKUP: 4}
        self.shares = 1
        """Of each node of the stage `shared`."""
        self.error: type[Exception] = ConcurrencySlotAcquisitionError
        """Raised as often as `lost` says, by run name."""
        self._bad = bad
        self._lost = lost or Counter()

    def limit(self, slot: str) -> int:
        return self.limits[slot]

    def submit(self, step: Step, inputs: list[Any], in_store: bool) -> Any:
        assert all(future.done() for future in inputs)
        self.order.append(step.run_name)
        future = Finished()
        if self._lost[step.run_name] > 0:
            self._lost[step.run_name] -= 1
            future.set_exception(self.error("no answer"))
        elif step.run_name in self._bad:
            future.set_exception(StageFailed("broken"))
        else:
            future.set_result(None)
        return future

    def share_count(self, node: Node) -> int:
        return self.shares if node.stage.name == "shared" else 1

    def is_lost(self, future: Any, error: BaseException) -> bool:
        return isinstance(error, Gone)

    def completed(self, step: Step, result: Any) -> None:
        self.succeeded.append(step.run_name)


Make = Callable[..., Scheduler]


@pytest.fixture
def scheduler_of(tmp_path: Path) -> Make:
    """Makes a scheduler of an executor, and an empty store."""
    return lambda executor, strict=False: Scheduler(executor, Runtime(Store(tmp_path)), strict)


def diamond() -> list[Node]:
    a, b = source("a").named("a"), source("b").named("b")
    left = joined({"a": a}, "left").named("left")
    right = joined({"a": a, "b": b}, "right").named("right")
    end = joined({"l": left, "r": right}, "end").named("end")
    return [a, b, left, right, end]


def test_inputs_end_before_what_needs_them(scheduler_of: Make) -> None:
    executor = Recorder()
    scheduler = scheduler_of(executor)
    scheduler.run(diamond())
    assert len(scheduler.done) == 5
    assert executor.order[-1] == "joined end"


def test_a_failure_takes_only_what_needs_it(scheduler_of: Make) -> None:
    scheduler = scheduler_of(Recorder(bad=frozenset({"source b"})))
    nodes = diamond()
    scheduler.run(nodes)
    _, b, _, right, end = nodes
    assert scheduler.failed == {
        b.recipe: Failure("source b", "broken"),
        right.recipe: Failure("joined right", blocked_by="source b"),
        end.recipe: Failure("joined end", blocked_by="joined right"),
    }
    assert [str(failure) for failure in scheduler.failed.values()] == [
        "broken",
        "not run, since source b failed",
        "not run, since joined right failed",
    ]
    assert len(scheduler.done) == 2


def test_strict_starts_nothing_after_a_failure(scheduler_of: Make) -> None:
    executor = Recorder(bad=frozenset({"source a"}))
    executor.limits["cpu"] = 1
    scheduler = scheduler_of(executor, strict=True)
    nodes = diamond()
    scheduler.run(nodes)
    assert executor.order == ["source a"]
    a, b, left, *_ = nodes
    assert scheduler.failed[a.recipe] == Failure("source a", "broken")
    assert scheduler.failed[b.recipe] == Failure("source b")
    assert str(scheduler.failed[b.recipe]) == "not run, since another step failed"
    assert scheduler.failed[left.recipe] == Failure("joined left", blocked_by="source a")
    assert len(scheduler.failed) == 5


def test_a_second_run_knows_what_the_first_has_done(scheduler_of: Make) -> None:
    executor = Recorder()
    scheduler = scheduler_of(executor)
    nodes = diamond()
    scheduler.run(nodes[:2])
    scheduler.run(nodes)
    assert len(executor.order) == 5


def test_thousands_of_nodes_take_no_quadratic_time(scheduler_of: Make) -> None:
    scheduler = scheduler_of(Recorder())
    looked_up = Counter[str]()
    store = scheduler.runtime.store
    has = store.has
    store.has = lambda stage, key: (looked_up.update([key]), has(stage, key))[1]  # type: ignore[method-assign]
    first = source("a").named("a")
    nodes = [first, *(joined({"a": first}, str(i)).named(str(i)) for i in range(5000))]
    scheduler.run(nodes)
    assert max(looked_up.values()) == 1
    assert len(scheduler.done) == 5001


def test_a_step_that_the_server_did_not_hear_of_is_submitted_again(scheduler_of: Make) -> None:
    first = source("a").named("a")
    last = joined({"a": first}, "b").named("b")
    executor = Recorder(lost=Counter({"source a": TRIES - 1}))
    scheduler = scheduler_of(executor)
    scheduler.run([first, last])
    assert executor.order == ["source a"] * TRIES + ["joined b"]
    assert scheduler.done == {first.recipe, last.recipe}
    assert not scheduler.errors
    scheduler = scheduler_of(Recorder(lost=Counter({"source a": TRIES})))
    scheduler.run([first, last])
    assert set(scheduler.failed) == {first.recipe, last.recipe}
    assert len(scheduler.errors) == 1
    assert scheduler.failed[first.recipe].reason.startswith(
        "the Prefect server did not answer in time, 5 times in a row"
    )


# Shares


@stage(per_row=True)
def shared(rows: Rows, name: str) -> Iterator[Row]:
    yield from rows


def in_shares() -> list[Node]:
    first = source("a").named("a")
    middle = shared(first, "m").named("m")
    return [first, middle, joined({"a": middle}, "b").named("b")]


def test_shares_come_before_what_puts_them_together(scheduler_of: Make) -> None:
    executor = Recorder()
    executor.shares = 3
    scheduler = scheduler_of(executor)
    nodes = in_shares()
    scheduler.run(nodes)
    names = ["source a", "shared m 1/3", "shared m 2/3", "shared m 3/3", "shared m", "joined b"]
    assert executor.order == executor.succeeded == names
    assert scheduler.done == {node.recipe for node in nodes}


def test_a_share_that_fails_is_the_failure_of_its_step_once(scheduler_of: Make) -> None:
    executor = Recorder(bad=frozenset({"shared m 2/3", "shared m 3/3"}))
    executor.shares, executor.limits["cpu"] = 3, 1
    scheduler = scheduler_of(executor)
    scheduler.run(in_shares())
    assert executor.order == ["source a", "shared m 1/3", "shared m 2/3"], "a share was needless"
    assert list(scheduler.failed.values()) == [
        Failure("shared m", "broken"),
        Failure("joined b", blocked_by="shared m"),
    ]
    assert len(scheduler.errors) == 1
    executor = Recorder(bad=frozenset({"shared m 2/3", "shared m 3/3"}))
    executor.shares, executor.limits["cpu"] = 3, 3
    scheduler = scheduler_of(executor)
    scheduler.run(in_shares())
    assert len(scheduler.errors) == 1
    assert len(scheduler.failed) == 2


def test_a_share_whose_machine_is_lost_is_submitted_again(scheduler_of: Make) -> None:
    for often, done in ((TRIES - 1, 3), (TRIES, 1)):
        executor = Recorder(lost=Counter({"shared m 2/3": often}))
        executor.shares, executor.error = 3, Gone
        scheduler = scheduler_of(executor)
        scheduler.run(in_shares())
        assert len(scheduler.done) == done
        assert Counter(executor.order)["shared m 2/3"] == TRIES
