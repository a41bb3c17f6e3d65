"""The study flow: the plan's steps as Prefect tasks, ending in the verdict."""

import contextlib
import functools
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
from flows.execution import runner, session, shutdown
from flows.execution.failure import Failure
from flows.execution.options import RunOptions
from flows.execution.outcome import Outcome
from flows.execution.replanning import Replanning
from flows.execution.scheduler import Scheduler
from flows.execution.session import Session
from flows.pilot import rungs
from flows.pilot.pilot import Pilot
from flows.planning import preflight, rendering_checks
from flows.planning.plan import Plan, expand
from flows.results import publishing, recording, tracking
from flows.server import health, library_environment
from flows.ui import artifacts, run_log
from tasks.pipeline.runtime import Runtime
from tasks.reporting.verdict_text import verdict_text
from tasks.resources import disk
from tasks.resources.errors import StageFailed, Transient
from tasks.storage.opening import open_store


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
    try:
        given = study if isinstance(study, Study) else _of_parameters(study, folder)
        with _session(strict) as run:
            run.outcome = _run(given, run)
            health.wait_for_server()
            return run.outcome.state()
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


def _run(study: Study, run: Session) -> Outcome:
    """Run a study's plan, publish what came of it, and say so in the flow run's log."""
    plan = expand(study)
    rendering = rendering_checks.check(study, fetch=True)
    students = {tag for node in plan.nodes for tag in node.tags if tag.startswith("student:")}
    run_log.tag_flow_run([f"study:{study.name}", *students, *(["pilot"] if run.pilot else [])])
    outcome = Outcome(plan)
    for line in rendering:
        get_run_logger().info(line)
    run.runtime.adapter_ranks = plan.adapter_ranks
    started = time.monotonic()
    with (
        recording.recorded(plan, run.runtime.store, run.runtime.keys) as reached,
        runner.scheduler(run.options, run.runtime) as scheduler,
    ):
        scheduler.reached = lambda node, result: reached.add(node.stage.name, result.key)
        pilot = None
        if run.pilot is not None:
            of = rungs.chosen(study, plan, run.pilot.spend)
            pilot = Pilot(plan, of, run.pilot, functools.partial(_note, run, "pilot"))
            plan = pilot.run(scheduler)
            outcome.plan = plan
        replanning = Replanning(plan, scheduler)
        replanning.run()
        outcome.missing = replanning.missing
        if pilot is not None:
            replanning.plan = pilot.finished(replanning.plan, scheduler)
            outcome.pilot = replanning.plan.pilot
        _conclude(replanning.plan, scheduler, outcome)
        reached.whole = pilot is None and not scheduler.failed
    outcome.ran, outcome.hits = len(scheduler.done) - scheduler.hits, scheduler.hits
    outcome.failed = replanning.failed
    outcome.wrong_input = next((str(error) for error in scheduler.errors if isinstance(error, InputError)), None)
    foreseen = (StageFailed, Transient, InputError)
    outcome.bug = next((error for error in scheduler.errors if not isinstance(error, foreseen)), None)
    _publish(replanning.plan, outcome, run)
    run_log.line(f"{outcome.counts}, {time.monotonic() - started:.0f} s")
    if outcome.compared is not None and outcome.published is not None:
        with contextlib.suppress(Exception):  # as in `run_step`
            done = [node for node in plan.nodes if node.recipe in scheduler.done]
            spent = [scheduler.futures[node.recipe].result().model_dump() for node in done]
            artifacts.show_study(study.name, outcome.compared, outcome.published, spent)
        run_log.line(f"{verdict_text(outcome.compared.folder)}\n\nReport: {outcome.published.absolute()}")
    if outcome.bug is not None:
        get_run_logger().error("an error that no stage foresees", exc_info=outcome.bug)
    return outcome


def _publish(plan: Plan, outcome: Outcome, run: Session) -> None:
    """Put the results, if there are any, into the study's folder, and hand them to the tracker that is asked for."""
    if outcome.compared is None or outcome.report is None:
        return
    reasons = {name: str(failure) for name, failure in outcome.failed.items()}
    try:
        outcome.published = publishing.publish(plan, outcome.compared, outcome.report, reasons, run.runtime.keys)
    except StageFailed as error:
        outcome.failed["results"] = Failure("results", str(error))
        return

    tracking.track(run.options.tracker, outcome.published.parent, functools.partial(_note, run, "results"))


def _note(run: Session, where: str, text: str) -> None:
    """One line for the person watching, and for who reads the log of the flow run."""
    run_log.line(text)
    run.runtime.listener("note", where, {"text": text})


@contextlib.contextmanager
def _session(strict: bool) -> Iterator[Session]:
    """The session that a command has started; on a worker, one made from the environment, which ends with the run."""
    with shutdown.on_signal(signal.SIGTERM):
        if (begun := session.current()) is not None:
            yield begun
            return
        library_environment.apply()
        store = open_store()
        store.check()
        with session.started(RunOptions.of(strict), Runtime(store, listener=run_log.listener())) as made:
            yield made


def _conclude(plan: Plan, scheduler: Scheduler, outcome: Outcome) -> None:
    """Make the comparison and the report over what there is, if there is any arm."""
    any_arm = any(node.recipe in scheduler.done for cell, node in plan.cells.items() if cell.trained)
    if not any_arm or (scheduler.strict and scheduler.failed):
        return
    reasons = {cell: failure.sentence for cell, failure in outcome.missing.items()}
    compared, page = plan.conclusion(scheduler.failed, reasons)
    scheduler.run([compared, page])
    store = scheduler.runtime.store
    try:
        with disk.errors_reported(store.root):
            made = [
                store.open(node.stage.name, scheduler.futures[node.recipe].result().key)
                for node in (compared, page)
                if node.recipe in scheduler.done
            ]
    except (Transient, StageFailed) as error:
        scheduler.fail(page, error)
        return
    if len(made) == 2:
        outcome.compared, outcome.report = made
