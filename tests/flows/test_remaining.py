"""A plan some of whose steps fail: the other arms go on among themselves, and each lost cell has its reason."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data.errors import InputError
from flows.config.study_file import load
from flows.execution.replanning import Remaining
from flows.execution.scheduler import Step, Walk
from flows.planning.plan import Plan, expand
from tasks.comparison.cell import UNTRAINED
from tasks.pipeline import runtime
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Artifact, Store
from tasks.storage.rows import Rows

STUDY = [
    *("train=[abacus/ledger, abacus/boxes]", "evaluate=[abacus/ledger, abacus/boxes, abacus/clock]"),
    *("seeds=[0, 1]", "questions.train=12", "questions.evaluate=4"),
]


class Finished(Future[Any]):
    state = SimpleNamespace(name="Completed")


class Fewer(Store):
    """Knows of no artifacts but of scored responses: so many correct ones of each origin."""

    def __init__(self, root: Path, correct: dict[str, int]) -> None:
        super().__init__(root)
        self._correct = correct
        self.labels: dict[str, str] = {}

    def open(self, stage: str, key: str) -> Artifact | None:
        count = self._correct.get(self.labels[key].split("/")[0], 12)
        rows = [{"id": str(i), "sample": 0, "verdict": "correct", "response": "x"} for i in range(count)]
        found = Artifact(Path(), {})
        object.__setattr__(found, "rows", lambda: Rows.of(rows))
        return found


Went = Callable[..., tuple[Plan, Remaining, list[str]]]


@pytest.fixture
def went(tmp_path: Path) -> Went:
    """What remains of the study when steps of these names fail; others end at once and make nothing."""

    def make(*bad: str, few: dict[str, int] | None = None, strict: bool = False, error: Any = StageFailed) -> Any:
        store = Fewer(tmp_path, few or {})
        runtime.use(runtime.Runtime(Store(tmp_path)))
        order: list[str] = []

        def submit(step: Step, inputs: list[Any], found: bool) -> Any:
            node = step.node
            store.labels[node.key] = node.label
            order.append(node.run_name)
            future = Finished()
            short = node.stage.name == "select" and any(origin in (few or {}) for origin in node.inputs["verdicts"])
            if node.run_name in bad or short:
                future.set_exception(error(f"{node.run_name} is broken"))
            else:
                future.set_result(None)
            return future

        whole = expand(load("abacus", STUDY))
        walk = Walk(submit, {"cpu": 2, "trainer": 1, "engine": 1, "found": 4}.__getitem__, strict)
        remaining = Remaining(whole, walk, store)
        remaining.go_on()
        return whole, remaining, order

    return make


def origins(plan: Plan, train: str) -> set[str]:
    return {cell.origin for cell in plan.cells if cell.train_benchmark == train}


def test_nothing_is_planned_anew_where_nothing_fails(went: Went) -> None:
    whole, remaining, order = went()
    assert remaining.plan.conclusion()[1].key == whole.conclusion()[1].key
    assert remaining.missing == {}
    assert len(order) == len(set(order)) == len(whole.nodes) - 2


def test_a_lost_origin_takes_only_its_own_arms(went: Went) -> None:
    whole, remaining, order = went("generate teacher/abacus/boxes")
    assert origins(remaining.plan, "abacus/boxes") == {"human", "self"}
    assert origins(remaining.plan, "abacus/ledger") == {"human", "self", "teacher"}
    lost = remaining.missing
    assert {(cell.origin, cell.train_benchmark) for cell in lost} == {("teacher", "abacus/boxes")}
    assert len(lost) == 2 * 3
    assert {str(loss) for loss in lost.values()} == {
        "generate teacher/abacus/boxes failed: generate teacher/abacus/boxes is broken"
    }
    assert "finetune self/abacus/boxes seed 1" in order
    skipped = [name for name in remaining.failed if name != "generate teacher/abacus/boxes"]
    assert all("teacher/abacus/boxes" in name for name in skipped), skipped
    assert len(order) == len(set(order)), "a step was done twice"
    assert len(whole.cells) == len(remaining.plan.cells) + len(lost)


def test_a_failed_finetuning_takes_one_seed(went: Went) -> None:
    _, remaining, _ = went("finetune self/abacus/boxes seed 1", "attest human/abacus/ledger seed 0")
    lost = {(cell.origin, cell.train_benchmark, cell.seed) for cell in remaining.missing}
    assert lost == {("self", "abacus/boxes", 1), ("human", "abacus/ledger", 0)}
    assert {loss.step for loss in remaining.missing.values()} == {
        *("finetune self/abacus/boxes seed 1", "attest human/abacus/ledger seed 0")
    }


def test_an_origin_with_too_few_responses_is_left_out_by_the_selection(went: Went) -> None:
    _, remaining, order = went(few={"self": 3})
    assert origins(remaining.plan, "abacus/boxes") == origins(remaining.plan, "abacus/ledger") == {"human", "teacher"}
    assert "finetune teacher/abacus/boxes seed 0" in order
    assert {loss.why for cell, loss in remaining.missing.items() if cell.train_benchmark == "abacus/boxes"} == {
        "self has 3 questions with a response that may be taken, at least 10 are needed (match.minimum)"
    }


def test_a_benchmark_that_cannot_be_read_is_left_out_and_the_rest_still_passes_the_leak_gate(went: Went) -> None:
    whole, remaining, order = went("questions abacus/boxes train", "questions abacus/clock test")
    assert {cell.train_benchmark for cell in remaining.plan.cells} == {"", "abacus/ledger"}
    assert {cell.eval_benchmark for cell in remaining.plan.cells} == {"abacus/ledger", "abacus/boxes"}
    gate = remaining.plan.gates[-1]
    assert set(gate.inputs["train"]) == {"abacus/ledger"}
    assert order.index(gate.run_name) < order.index("generate self/abacus/ledger")
    assert len(whole.cells) == len(remaining.plan.cells) + len(remaining.missing)
    assert {loss.step for loss in remaining.missing.values()} == {
        *("questions abacus/boxes train", "questions abacus/clock test")
    }


def test_nothing_costly_starts_after_a_leak_or_without_questions(went: Went) -> None:
    _, remaining, order = went("leak abacus", error=InputError)
    assert not any(name.startswith(("generate", "finetune", "evaluate")) for name in order)
    assert len(remaining.missing) > 0
    _, remaining, order = went("questions abacus/clock test", error=InputError)
    assert not any(name.startswith(("generate", "finetune", "evaluate")) for name in order), "the study file is wrong"
    _, remaining, order = went("questions abacus/boxes train", "questions abacus/ledger train")
    assert not any(name.startswith(("generate", "finetune", "evaluate")) for name in order)
    assert all(cell.origin == UNTRAINED or loss.step.endswith(" train") for cell, loss in remaining.missing.items())


def test_a_strict_walk_starts_nothing_after_a_failure(went: Went) -> None:
    _, remaining, order = went("generate teacher/abacus/boxes", strict=True)
    assert not any(name.startswith("finetune") for name in order)
    assert "select abacus/boxes" not in order
    assert remaining.missing
