"""A per-row stage takes over what other artifacts of it have for the same input row, and pays for the rest."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tasks.models.sampling import Sampling
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.sharding import execute_shard
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.storage.artifacts import Artifact, Store
from tasks.storage.rows import Row, Rows
from tests.waiting import until

MADE: list[tuple[str, int]] = []


@stage()
def asked(first: int, count: int, text: str = "what is it?") -> list[Row]:
    return [
        {"id": f"q{i}", "question": f"{text} {i}", "level": None if i < 5 else i} for i in range(first, first + count)
    ]


@stage()
def style(words: str) -> list[Row]:
    return [{"id": "style", "words": words}]


@stage(per_row=True, samples="sampling")
def answers(questions: Rows, manner: Rows, sampling: Sampling, seed: int, *, work: Work) -> Iterator[list[Row]]:
    for row in reversed(list(questions)):
        made = []
        for sample in work.missing_samples(row, sampling.n):
            MADE.append((row["id"], sample))
            made.append(row | {"sample": sample, "answer": f"{manner.column('words')[0]} {seed} {row['id']} {sample}"})
        yield made


@stage(per_row=True)
def slowly(rows: Rows, *, work: Work) -> Iterator[Row]:
    for row in rows:
        with (work.runtime.store.root / "slowly.log").open("a") as log:
            log.write(f"{row['id']}\n")
        time.sleep(0.01 if (work.runtime.store.root / "slow").exists() else 0)
        yield row | {"done": True}


def _run_slowly(root: Path, count: int) -> None:
    run(slowly(asked(0, count)), Runtime(Store(root)))


def judged_only(rows: pa.Table, total: int) -> pa.Table:
    return rows.filter(pc.not_equal(rows.column("verdict"), "error"))


@stage(per_row=True, adopted=judged_only)
def judged(rows: Rows, broken: bool = False, *, work: Work) -> Iterator[Row]:
    for row in rows:
        MADE.append((row["id"], row["sample"]))
        failed = row["id"] == "q1" and not (work.runtime.store.root / "mended").exists()
        yield row | {"verdict": "error" if failed else "correct", "reason": None}


def node(
    first: int = 0, count: int = 10, n: int = 2, text: str = "what is it?", words: str = "so", seed: int = 0
) -> Node:
    return answers(asked(first, count, text), style(words), Sampling(n=n), seed)


def run(step: Node, runtime: Runtime) -> Artifact:
    for needed in step.upstream:
        run(needed, runtime)
    return execute(step, runtime)[0]


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    MADE.clear()
    return Runtime(Store(tmp_path / "store"))


def fresh(step: Node, tmp_path: Path) -> bytes:
    """The artifact's rows as a store gives them that has nothing to take over."""
    before = list(MADE)
    made = run(step, Runtime(Store(tmp_path / "fresh" / step.recipe))).path("rows.parquet").read_bytes()
    MADE[:] = before
    return made


@pytest.mark.parametrize(
    ("then", "drawn"),
    [
        (node(count=14), {(f"q{i}", s) for i in range(10, 14) for s in range(2)}),
        (node(count=4), set()),
        (node(first=7), {(f"q{i}", s) for i in range(10, 17) for s in range(2)}),
        (node(n=5), {(f"q{i}", s) for i in range(10) for s in range(2, 5)}),
        (node(n=1), set()),
        (node(count=12, n=3), {(f"q{i}", 2) for i in range(12)} | {(f"q{i}", s) for i in (10, 11) for s in (0, 1)}),
    ],
    ids=["more questions", "fewer", "other ones", "more samples", "fewer samples", "more of both"],
)
def test_a_study_grows_for_the_price_of_what_is_new(
    runtime: Runtime, tmp_path: Path, then: Node, drawn: set[tuple[str, int]]
) -> None:
    first = run(node(), runtime)
    MADE.clear()
    grown = run(then, runtime)
    assert set(MADE) == drawn
    assert len(MADE) == len(drawn)
    assert grown.path("rows.parquet").read_bytes() == fresh(then, tmp_path)
    whole = grown.manifest["rows"]
    partly = {sample for _, sample in drawn} & {2, 3, 4}  # samples put to others are drawn with them, and not counted
    if not partly:
        assert grown.manifest["taken"] == {first.manifest["key"]: whole - len(drawn)}
        assert grown.manifest["made"] == len(drawn)


@pytest.mark.parametrize("then", [node(text="what is that?"), node(words="thus"), node(seed=1)])
def test_what_depends_on_something_else_is_made_anew(runtime: Runtime, then: Node) -> None:
    run(node(), runtime)
    MADE.clear()
    assert run(then, runtime).manifest["taken"] == {}
    assert len(MADE) == 20


def test_rows_are_taken_from_several_artifacts_and_by_shares(runtime: Runtime, tmp_path: Path) -> None:
    run(node(0, 6), runtime)
    run(node(8, 6), runtime)
    MADE.clear()
    then = node(0, 16)
    run(asked(0, 16), runtime)
    for number in range(3):
        execute_shard(then, number, 3, runtime)
    grown = run(then, runtime)
    assert set(MADE) == {(f"q{i}", s) for i in (6, 7, 14, 15) for s in range(2)}
    assert len(MADE) == 8
    assert sorted(grown.manifest["taken"].values()) == [12, 12]
    assert grown.path("rows.parquet").read_bytes() == fresh(then, tmp_path)


def test_a_damaged_donor_is_noticed_and_its_rows_are_made_again(runtime: Runtime, tmp_path: Path) -> None:
    first = run(node(), runtime)
    rows = first.path("rows.parquet")
    content = bytearray(rows.read_bytes())
    content[len(content) // 2] ^= 1
    rows.write_bytes(content)
    MADE.clear()
    with pytest.warns(UserWarning, match="damaged artifact .*Set aside"):
        grown = run(node(count=12), Runtime(runtime.store.__class__(runtime.store.root)))
    assert len(MADE) == 24
    assert grown.path("rows.parquet").read_bytes() == fresh(node(count=12), tmp_path)


def test_what_failed_for_a_passing_reason_is_not_taken_over(runtime: Runtime) -> None:
    run(judged(node()), runtime)
    (runtime.store.root / "mended").touch()
    MADE.clear()
    grown = run(judged(node(count=11)), runtime)
    assert {name for name in MADE if name[0] != "q10"} == {("q1", 0), ("q1", 1)}
    assert set(grown.rows().column("verdict")) == {"correct"}


def test_rows_of_other_code_are_not_taken(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    run(node(), runtime)
    then = node(count=12)
    monkeypatch.setitem(then.__dict__, "code", "other")
    MADE.clear()
    run(then, runtime)
    assert len(MADE) == 24


def test_kill_9_in_the_middle_of_a_grown_stage_does_nothing_twice(runtime: Runtime, tmp_path: Path) -> None:
    root, then = runtime.store.root, slowly(asked(0, 600))
    run(slowly(asked(0, 200)), runtime)
    run(asked(0, 600), runtime)
    (root / "slow").touch()
    process = multiprocessing.get_context("spawn").Process(target=_run_slowly, args=(root, 600))
    process.start()
    parts = root / "slowly" / (runtime.keys.find(then) or "") / "parts"
    until(lambda: len(list(parts.glob("*.parquet"))) >= 2)  # what was taken over, and some of its own
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    kept = {row["id"] for path in parts.glob("*.parquet") for row in Rows([path])}
    assert 200 < len(kept) < 600
    (root / "slow").unlink()
    before = (root / "slowly.log").read_text().split()
    grown = run(then, runtime)
    again = (root / "slowly.log").read_text().split()[len(before) :]
    assert not kept & set(again), "a kept row was made again"
    assert sorted(set(before) | set(again)) == sorted(f"q{i}" for i in range(600))
    assert grown.path("rows.parquet").read_bytes() == fresh(then, tmp_path)


def test_two_processes_grow_one_artifact_once(runtime: Runtime) -> None:
    root = runtime.store.root
    run(slowly(asked(0, 50)), runtime)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_run_slowly, args=(root, 120)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted((root / "slowly.log").read_text().split()) == sorted(f"q{i}" for i in range(120))


def test_what_was_made_under_the_steps_own_name_is_looked_at_first(runtime: Runtime) -> None:
    """Where many artifacts are related, the one that has the rows may have the fewest."""
    run(node(0, 5).named("mine"), runtime)
    for number in range(20):
        run(node(100 * number + 100, 8).named(f"other {number}"), runtime)
    MADE.clear()
    assert run(node(0, 7).named("mine"), runtime).manifest["made"] == 4
    assert set(MADE) == {(f"q{i}", s) for i in (5, 6) for s in range(2)}
