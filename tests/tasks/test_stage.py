"""The stage contract: keys, resume, one at a time, damage."""

import errno
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import pytest

from tasks.models.model import Model
from tasks.pipeline.artifact_keys import ArtifactKeys
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Artifact, Store
from tasks.storage.external_sort import write_run
from tasks.storage.rows import Row, Rows, to_table
from tests.waiting import until

CALLS: list[str] = []
Source = TypeVar("Source")


@stage()
def numbers(count: int, scale: float = 1.0) -> list[Row]:
    return [{"id": f"n{i}", "value": i * scale} for i in range(count)]


@stage(per_row=True)
def doubled(rows: Rows, *, work: Work) -> Iterator[Row]:
    for row in sorted(rows, key=lambda row: -row["value"]):  # finishes in another order than it came
        CALLS.append(row["id"])
        if (work.runtime.store.root / f"break-{row['id']}").exists():
            raise RuntimeError("broken on purpose")
        yield row | {"doubled": 2 * row["value"]}


@stage(per_row=True)
def sampled(rows: Rows, n: int) -> Iterator[list[Row]]:
    for row in rows:
        yield [row | {"sample": i} for i in reversed(range(n))]


@stage()
def total(rows: dict[str, Rows], *, work: Work) -> None:
    (work.folder / "total.txt").write_text(str(sum(sum(r.column("doubled")) for r in rows.values())))


@dataclass(frozen=True)
class Beside(Generic[Source]):
    """A source under a name, as rows or as an artifact."""

    name: str
    source: Source


@dataclass(frozen=True)
class Many(Generic[Source]):
    each: tuple[Beside[Source], ...]


@stage()
def described(rows: tuple[Beside[Rows], ...], artifacts: Many[Artifact], *, work: Work) -> list[Row]:
    return [
        *({"name": one.name, "rows": len(one.source)} for one in rows),
        *({"name": one.name, "rows": one.source.manifest["rows"]} for one in artifacts.each),
    ]


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    CALLS.clear()
    return Runtime(Store(tmp_path / "store"))


def run(node: Node, runtime: Runtime) -> bool:
    for needed in node.upstream:
        run(needed, runtime)
    return execute(node, runtime)[1]


def test_a_call_describes_and_runs_nothing() -> None:
    node = doubled(numbers(3))
    assert CALLS == [] or "n0" not in CALLS
    assert node.run_name == "doubled"
    assert node.named("self/ledger", "origin:self").run_name == "doubled self/ledger"


def test_key_follows_values_inputs_and_defaults_but_not_names() -> None:
    assert doubled(numbers(3)).recipe == doubled(numbers(3).named("other")).recipe
    assert doubled(numbers(3)).recipe == doubled(numbers(3, 1.0)).recipe
    assert doubled(numbers(3)).recipe != doubled(numbers(4)).recipe
    assert numbers(3).recipe != numbers(3, 2.0).recipe
    assert total({"a": doubled(numbers(3))}).recipe != total({"b": doubled(numbers(3))}).recipe


def test_what_has_no_exact_encoding_is_refused() -> None:
    with pytest.raises(TypeError, match=r"numbers\.scale is a object"):
        _ = numbers(3, object()).recipe  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="finite"):
        _ = numbers(3, float("nan")).recipe


def test_rows_keep_the_order_of_their_source(runtime: Runtime) -> None:
    node = doubled(numbers(5))
    assert run(node, runtime) is False
    artifact = runtime.keys.open(node)
    assert artifact is not None
    assert artifact.rows().column("id") == [f"n{i}" for i in range(5)]
    assert artifact.rows().column("doubled") == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_second_run_finds_everything(runtime: Runtime) -> None:
    node = total({"a": doubled(numbers(3)), "b": doubled(numbers(4))})
    assert run(node, runtime) is False
    CALLS.clear()
    assert run(node, runtime) is True
    assert CALLS == []


def test_samples_of_a_row_come_together_and_in_order(runtime: Runtime) -> None:
    node = sampled(numbers(3), n=2)
    run(node, runtime)
    rows = runtime.keys.open(node).rows()  # type: ignore[union-attr]
    assert [(r["id"], r["sample"]) for r in rows] == [(f"n{i}", s) for i in range(3) for s in range(2)]


def test_a_failed_try_keeps_its_finished_rows(runtime: Runtime) -> None:
    node = doubled(numbers(5))
    run(numbers(5), runtime)
    obstacle = runtime.store.root / "break-n1"
    obstacle.touch()
    with pytest.raises(RuntimeError, match="on purpose"):
        run(node, runtime)
    assert not runtime.keys.has(node)
    assert CALLS == ["n4", "n3", "n2", "n1"]
    obstacle.unlink()
    CALLS.clear()
    run(node, runtime)
    assert CALLS == ["n1", "n0"]
    assert runtime.keys.open(node).rows().column("doubled") == [0.0, 2.0, 4.0, 6.0, 8.0]  # type: ignore[union-attr]


def test_a_part_that_cannot_be_read_is_made_again(runtime: Runtime) -> None:
    run(numbers(5), runtime)
    node = doubled(numbers(5))
    parts = runtime.store.folder("doubled", runtime.keys.find(node) or "") / "parts"
    parts.mkdir(parents=True)
    for index, (name, value) in enumerate([("n0", 0.0), ("n4", 4.0)]):
        made = to_table([{"id": name, "value": value, "doubled": 2 * value}])
        write_run(parts / f"{index:06d}.parquet", made, [4 * index])
    (parts / "000000.parquet").write_bytes(b"")  # as a power cut can leave it
    with pytest.warns(UserWarning, match="cannot be read"):
        run(node, runtime)
    assert CALLS == ["n3", "n2", "n1", "n0"]
    assert runtime.keys.open(node).rows().column("id") == [f"n{i}" for i in range(5)]  # type: ignore[union-attr]


def test_a_lost_input_is_made_again(runtime: Runtime) -> None:
    node = doubled(numbers(3))
    run(numbers(3), runtime)
    (runtime.store.folder("numbers", numbers(3).recipe) / "rows.parquet").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="Set aside"):
        execute(node, Runtime(Store(runtime.store.root)))
    assert runtime.keys.open(node) is not None


def test_a_full_disk_is_a_plain_failure_and_keeps_the_reason(runtime: Runtime) -> None:
    @stage()
    def full() -> list[Row]:
        raise OSError(errno.ENOSPC, "No space left on device", "rows.parquet")

    with pytest.raises(StageFailed, match=r"No space left on device \(rows\.parquet\): make room and run again"):
        run(full(), runtime)


def test_rows_left_out_are_a_failure(runtime: Runtime) -> None:
    @stage(per_row=True)
    def forgetful(rows: Rows) -> Iterator[Row]:
        yield from list(rows)[:-1]

    with pytest.raises(StageFailed, match="1 of 3 rows"):
        run(forgetful(numbers(3)), runtime)


@pytest.mark.parametrize("damage", ["flip", "remove", "manifest"])
def test_a_damaged_artifact_is_set_aside_and_made_again(runtime: Runtime, damage: str) -> None:
    node = numbers(20)
    run(node, runtime)
    folder = runtime.store.folder("numbers", node.recipe)
    rows = folder / "rows.parquet"
    whole = rows.read_bytes()
    match damage:
        case "flip":
            rows.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
        case "remove":
            rows.unlink()
        case "manifest":
            (folder / "manifest.json").write_text('{"files"')
    with pytest.warns(UserWarning, match="set aside|Set aside"):
        assert run(node, Runtime(Store(runtime.store.root))) is False
    assert rows.read_bytes() == whole
    assert len(list((runtime.store.root / "damaged").iterdir())) == 1


def test_no_manifest_no_artifact(runtime: Runtime) -> None:
    node = numbers(3)
    run(node, runtime)
    (runtime.store.folder("numbers", node.recipe) / "manifest.json").unlink()
    assert runtime.store.open("numbers", node.recipe) is None
    assert run(node, runtime) is False


@stage(per_row=True)
def slow(rows: Rows, *, work: Work) -> Iterator[Row]:
    for row in rows:
        with (work.runtime.store.root / "slow.log").open("a") as log:
            log.write(f"{row['id']}\n")
        time.sleep(0.01)
        yield row | {"done": True}


def _run_slow(root: Path, count: int) -> None:
    run(slow(numbers(count)), Runtime(Store(root)))


def test_kill_9_loses_no_kept_row_and_changes_no_byte(tmp_path: Path) -> None:
    root, count = tmp_path / "store", 600
    undisturbed = Runtime(Store(tmp_path / "undisturbed"))
    run(numbers(count), undisturbed)
    process = multiprocessing.get_context("spawn").Process(target=_run_slow, args=(root, count))
    process.start()
    node = slow(numbers(count))
    folder = root / "slow" / (undisturbed.keys.find(node) or "")
    parts = folder / "parts"
    until(lambda: list(parts.glob("*.parquet")))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    kept = {row["id"] for path in parts.glob("*.parquet") for row in Rows([path])}
    assert kept
    assert not ArtifactKeys(Store(root)).has(node)
    before = (root / "slow.log").read_text().split()
    run(node, Runtime(Store(root)))
    again = (root / "slow.log").read_text().split()[len(before) :]
    assert not kept & set(again), "a kept row was done again"
    assert len(set(before) & set(again)) <= 256
    run(slow(numbers(count)), undisturbed)
    other = undisturbed.keys.open(node)
    assert (folder / "rows.parquet").read_bytes() == other.path("rows.parquet").read_bytes()  # type: ignore[union-attr]


def test_two_runs_compute_a_key_once(tmp_path: Path) -> None:
    root = tmp_path / "store"
    run(numbers(30), Runtime(Store(root)))
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_run_slow, args=(root, 30)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert sorted((root / "slow.log").read_text().split()) == sorted(f"n{i}" for i in range(30))


def test_manifest_says_what_went_in(runtime: Runtime) -> None:
    node = numbers(3).named("three")
    run(node, runtime)
    manifest = json.loads((runtime.store.folder("numbers", node.recipe) / "manifest.json").read_text())
    assert manifest["ingredients"]["values"] == {"count": 3, "scale": 1.0}
    assert manifest["rows"] == 3
    assert manifest["label"] == "three"
    assert set(manifest["files"]) == {"rows.parquet"}


ONE_MODEL = Model("one", "one", "", content="abc")


@stage()
def rendered(model: Model, template: str, rows: Rows | None = None, *, work: Work) -> list[Row]:
    work.facts["template"] = template
    return [{"id": "1"}]


def test_one_model_is_rendered_one_way_in_a_study(runtime: Runtime) -> None:
    first = rendered(ONE_MODEL, "t1")
    run(rendered(ONE_MODEL, "t1", first), runtime)
    with pytest.raises(StageFailed, match="template t2, those of a stage before it by t1"):
        run(rendered(ONE_MODEL, "t2", first), runtime)


def test_a_record_holds_rows_or_artifacts_as_its_type_says(runtime: Runtime) -> None:
    node = described((Beside("a", numbers(2)),), Many((Beside("b", numbers(3)), Beside("c", numbers(4)))))  # type: ignore[arg-type]
    run(node, runtime)
    rows = execute(node, runtime)[0].rows()
    assert [(row["name"], row["rows"]) for row in rows] == [("a", 2), ("b", 3), ("c", 4)]
