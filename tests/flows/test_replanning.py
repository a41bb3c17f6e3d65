"""A plan some of whose steps fail: the other arms go on among themselves, and each missing cell has its reason."""

from collections.abc import Callable, Collection
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data.errors import InputError
from flows.config.study_file import load
from flows.execution.executor import LOOKUP, Executor, Step
from flows.execution.replanning import Replanning
from flows.execution.scheduler import Scheduler
from flows.planning.plan import Plan, expand
from tasks.comparison.cell import UNTRAINED
from tasks.pipeline.artifact_keys import ArtifactKeys
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Artifact, Store
from tasks.storage.rows import Rows

STUDY = [
    *("train=[abacus/ledger, abacus/boxes]", "evaluate=[abacus/ledger, abacus/boxes, abacus/clock]"),
    *("seeds=[0, 1]", "questions.train=12", "questions.evaluate=4"),
]


class Finished(Future[Any]):
    state = SimpleNamespace(name="Completed")


class Fewer(ArtifactKeys):
    """Knows of no artifacts but of scored responses: so many correct ones of each origin."""

    def __init__(self, store: Store, correct: dict[str, int]) -> None:
        super().__init__(store)
        self._correct = correct

    def open(self, node: Node) -> Artifact | None:
        count = self._correct.get(node.label.split("/")[0], 12)
        rows = [{"id": str(i), "sample": 0, "verdict": "correct", "response": "x"} for i in range(count)]
        found = Artifact(Path(), {})
        object.__setattr__(found, "rows", lambda: Rows.of(rows))
        return found


class Failing(Executor):
    """Runs nothing: steps of these names fail, and selections from origins with too few responses; others succeed."""

    def __init__(self, bad: tuple[str, ...], few: Collection[str], error: type[Exception]) -> None:
        self.order: list[str] = []
        self._bad, self._few, self._error = bad, few, error

    def limit(self, slot: str) -> int:
        return {"cpu": 2, "trainer": 1, "engine": 1, LOOKUP: 4}[slot]

    def submit(self, step: Step, inputs: list[Any], in_store: bool) -> Any:
        node = step.node
        self.order.append(node.run_name)
        future = Finished()
        short = node.stage.name == "select" and any(origin in self._few for origin in node.inputs["verdicts"])
        if node.run_name in self._bad or short:
            future.set_exception(self._error(f"{node.run_name} is broken"))
        else:
            future.set_result(None)
        return future


Replanned = Callable[..., tuple[Plan, Replanning, list[str]]]


@pytest.fixture
def replanned(tmp_path: Path) -> Replanned:
    """The whole plan, what is left of it when steps of these names fail, and the order in which steps were run."""

    def make(*bad: str, few: dict[str, int] | None = None, strict: bool = False, error: Any = StageFailed) -> Any:
        runtime = Runtime(Store(tmp_path))
        runtime.keys = Fewer(runtime.store, few or {})
        executor = Failing(bad, few or {}, error)
        whole = expand(load("abacus", STUDY))
        replanning = Replanning(whole, Scheduler(executor, runtime, strict))
        replanning.run()
        return whole, replanning, executor.order

    return make


def origins(plan: Plan, train: str) -> set[str]:
    return {cell.origin for cell in plan.cells if cell.train_benchmark == train}


def test_nothing_is_planned_anew_where_nothing_fails(replanned: Replanned) -> None:
    whole, replanning, order = replanned()
    assert replanning.plan.conclusion()[1].recipe == whole.conclusion()[1].recipe
    assert replanning.missing == {}
    assert len(order) == len(set(order)) == len(whole.nodes) - 2


def test_a_lost_origin_takes_only_its_own_arms(replanned: Replanned) -> None:
    whole, replanning, order = replanned("generate teacher/abacus/boxes")
    assert origins(replanning.plan, "abacus/boxes") == {"human", "self"}
    assert origins(replanning.plan, "abacus/ledger") == {"human", "self", "teacher"}
    lost = replanning.missing
    assert {(cell.origin, cell.train_benchmark) for cell in lost} == {("teacher", "abacus/boxes")}
    assert len(lost) == 2 * 3
    assert {failure.sentence for failure in lost.values()} == {
        "generate teacher/abacus/boxes failed: generate teacher/abacus/boxes is broken"
    }
    assert "finetune self/abacus/boxes seed 1" in order
    skipped = [name for name in replanning.failed if name != "generate teacher/abacus/boxes"]
    assert all("teacher/abacus/boxes" in name for name in skipped), skipped
    assert len(order) == len(set(order)), "a step was done twice"
    assert len(whole.cells) == len(replanning.plan.cells) + len(lost)


def test_a_failed_finetuning_takes_one_seed(replanned: Replanned) -> None:
    _, replanning, _ = replanned("finetune self/abacus/boxes seed 1", "attest human/abacus/ledger seed 0")
    lost = {(cell.origin, cell.train_benchmark, cell.seed) for cell in replanning.missing}
    assert lost == {("self", "abacus/boxes", 1), ("human", "abacus/ledger", 0)}
    assert {failure.step for failure in replanning.missing.values()} == {
        *("finetune self/abacus/boxes seed 1", "attest human/abacus/ledger seed 0")
    }


def test_an_origin_with_too_few_responses_is_left_out_by_the_selection(replanned: Replanned) -> None:
    _, replanning, order = replanned(few={"self": 3})
    assert origins(replanning.plan, "abacus/boxes") == origins(replanning.plan, "abacus/ledger") == {"human", "teacher"}
    assert "finetune teacher/abacus/boxes seed 0" in order
    missing = replanning.missing.items()
    assert {failure.reason for cell, failure in missing if cell.train_benchmark == "abacus/boxes"} == {
        "self has 3 questions with a response that may be taken, at least 10 are needed (match.minimum)"
    }


def test_without_a_benchmark_that_cannot_be_read_the_rest_still_passes_the_leak_gate(
    replanned: Replanned,
) -> None:
    whole, replanning, order = replanned("questions abacus/boxes train", "questions abacus/clock test")
    assert {cell.train_benchmark for cell in replanning.plan.cells} == {"", "abacus/ledger"}
    assert {cell.eval_benchmark for cell in replanning.plan.cells} == {"abacus/ledger", "abacus/boxes"}
    check = replanning.plan.checks[-1]
    assert set(check.inputs["train"]) == {"abacus/ledger"}
    assert order.index(check.run_name) < order.index("generate self/abacus/ledger")
    assert len(whole.cells) == len(replanning.plan.cells) + len(replanning.missing)
    assert {failure.step for failure in replanning.missing.values()} == {
        *("questions abacus/boxes train", "questions abacus/clock test")
    }


def test_nothing_costly_starts_after_a_leak_or_without_questions(replanned: Replanned) -> None:
    _, replanning, order = replanned("leak abacus", error=InputError)
    assert not any(name.startswith(("generate", "finetune", "evaluate")) for name in order)
    assert len(replanning.missing) > 0
    _, replanning, order = replanned("questions abacus/clock test", error=InputError)
    assert not any(name.startswith(("generate", "finetune", "evaluate")) for name in order), "the study file is wrong"
    _, replanning, order = replanned("questions abacus/boxes train", "questions abacus/ledger train")
    assert not any(name.startswith(("generate", "finetune", "evaluate")) for name in order)
    assert all(
        cell.origin == UNTRAINED or failure.step.endswith(" train") for cell, failure in replanning.missing.items()
    )


def test_a_strict_run_starts_nothing_after_a_failure(replanned: Replanned) -> None:
    _, replanning, order = replanned("generate teacher/abacus/boxes", strict=True)
    assert not any(name.startswith("finetune") for name in order)
    assert "select abacus/boxes" not in order
    assert replanning.missing
