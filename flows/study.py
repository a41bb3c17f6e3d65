"""The study flow: the plan's steps as Prefect tasks, ending in the verdict."""

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Failed

from data import allowed_paths
from data.errors import InputError
from data.visible import visible
from flows.config.schema import Study
from flows.config.study_file import checked
from flows.execution import runner, shutdown
from flows.execution.outcome import Outcome
from flows.execution.replanning import Remaining
from flows.execution.scheduler import Walk
from flows.planning import preflight, rendering_checks
from flows.planning.plan import Plan, expand
from flows.results import publishing, tracking
from flows.server import health
from flows.server.library_environment import quiet
from flows.ui import artifacts, run_log
from tasks.pipeline import runtime
from tasks.reporting.verdict_text import verdict_text
from tasks.resources import disk
from tasks.resources.errors import StageFailed, Transient
from tasks.storage.opening import open_store

last: Outcome | None = None
"""How this process's newest study has ended, known also where its Prefect server was gone by then."""


def _run_name() -> str:
    """What the flow run is called: as its study."""
    study = flow_run.parameters["study"]
    return str(study.name if isinstance(study, Study) else study.get("name", "study"))


@flow(name="study", flow_run_name=_run_name, persist_result=False, validate_parameters=False)
def study_flow(study: Study, strict: bool = False, folder: str = "") -> State[Any]:
    """Run a study to its report: the verdict, and every number it rests on.

    Args:
        study: what is compared: student, benchmarks, origins of the responses, method, seeds. `${NAME}` in
            the name of a file or model is the environment variable of the machine that runs the study; keys and
            passwords have no place here.
        strict: Start nothing more once a step has failed. Otherwise the other arms go on, and the report says what is
            missing.
        folder: Where relative paths in the study are looked up first; empty: where the run was started.

    Returns:
        State: Completed (called Cached where nothing had to be run) with an `Outcome`, or Failed with one line for
            each failed step and the `StudyFailed` that holds the outcome.
    """
    global last
    try:
        given = study if isinstance(study, Study) else _of_parameters(study, folder)
        with at_hand():
            last = _run(given, strict)
            health.wait()
            return last.state()
    except InputError as error:
        return Failed(message=visible(str(error)), data=error)


def _of_parameters(given: dict[str, Any], folder: str) -> Study:
    """The study of a run that a deployment made: whoever reaches the server may have written its parameters.

    Raises:
        InputError: one line with the parameter, the value and what is allowed.
    """
    allowed_paths.check_folder(folder)
    try:
        study = checked(given, Path(folder) if folder else None)
        preflight.check(study)
        return study
    except InputError as error:
        raise InputError(f"study.{error}") from None


def _run(study: Study, strict: bool) -> Outcome:
    plan = expand(study)
    rendering = rendering_checks.check(study, fetch=True)
    students = {tag for node in plan.nodes for tag in node.tags if tag.startswith("student:")}
    run_log.tag_flow_run([f"study:{study.name}", *students])
    outcome = Outcome(plan)
    for line in rendering:
        get_run_logger().info(line)
    started = time.monotonic()
    with runner.walk(strict) as walk:
        remaining = Remaining(plan, walk, runtime.current().store)
        remaining.go_on()
        outcome.missing = remaining.missing
        _to_the_end(remaining.plan, walk, outcome)
    outcome.ran, outcome.hits = len(walk.done) - walk.hits, walk.hits
    outcome.failed = remaining.failed
    outcome.wrong_input = next((str(error) for error in walk.errors if isinstance(error, InputError)), None)
    foreseen = (StageFailed, Transient, InputError)
    outcome.bug = next((error for error in walk.errors if not isinstance(error, foreseen)), None)
    if outcome.compared is not None and outcome.report is not None:
        try:
            outcome.published = publishing.publish(remaining.plan, outcome.compared, outcome.report, outcome.failed)
        except StageFailed as error:
            outcome.failed["results"] = str(error)
    if outcome.published is not None:

        def tracked(text: str) -> None:
            run_log.line(text)
            runtime.current().listener("note", "results", {"text": text})

        tracking.track(outcome.published.parent, tracked)
    run_log.line(f"{outcome.counts}, {time.monotonic() - started:.0f} s")
    if outcome.compared is not None and outcome.published is not None:
        with contextlib.suppress(Exception):  # as in `run_step`
            spent = [walk.futures[node.key].result().model_dump() for node in plan.nodes if node.key in walk.done]
            artifacts.show_study(study.name, outcome.compared, outcome.published, spent)
        run_log.line(f"{verdict_text(outcome.compared.folder)}\n\nReport: {outcome.published.absolute()}")
    if outcome.bug is not None:
        get_run_logger().error("an error that no stage foresees", exc_info=outcome.bug)
    return outcome


@contextlib.contextmanager
def at_hand() -> Iterator[None]:
    """What stages need, where nobody has set it: on a worker, a runtime from the environment; it ends with the run."""
    with shutdown.on(signal.SIGTERM):
        if runtime.is_set():
            yield
            return
        quiet()
        store = open_store()
        store.check()
        runtime.use(runtime.Runtime(store, listener=run_log.listener()))
        try:
            yield
        finally:
            runtime.current().close()
            runtime.use(None)


def _to_the_end(plan: Plan, walk: Walk, outcome: Outcome) -> None:
    """The comparison and the report over what there is, if there is any arm."""
    any_arm = any(node.key in walk.done for cell, node in plan.cells.items() if cell.trained)
    if not any_arm or (walk.strict and walk.failed):
        return
    compared, page = plan.conclusion(walk.failed, {cell: str(loss) for cell, loss in outcome.missing.items()})
    walk.through([compared, page])
    store = runtime.current().store
    try:
        with disk.room(store.root):
            found = [store.open(node.stage.name, node.key) for node in (compared, page) if node.key in walk.done]
    except (Transient, StageFailed) as error:
        walk.failure(page, error)
        return
    if len(found) == 2:
        outcome.compared, outcome.report = found
