"""What a person sees of a running stage in the Prefect UI: lines in its run's log, its tags, how far it is.

Nothing depends on what is shown: no stage fails, waits or slows down for a server that is busy or gone.
"""

import contextlib
import re
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from prefect import get_run_logger
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import MissingContextError
from prefect.states import Running
from prefect.utilities.engine import emit_task_run_state_change_event

from data.visible import visible
from flows.ui.background_sender import sender
from tasks.pipeline.runtime import Listener
from tasks.reporting.formatting import duration
from tasks.reporting.markdown import escaped
from tasks.storage.artifacts import Artifact

LINE_EVERY = 15.0
"""Seconds between lines about the progress of one stage."""
SHOWN_AFTER = 5.0
"""Seconds after which a stage has a progress artifact: short ones cost nothing."""
SHOWN_EVERY = 5.0
"""Seconds between updates of a progress artifact."""
NAMELESS = ("engine", "results")
"""Who says for itself what it speaks of. The lines of steps name them: the UI shows those of all steps as one log."""


@dataclass
class Watched:
    """A stage that runs: what was said of it last, and when there is more to say."""

    at_first: int | None = None
    """Rows there were when the first came: before it, an engine may have started and rows been found."""
    counting: float = 0.0
    """When that was."""
    line_due: float = 0.0
    shown_due: float = 0.0
    due: float = 0.0
    """The earlier of the two: what every finished row is held against."""
    shown: bool = False
    last: tuple[int, int] = (0, 0)
    unit: str = "rows"
    """What is counted."""


@dataclass
class Inspection:
    """Tells Prefect what the runtime's listener hears, and hands it on. Called from the threads the stages run in."""

    next: Listener | None = None
    _watched: dict[str, Watched] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: str, run: str, facts: dict[str, Any]) -> None:
        if self.next is not None:
            self.next(event, run, facts)
        if event == "progress":
            watched = self._watched.get(run)
            if watched is None:
                return
            if watched.at_first is None:
                watched.at_first, watched.counting = facts["done"], time.monotonic()
            watched.last, watched.unit = (facts["done"], facts["total"]), facts["unit"]
            if time.monotonic() < watched.due:
                return
        with contextlib.suppress(Exception):  # see the module's docstring
            self._tell(event, run, facts)

    def _tell(self, event: str, run: str, facts: dict[str, Any]) -> None:
        match event:
            case "start":
                now = time.monotonic()
                watched = Watched(line_due=now + LINE_EVERY, shown_due=now + SHOWN_AFTER, due=now + SHOWN_AFTER)
                with self._lock:
                    self._watched[run] = watched
                _show_tags()
            case "progress":
                self._progress(run)
            case "done":
                self._ended(run)
            case "note" | "log":
                line(facts["text"] if run in NAMELESS else f"{run}: {facts['text']}")
            case "failed":
                self._ended(run)
                line(f"{run} failed: {facts['text']}", error=True)

    def _progress(self, run: str) -> None:
        watched = self._watched[run]
        now = time.monotonic()
        text = how_far(watched.unit, *watched.last, watched.at_first or 0, now - watched.counting)
        if now >= watched.shown_due:
            watched.shown_due, watched.shown = now + SHOWN_EVERY, True
            self._show(run, watched.last, text)
        if now >= watched.line_due and watched.last[0] > (watched.at_first or 0):
            watched.line_due = now + LINE_EVERY
            line(f"{run}: {text}")
        watched.due = min(watched.line_due, watched.shown_due)

    def _ended(self, run: str) -> None:
        with self._lock:
            watched = self._watched.pop(run, None)
        if watched is not None and watched.shown:
            seconds = time.monotonic() - watched.counting
            self._show(run, watched.last, how_far(watched.unit, *watched.last, watched.at_first or 0, seconds))

    def _show(self, run: str, done_and_total: tuple[int, int], text: str) -> None:
        done, total = done_and_total
        key = f"{artifact_key(run)}-progress"
        description = f"{run}: {text}"
        made = shown_artifact("progress", key, round(100 * done / max(total, 1), 1), description)
        sender.keep_up(made.task_run_id or key, made)


def listener(next: Listener | None = None) -> Listener:
    """What a runtime under Prefect listens with; `next` hears everything too."""
    return Inspection(next)


def how_far(unit: str, done: int, total: int, at_first: int, seconds: float) -> str:
    """How far a stage is, how fast, and how long it will take, as far as that is known."""
    text = f"{done:,} of {total:,} {unit}"
    made = done - at_first
    if made <= 0 or seconds <= 0:
        return text
    rate = made / seconds
    text += f", {speed(rate, unit)}"
    return text if done >= total else f"{text}, about {duration((total - done) / rate)} left"


def speed(rate: float, unit: str) -> str:
    """Units a second, or a minute where they are few."""
    if rate < 1:
        return f"{60 * rate:.1f} {unit}/min"
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.1f} {unit}/s"


def shown_artifact(kind: str, key: str, data: Any, description: str = "") -> ArtifactCreate:
    """A Prefect artifact of the run this thread is in."""
    task_run, flow_run = TaskRunContext.get(), FlowRunContext.get()
    return ArtifactCreate(
        type=kind,
        key=key,
        data=visible(data) if isinstance(data, str) else data,
        description=escaped(description) or None,
        task_run_id=task_run.task_run.id if task_run else None,
        flow_run_id=_flow_run_id(task_run, flow_run),
    )


def _flow_run_id(task_run: TaskRunContext | None, flow_run: FlowRunContext | None) -> Any:
    if flow_run is not None and flow_run.flow_run is not None:
        return flow_run.flow_run.id
    return task_run.task_run.flow_run_id if task_run else None


def artifact_key(name: str) -> str:
    """A name as the key of an artifact, after the study's: the UI shows all artifacts of a key as one history."""
    return re.sub(r"[^a-z0-9]+", "-", f"{study()} {name}".lower()).strip("-")


def study() -> str:
    """The study that this thread's run is part of; empty outside a run."""
    flow_run = FlowRunContext.get()
    return flow_run.flow_run.name if flow_run is not None and flow_run.flow_run is not None else ""


def tag(tags: Collection[str]) -> None:
    """Give the task run of this thread its tags.

    Prefect asks its server for a free slot of every tag a task has before it begins, 0.2 s each time. A run's tags
    travel with every change of its state, so tags it is given once it runs cost nothing.
    """
    context = TaskRunContext.get()
    if context is not None:
        context.task_run.tags = sorted({*context.task_run.tags, *tags})


def _show_tags() -> None:
    """Have the server know the tags of a run that works now: the state it began with was sent before it had them."""
    context = TaskRunContext.get()
    if context is not None and context.task_run.tags and context.task_run.state is not None:
        now: State[Any] = Running(state_details=context.task_run.state.state_details)
        emit_task_run_state_change_event(context.task_run, context.task_run.state, now)


def tag_flow_run(tags: Iterable[str]) -> None:
    """Add tags to the flow run of this thread."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    run, all_tags = context.flow_run.id, sorted({*context.flow_run.tags, *tags})
    sender.send(lambda client: client.update_flow_run(run, tags=all_tags))


def outcome(artifact: Artifact, hit: bool) -> str:
    """How a step ended, in a line: what was made, how long it took, and where it is."""
    if hit:
        return f"found in the store: {artifact.folder}"
    rows, took = artifact.manifest["rows"], duration(artifact.manifest["seconds"])
    return f"{rows:,} rows in {took}: {artifact.folder}" if rows else f"{took}: {artifact.folder}"


def line(text: str, error: bool = False) -> None:
    """Say something in the log of this thread's run."""
    with contextlib.suppress(MissingContextError):  # a stage outside a run has no log
        log = get_run_logger()
        (log.error if error else log.info)("%s", visible(text))
