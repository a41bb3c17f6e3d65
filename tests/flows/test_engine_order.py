"""The order of engine steps: no model's engine starts twice where once is enough."""

from pathlib import Path

from flows.config.study_file import load
from flows.execution.engine_order import order
from flows.execution.scheduler import Scheduler
from flows.planning.plan import expand
from tasks.models.model import Model
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node, stage
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tests.flows.test_scheduler import Recorder

STUDENT, TEACHER = (Model(name, f"/{name}", "", name) for name in ("student", "teacher"))


@stage(slot="engine")
def asked(model: Model, name: str) -> list[Row]:
    return [{"id": name}]


@stage(slot="engine")
def asked_about(rows: Rows, model: Model, name: str) -> list[Row]:
    return [{"id": name}]


def study(last: Model) -> list[Node]:
    """Both models are asked at the beginning, `last` again about what the teacher said."""
    base, own = asked(STUDENT, "base").named("base"), asked(STUDENT, "own").named("own")
    taught = asked(TEACHER, "taught").named("taught")
    return [base, own, taught, asked_about(taught, last, "last").named("last")]


def run(nodes: list[Node], folder: Path, executor: Recorder) -> Scheduler:
    executor.limits["engine"] = 4
    scheduler = Scheduler(executor, Runtime(Store(folder)))
    scheduler.run(nodes)
    return scheduler


def test_a_model_that_is_needed_again_waits_for_the_others(tmp_path: Path) -> None:
    executor = Recorder()
    executor.one_engine = True
    run(study(STUDENT), tmp_path, executor)
    assert executor.order[0] == "asked taught"
    assert set(executor.order[1:]) == {"asked base", "asked own", "asked_about last"}


def test_where_engines_run_side_by_side_nothing_waits(tmp_path: Path) -> None:
    executor = Recorder()
    run(study(STUDENT), tmp_path, executor)
    assert executor.order == ["asked base", "asked own", "asked taught", "asked_about last"]


def test_what_is_waited_for_may_fail(tmp_path: Path) -> None:
    executor = Recorder(bad=frozenset({"asked taught"}))
    executor.one_engine = True
    nodes = study(STUDENT)
    scheduler = run(nodes, tmp_path, executor)
    assert executor.order == ["asked taught", "asked base", "asked own"]
    assert set(scheduler.failed) == {node.recipe for node in nodes[2:]}


def test_nothing_waits_where_all_models_or_none_are_needed_again() -> None:
    assert order([asked(STUDENT, "a"), asked(TEACHER, "b")])[1] == []
    a, b = asked(STUDENT, "a"), asked(TEACHER, "b")
    assert order([a, b, asked_about(a, TEACHER, "c"), asked_about(b, STUDENT, "d")]) == ([], [])


def test_the_bundled_study_has_its_teacher_first() -> None:
    plan = expand(load("abacus", ["seeds=[0]", "method.rank=8"]))
    first, then = order(plan.nodes)
    assert {node.run_name for node in first} == {f"generate teacher/abacus/{name}" for name in ("boxes", "choice")}
    assert {node.stage.name for node in then} == {"generate"}
    assert len(then) == 2 + 6
    (student,) = plan.study.models
    assert plan.adapter_ranks == {student: 8}
