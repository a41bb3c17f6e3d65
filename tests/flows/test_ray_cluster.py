"""What a run makes of a Ray cluster whose machines come and go; Ray's list of them is the test's."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.task_runners import ThreadPoolTaskRunner

from data.errors import InputError
from flows.execution import ray_cluster as clusters
from flows.execution.executor import LOOKUP
from flows.execution.on_ray import RayExecutor
from flows.execution.ray_cluster import AHEAD, HERE, Cluster
from tasks.models.endpoint import Endpoint
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import stage
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tests.waiting import until

Has = dict[str, float]


class Fake(Cluster):
    """A cluster that is only told of: machines h0, h1, ..., and others by name."""

    def __init__(
        self,
        *has: Has,
        check: Callable[[frozenset[str]], None] = lambda hosts: None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.machines = {f"h{at}": given for at, given in enumerate(has)}
        super().__init__(check, note)

    def _listed(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "NodeManagerHostname": host, "Resources": has} for host, has in self.machines.items()]


@stage()
def some(count: int) -> list[Row]:
    return [{"id": str(number)} for number in range(count)]


@stage(per_row=True, slot="engine")
def answered(rows: Rows, model: str | Endpoint) -> Iterator[Row]:
    yield from rows


@stage(per_row=True, gpu=True)
def scored(rows: Rows) -> Iterator[Row]:
    yield from rows


@stage(slot="trainer")
def trained(rows: Rows) -> list[Row]:
    return list(rows)


def on(cluster: Cluster, runtime: Runtime) -> RayExecutor:
    return RayExecutor(cluster, {}, ThreadPoolTaskRunner(), runtime)


# What a step takes of the cluster


def test_steps_take_gpus_where_there_are_any() -> None:
    cluster = Fake({"CPU": 16, "GPU": 2}, {"CPU": 16, "GPU": 2}, {"CPU": 8})
    rows = some(3)
    needs = {node.stage.name: cluster.needs(cluster.kind(node)) for node in (answered(rows, "m"), scored(rows), rows)}
    assert (needs["answered"]["num_gpus"], needs["answered"]["max_calls"]) == (1, 0)
    assert needs["scored"]["num_gpus"] == 1
    assert "max_calls" not in needs["scored"], "its process ends with the step, and with it what it has of the GPU"
    assert "num_gpus" not in needs["some"]
    assert cluster.needs(cluster.kind(trained(rows)))["num_gpus"] == 1
    assert cluster.limit("engine") == cluster.limit("trainer") == 4 + AHEAD
    assert cluster.limit(LOOKUP) == cluster.limit("cpu") == 40 + AHEAD


def test_without_gpus_an_engine_has_a_machine_for_itself() -> None:
    cluster = Fake({"CPU": 8}, {"CPU": 4})
    rows = some(3)
    assert cluster.needs(cluster.kind(answered(rows, "m")))["num_cpus"] == 4
    assert cluster.places("engine") == 2
    assert cluster.kind(scored(rows)) == "cpu"
    assert cluster.kind(trained(rows)) == "trainer"
    assert cluster.needs("trainer")["num_cpus"] == 1


def test_what_an_endpoint_answers_takes_no_engine_and_is_made_in_one_place(tmp_path: Path) -> None:
    cluster = Fake({"CPU": 4, "GPU": 1})
    node = answered(some(3), Endpoint("api:m"))
    assert cluster.kind(node) == cluster.kind(node, in_store=True) == HERE
    assert on(cluster, Runtime(Store(tmp_path))).share_count(node) == 1


def test_rows_are_shared_among_the_places_that_there_are(tmp_path: Path) -> None:
    made = Runtime(Store(tmp_path))
    rows = some(5000)
    execute(rows, made)
    assert on(Fake({"CPU": 4, "GPU": 2}), made).share_count(answered(rows, "m")) == 2
    assert on(Fake({"CPU": 4, "GPU": 64}), made).share_count(answered(rows, "m")) == 4, "of at least 1,024 rows each"
    assert on(Fake({"CPU": 4}), made).share_count(answered(rows, "m")) == 1
    assert on(Fake({"CPU": 4}), made).share_count(trained(rows)) == 1


# Machines that come and go


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster is looked at often."""
    monkeypatch.setattr(clusters, "LOOK", 0.02)


@pytest.mark.usefixtures("often")
def test_machines_that_come_are_used_and_steps_wait_for_gpus_that_are_lost() -> None:
    notes: list[str] = []
    cluster = Fake({"CPU": 4}, note=notes.append)
    assert (cluster.places("cpu"), cluster.places("engine"), cluster.uses_gpus) == (4, 1, False)
    with cluster.watched():
        cluster.machines["second"] = {"CPU": 8, "GPU": 2}
        until(lambda: cluster.gpus == 2)
        assert (cluster.places("cpu"), cluster.places("engine"), cluster.places("trainer")) == (12, 2, 2)
        assert cluster.needs("trainer")["num_gpus"] == 1
        assert notes == []
        del cluster.machines["second"]
        until(lambda: cluster.gpus == 0)
        for kind in ("gpu", "engine", "trainer"):
            assert cluster.needs(kind)["num_gpus"] == 1
            assert cluster.places(kind) == 1
    assert notes == ["no machine with a GPU is left in the cluster: steps that need one wait for it"]


@pytest.mark.usefixtures("often")
def test_a_machine_that_comes_later_is_checked_as_those_at_first() -> None:
    asked: list[frozenset[str]] = []

    def check(hosts: frozenset[str]) -> None:
        asked.append(hosts)
        if "stranger" in hosts:
            raise InputError("stranger cannot reach it")

    cluster = Fake({"CPU": 4, "GPU": 1}, check=check)
    with cluster.watched():
        cluster.machines["friend"] = {"CPU": 1}
        until(lambda: "friend" in cluster.hosts)
        assert cluster.limit("cpu") == 5 + AHEAD
        cluster.machines["stranger"] = {"CPU": 1}
        until(lambda: "stranger" in cluster.hosts)
        for kind in ("cpu", "engine", "trainer", LOOKUP):
            with pytest.raises(InputError, match="stranger cannot reach it"):
                cluster.limit(kind)
    assert asked == [{"h0"}, {"h0", "friend"}, {"h0", "friend", "stranger"}]
    with pytest.raises(InputError, match="stranger cannot reach it"):
        Fake({"CPU": 4}, check=lambda hosts: check(hosts | {"stranger"}))
