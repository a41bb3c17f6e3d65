"""Shards: shares of a stage's rows made apart, in any order, by any process, give the file one process would write."""

import itertools
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from data.errors import InputError
from tasks.kinds.verifiers import Verdict
from tasks.models.model import Model
from tasks.pipeline.declaration import Fact
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.sharding import execute_shard, shards, span
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.score import score
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tasks.verify import verify
from tests.waiting import PATIENCE, until

ROWS = 600


@stage()
def asked(count: int) -> list[Row]:
    return [{"id": f"n{i}", "sample": 0, "question": f"What is {i}?", "response": f"{i % 7}"} for i in range(count)]


@stage(per_row=True, facts=(Fact("prompts", shares="add"),))
def counted(rows: Rows, *, work: Work) -> Iterator[Row]:
    """Finishes its rows out of order, and notes each."""
    some = list(rows)
    random.Random(len(some)).shuffle(some)
    for row in some:
        with (work.runtime.store.root / "made.log").open("a") as log:
            log.write(f"{row['id']}\n")
        if (work.runtime.store.root / "slowly").exists():
            time.sleep(0.01)
        yield row | {"length": len(row["question"])}
    work.facts |= {"prompts": len(some), "device": "here"}


def picky(response: str, row: Row) -> Verdict:
    if response == "3":
        raise ZeroDivisionError("not this one")
    return Verdict("correct", response)


def node() -> Node:
    return counted(asked(ROWS))


def made(root: Path) -> list[str]:
    return (root / "made.log").read_text().split()


def _share(root: Path, number: int, of: int) -> None:
    execute_shard(node(), number, of, Runtime(Store(root)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What one process that is not disturbed writes."""
    artifact, _ = execute(node(), Runtime(Store(tmp_path_factory.mktemp("whole"))))
    return artifact.path("rows.parquet").read_bytes()


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2], [2, 0]])
def test_shares_in_any_order_give_the_same_file(tmp_path: Path, whole: bytes, order: list[int]) -> None:
    runtime = Runtime(Store(tmp_path))
    for number in order:
        assert execute_shard(node(), number, 4, runtime) == ROWS // 4
    assert not runtime.keys.has(node())
    assert len(made(tmp_path)) == len(order) * ROWS // 4
    artifact, hit = execute(node(), runtime)
    assert not hit
    assert artifact.path("rows.parquet").read_bytes() == whole
    assert sorted(made(tmp_path)) == sorted(f"n{i}" for i in range(ROWS)), "a row was made twice"
    assert artifact.manifest["made"] == ROWS
    assert artifact.facts == {"prompts": ROWS, "device": "here"}
    assert not artifact.path("parts").exists()
    assert execute_shard(node(), 1, 4, runtime) == ROWS // 4
    assert len(made(tmp_path)) == ROWS


def test_shares_of_several_processes_at_once_give_the_same_file(tmp_path: Path, whole: bytes) -> None:
    execute(asked(ROWS), Runtime(Store(tmp_path)))
    context = multiprocessing.get_context("spawn")
    # The first share is asked for twice: one waits for the other, and finds it made.
    processes = [context.Process(target=_share, args=(tmp_path, number, 3)) for number in (0, 0, 1, 2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    artifact, _ = execute(node(), Runtime(Store(tmp_path)))
    assert artifact.path("rows.parquet").read_bytes() == whole
    assert sorted(made(tmp_path)) == sorted(f"n{i}" for i in range(ROWS))


def test_a_share_that_was_killed_goes_on(tmp_path: Path, whole: bytes) -> None:
    runtime = Runtime(Store(tmp_path))
    execute(asked(ROWS), runtime)
    (tmp_path / "slowly").touch()
    process = multiprocessing.get_context("spawn").Process(target=_share, args=(tmp_path, 0, 2))
    process.start()
    parts = runtime.store.folder("counted", runtime.keys.find(node()) or "") / "parts"
    until(lambda: list(parts.glob("0of2-*.parquet")))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (tmp_path / "slowly").unlink()
    kept = {row["id"] for path in parts.glob("*.parquet") for row in Rows([path])}
    before = made(tmp_path)
    assert 0 < len(kept) < ROWS // 2
    assert execute_shard(node(), 1, 2, runtime) == ROWS // 2
    assert execute_shard(node(), 0, 2, runtime) == ROWS // 2
    assert not kept & set(made(tmp_path)[len(before) :]), "a kept row was made again"
    assert execute(node(), runtime)[0].path("rows.parquet").read_bytes() == whole


def test_another_division_goes_on_with_what_there_is(tmp_path: Path, whole: bytes) -> None:
    runtime = Runtime(Store(tmp_path))
    execute_shard(node(), 0, 2, runtime)
    for number in range(5):
        execute_shard(node(), number, 5, runtime)
    assert sorted(made(tmp_path)) == sorted(f"n{i}" for i in range(ROWS))
    assert execute(node(), runtime)[0].path("rows.parquet").read_bytes() == whole


def test_what_only_all_rows_decide_is_left_to_the_end(tmp_path: Path) -> None:
    """Errors of a verifier: 1 in 7 rows, in one share or in all; the limit is on all of them."""
    runtime = Runtime(Store(tmp_path))
    within = verify(asked(ROWS), picky, limit=0.2)
    for number in range(3):
        assert execute_shard(within, number, 3, runtime) < ROWS // 3
    artifact, _ = execute(within, runtime)
    assert artifact.facts["error"] == sum(i % 7 == 3 for i in range(ROWS))
    assert artifact.rows().column("id") == [f"n{i}" for i in range(ROWS)]
    beyond = verify(asked(ROWS), picky, limit=0.1)
    execute_shard(beyond, 0, 3, runtime)
    with pytest.raises(StageFailed, match=r"86 of 600 responses could not be judged.*ZeroDivisionError: not this one"):
        execute(beyond, runtime)


def test_scores_of_shares_are_those_of_the_whole(tmp_path: Path, tiny: Model) -> None:
    prompt = "{{ question }}"
    alone, shared = Runtime(Store(tmp_path / "alone")), Runtime(Store(tmp_path / "shared"))
    first = execute(score(asked(90), tiny, prompt), alone)[0]
    for number in (2, 0, 1):
        execute_shard(score(asked(90), tiny, prompt), number, 3, shared)
    second = execute(score(asked(90), tiny, prompt), shared)[0]
    for name in ("id", "tokens", "token_text"):
        assert second.rows().column(name) == first.rows().column(name)
    assert second.rows().column("nll") == pytest.approx(first.rows().column("nll"), abs=1e-4)
    assert second.facts["template"] == first.facts["template"]


def test_a_share_ends_well_whose_rows_another_run_makes_meanwhile(tmp_path: Path, whole: bytes) -> None:
    begun, made_all = threading.Event(), threading.Event()

    def listener(event: str, run: str, facts: dict[str, Any]) -> None:
        if event == "progress":
            begun.set()
            made_all.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        share = pool.submit(execute_shard, node(), 0, 2, Runtime(Store(tmp_path), listener=listener))
        assert begun.wait(PATIENCE)
        artifact, _ = execute(node(), Runtime(Store(tmp_path)))
        made_all.set()
        assert share.result(PATIENCE) == ROWS // 2
    assert artifact.path("rows.parquet").read_bytes() == whole


def test_how_many_shares_there_are() -> None:
    assert [shards(rows, 100) for rows in (0, 1, 100, 101, 1000)] == [1, 1, 1, 2, 10]
    spans = [span(1003, number, 7) for number in range(7)]
    assert spans[0][0] == 0
    assert spans[-1][1] == 1003
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    with pytest.raises(InputError, match="MOTHERTONGUE_SHARD_ROWS=-5: allowed is a number above 0"):
        shards(10, -5)
