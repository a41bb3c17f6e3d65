"""A study over Ray nodes: the same results as in one process, also when a node is killed in the middle."""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from data.errors import InputError
from flows.execution.executor import Step
from flows.execution.on_ray import _reachable
from flows.execution.prefect_tasks import Sent, opened
from tasks.pipeline.stage import Node, stage
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tasks.storage.shared_artifacts import SharedStore
from tests.faults.disturbed import same_results
from tests.faults.left_behind import running
from tests.flows.prefect_server import prefect_server
from tests.flows.ray_cluster import Nodes, ray_cluster, start
from tests.flows.test_study import environment, mothertongue
from tests.waiting import PATIENCE, until

STUDY = [
    "abacus",
    *("--set", "name=spread"),
    *("--set", "train=[abacus/boxes]"),
    *("--set", "evaluate=[abacus/boxes, abacus/clock]"),
    *("--set", "origins={human: {}, self: {samples: 8, temperature: 0.7, max_tokens: 120}}"),
    *("--set", "questions={train: 240, evaluate: 60}"),
    *("--set", "method.epochs=1"),
    *("--set", "seeds=[0]"),
]


@stage()
def some(count: int) -> list[Row]:
    return [{"id": str(number)} for number in range(count)]


@stage(slot="trainer")
def trained(rows: Rows) -> list[Row]:
    return list(rows)


# What is refused


def test_a_store_that_other_machines_do_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"MOTHERTONGUE_STORE=.*: the cluster has other machines \(far, near\)"):
        _reachable(frozenset({"far", "near", socket.gethostname()}), "http://10.0.0.1:4200/api", Store(tmp_path))
    _reachable(
        frozenset({"far"}), "http://10.0.0.1:4200/api", SharedStore(f"file://{tmp_path}/all", tmp_path / "cache")
    )


def test_a_server_that_other_machines_do_not_reach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"PREFECT_API_URL=http://127.0.0.1:4200/api: the cluster has other machines"):
        _reachable(frozenset({"far"}), "http://127.0.0.1:4200/api", Store(tmp_path))
    _reachable(frozenset({socket.gethostname()}), "http://127.0.0.1:4200/api", Store(tmp_path))


def test_a_machine_with_other_code_makes_nothing() -> None:
    sent = Sent(Step(some(3)))
    assert opened(sent).node is sent.step.node
    sent.recipe = "0" * 32
    with pytest.raises(StageFailed, match="has other code for some than the machine that planned it"):
        opened(sent)


def test_a_node_works_its_recipe_out_anew_in_another_process() -> None:
    import pickle

    node: Node = trained(some(3)).named("x", "seed:0")
    assert node.recipe
    again = pickle.loads(pickle.dumps(node))
    assert "recipe" not in vars(again)
    assert (again.recipe, again.run_name, again.tags) == (node.recipe, node.run_name, node.tags)


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["--runner", "rays"], {}, "--runner rays: no runner is called 'rays' (did you mean ray"),
        ([], {"MOTHERTONGUE_RUNNER": "dask"}, "MOTHERTONGUE_RUNNER=dask: no runner is called 'dask'"),
        (["--runner", "ray"], {"RAY_ADDRESS": "nonsense"}, "RAY_ADDRESS=nonsense: no Ray cluster answers there"),
    ],
)
def test_a_runner_that_cannot_be_had_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ended = mothertongue(tmp_path, "run", *STUDY, *arguments)
    assert ended.returncode == 2, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


# On real nodes


@pytest.fixture(scope="module")
def in_threads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study in one process."""
    folder = tmp_path_factory.mktemp("threads")
    ended = mothertongue(folder, "run", *STUDY)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with ray_cluster(tmp_path_factory.mktemp("ray")) as found:
        yield found


def spread(folder: Path, nodes: Nodes) -> dict[str, str]:
    """The environment of a run on the cluster, in which 120 rows are worth a share."""
    own = {"RAY_ADDRESS": nodes.address, "MOTHERTONGUE_SHARD_ROWS": "120", "PYTHONPATH": os.pathsep.join(_path())}
    return {**environment(folder), **own}


def _path() -> list[str]:
    return [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]


def manifest(folder: Path, stage: str, label: str) -> dict[str, Any]:
    found = [json.loads(path.read_text()) for path in (folder / "store" / stage).glob("*/manifest.json")]
    (one,) = [each for each in found if each["label"] == label]
    return dict(one)


def in_the_middle(stage: Path, count: int) -> bool:
    """Whether so many shares have kept rows, and none of them is at its end."""
    names = {path.name for path in stage.glob("*/parts/*")}
    begun = {name.split("-")[0] for name in names if "of" in name and name.endswith(".parquet")}
    return len(begun) == count and not any(name.endswith("facts.json") for name in names)


@pytest.mark.slow
def test_two_nodes_give_the_results_of_one_process_though_one_is_killed(
    tmp_path: Path, in_threads: Path, nodes: Nodes
) -> None:
    second = nodes.add("second")
    with prefect_server(tmp_path / "server") as server:
        own = {name: value for name, value in server.items() if name.startswith("PREFECT_")}
        process = start(tmp_path, spread(tmp_path, nodes) | own, *STUDY)
        deadline = time.monotonic() + PATIENCE
        generate = tmp_path / "store" / "generate"
        while not in_the_middle(generate, 2):
            assert process.poll() is None, (tmp_path / "said").read_text()
            assert time.monotonic() < deadline, (tmp_path / "said").read_text()
            time.sleep(0.02)
        nodes.kill(second)
        assert process.wait(PATIENCE) == 0, (tmp_path / "said").read_text()
        runs = httpx.post(f"{server['PREFECT_API_URL']}/task_runs/filter", json={}, timeout=PATIENCE).json()
    said = (tmp_path / "said").read_text()
    assert "the process that ran it is gone; submitted again" in said
    crashed = [run for run in runs if run["state_type"] == "CRASHED"]
    assert crashed, "the server was not told"
    assert "finished rows are kept" in crashed[0]["state"]["message"]
    assert {run["name"] for run in runs} >= {f"generate self/abacus/boxes {number}/2" for number in (1, 2)}
    assert not [run for run in runs if run["state_type"] == "RUNNING"]
    same_results(tmp_path, in_threads, "spread")
    once = manifest(in_threads, "generate", "self/abacus/boxes")
    spread_out = manifest(tmp_path, "generate", "self/abacus/boxes")
    assert spread_out["key"] == once["key"]
    assert spread_out["files"]["rows.parquet"] == once["files"]["rows.parquet"], "the same bytes"


@pytest.mark.slow
def test_what_is_in_the_store_is_not_done_again_on_ray(in_threads: Path, nodes: Nodes) -> None:
    for made_of in ("evaluate", "compare", "report"):
        for key in (in_threads / "store" / made_of).iterdir():
            if json.loads((key / "manifest.json").read_text())["label"].startswith(("self", "spread")):
                shutil.rmtree(key)
    process = start(in_threads, spread(in_threads, nodes), *STUDY)
    assert process.wait(PATIENCE) == 0, (in_threads / "said").read_text()
    said = (in_threads / "said").read_text()
    made = {line.split()[1] for line in said.splitlines() if ": done in" in line}
    assert made == {"evaluate", "compare", "report"}, said
    assert "ERROR" not in said
    assert "human" not in "".join(line for line in said.splitlines() if ": done in" in line)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_stopped_run_leaves_nothing_on_the_nodes(
    tmp_path: Path, nodes: Nodes, how: signal.Signals, code: int
) -> None:
    own = spread(tmp_path, nodes)
    process = start(tmp_path, own, *STUDY)
    deadline = time.monotonic() + PATIENCE
    while not list((tmp_path / "store" / "generate").glob("*/parts/*.parquet")):
        assert process.poll() is None, (tmp_path / "said").read_text()
        assert time.monotonic() < deadline, (tmp_path / "said").read_text()
        time.sleep(0.05)
    assert running_of(nodes.folder)
    process.send_signal(how)
    assert process.wait(PATIENCE) == code
    said = (tmp_path / "said").read_text()
    assert "Traceback" not in said
    assert "received at time" not in said, "Ray's own handler has ended the run"
    until(lambda: not running_of(nodes.folder), "an engine, a trainer or a step was left on a node", pause=0.2)


def running_of(folder: Path) -> list[str]:
    """Commands of a cluster's processes that work for a study."""
    return [
        command for _, command in running(folder) if "tasks." in command or command.startswith(("ray::gen", "ray::ev"))
    ]
