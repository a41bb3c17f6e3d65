"""The walk through a plan: order, slots, failures that leave the rest going, strict runs."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError

from flows.execution.scheduler import TRIES, Step, Walk
from tasks.pipeline import runtime
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


@pytest.fixture
def walk_of(tmp_path: Path) -> Callable[..., Walk]:
    """Walks that run nothing: a node named in `bad` fails, every other one ends at once, and the order is kept."""
    runtime.use(runtime.Runtime(Store(tmp_path)))

    def make(
        bad: frozenset[str] = frozenset(),
        strict: bool = False,
        unheard: Counter[str] | None = None,
        error: type[Exception] = ConcurrencySlotAcquisitionError,
    ) -> Walk:
        order: list[str] = []
        running: Counter[str] = Counter()

        def submit(step: Step, inputs: list[Any], found: bool) -> Any:
            assert all(future.done() for future in inputs)
            order.append(step.run_name)
            future = Finished()
            if unheard and unheard[step.run_name] > 0:
                unheard[step.run_name] -= 1
                future.set_exception(error("no answer"))
            elif step.run_name in bad:
                future.set_exception(StageFailed("broken"))
            else:
                future.set_result(None)
            return future

        walk = Walk(submit, {"cpu": 2, "trainer": 1, "engine": 1, "found": 4}.__getitem__, strict)
        walk.order = order  # type: ignore[attr-defined]
        walk.running = running  # type: ignore[attr-defined]
        return walk

    return make


def diamond() -> list[Node]:
    a, b = source("a").named("a"), source("b").named("b")
    left = joined({"a": a}, "left").named("left")
    right = joined({"a": a, "b": b}, "right").named("right")
    end = joined({"l": left, "r": right}, "end").named("end")
    return [a, b, left, right, end]


def test_inputs_end_before_what_needs_them(walk_of: Callable[..., Walk]) -> None:
    walk = walk_of()
    walk.through(diamond())
    assert len(walk.done) == 5
    assert walk.order[-1] == "joined end"  # type: ignore[attr-defined]


def test_a_failure_takes_only_what_needs_it(walk_of: Callable[..., Walk]) -> None:
    walk = walk_of(bad=frozenset({"source b"}))
    walk.through(diamond())
    assert {walk.names[key]: why for key, why in walk.failed.items()} == {
        "source b": "broken",
        "joined right": "not run, since source b failed",
        "joined end": "not run, since joined right failed",
    }
    assert len(walk.done) == 2


def test_strict_starts_nothing_after_a_failure(walk_of: Callable[..., Walk]) -> None:
    walk = walk_of(bad=frozenset({"source a"}), strict=True)
    walk.through(diamond())
    assert "joined left" not in walk.order  # type: ignore[attr-defined]
    assert len(walk.done) + len(walk.failed) == 5


def test_a_second_walk_knows_what_the_first_has_done(walk_of: Callable[..., Walk]) -> None:
    walk = walk_of()
    nodes = diamond()
    walk.through(nodes[:2])
    walk.through(nodes)
    assert len(walk.order) == 5  # type: ignore[attr-defined]


def test_thousands_of_nodes_take_no_quadratic_time(walk_of: Callable[..., Walk]) -> None:
    walk = walk_of()
    first = source("a").named("a")
    nodes = [first, *(joined({"a": first}, str(i)).named(str(i)) for i in range(5000))]
    looked = Counter[str]()
    admit = walk._admit
    walk._admit = lambda node, *rest: (looked.update([node.key]), admit(node, *rest))[1]  # type: ignore[method-assign]
    walk.through(nodes)
    assert max(looked.values()) == 1
    assert len(walk.done) == 5001


def test_a_step_that_the_server_did_not_hear_of_is_handed_over_again(walk_of: Callable[..., Walk]) -> None:
    first = source("a").named("a")
    last = joined({"a": first}, "b").named("b")
    walk = walk_of(unheard=Counter({"source a": TRIES - 1}))
    walk.through([first, last])
    assert walk.order == ["source a"] * TRIES + ["joined b"]  # type: ignore[attr-defined]
    assert walk.done == {first.key, last.key}
    assert not walk.errors
    walk = walk_of(unheard=Counter({"source a": TRIES}))
    walk.through([first, last])
    assert set(walk.failed) == {first.key, last.key}
    assert len(walk.errors) == 1


# Shares


@stage(per_row=True)
def shared(rows: Rows, name: str) -> Iterator[Row]:
    yield from rows


def in_shares(walk: Walk, of: int = 3) -> tuple[list[Node], list[Any]]:
    """A walk that divides rows of `shared`; the nodes, and what it heard."""
    heard: list[Any] = []
    walk.shares = lambda node: of if node.stage.name == "shared" else 1
    walk.heard = lambda step, result: heard.append(step.run_name)
    first = source("a").named("a")
    middle = shared(first, "m").named("m")
    return [first, middle, joined({"a": middle}, "b").named("b")], heard


def test_shares_come_before_what_puts_them_together(walk_of: Callable[..., Walk]) -> None:
    walk = walk_of()
    nodes, heard = in_shares(walk)
    walk.through(nodes)
    names = ["source a", "shared m 1/3", "shared m 2/3", "shared m 3/3", "shared m", "joined b"]
    assert walk.order == heard == names  # type: ignore[attr-defined]
    assert walk.done == {node.key for node in nodes}


def test_a_share_that_fails_is_the_failure_of_its_step_once(walk_of: Callable[..., Walk]) -> None:
    walk = walk_of(bad=frozenset({"shared m 2/3", "shared m 3/3"}))
    nodes, _ = in_shares(walk)
    walk.limit = {"cpu": 1, "trainer": 1, "engine": 1, "found": 1}.__getitem__
    walk.through(nodes)
    assert walk.order == ["source a", "shared m 1/3", "shared m 2/3"], "a share was needless"  # type: ignore[attr-defined]
    assert {walk.names[key]: why for key, why in walk.failed.items()} == {
        "shared m": "broken",
        "joined b": "not run, since shared m failed",
    }
    assert len(walk.errors) == 1
    walk = walk_of(bad=frozenset({"shared m 2/3", "shared m 3/3"}))
    nodes, _ = in_shares(walk)
    walk.limit = {"cpu": 3, "trainer": 1, "engine": 1, "found": 1}.__getitem__
    walk.through(nodes)
    assert len(walk.errors) == 1
    assert len(walk.failed) == 2


def test_a_share_whose_machine_is_lost_is_handed_over_again(walk_of: Callable[..., Walk]) -> None:
    class Gone(Exception):
        pass

    for often, done in ((TRIES - 1, 3), (TRIES, 1)):
        walk = walk_of(unheard=Counter({"shared m 2/3": often}), error=Gone)
        walk.lost = lambda future, error: isinstance(error, Gone)
        nodes, _ = in_shares(walk)
        walk.through(nodes)
        assert len(walk.done) == done
        assert Counter(walk.order)["shared m 2/3"] == TRIES  # type: ignore[attr-defined]
