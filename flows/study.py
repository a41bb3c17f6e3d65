"""The study flow: the plan's steps as Prefect tasks, each submitted when its inputs are there and a slot is free."""

import queue
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task, exponential_backoff
from prefect.utilities.annotations import quote
from pydantic import BaseModel

from data.errors import InputError
from flows.plan import Plan, expand
from flows.schema import Study
from tasks import runtime
from tasks.cell import UNTRAINED
from tasks.errors import StageFailed, Transient
from tasks.report import main_table, verdict_markdown
from tasks.stage import Node, Stage, execute
from tasks.store import Artifact

SLOTS = {"cpu": 2, "engine": 24}
"""Stages at once by what they occupy; trainers are set by the placement."""


class Reference(BaseModel):
    """What Prefect keeps as a step's result: where the artifact is, never the data."""

    stage: str
    key: str
    rows: int | None = None
    seconds: float = 0.0


@dataclass
class Outcome:
    """How a study ended."""

    plan: Plan
    report: Artifact | None = None
    compared: Artifact | None = None
    ran: int = 0
    hits: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Why each failed or skipped step has no artifact, by run name."""
    wrong_input: str | None = None


def run_step(node: Node) -> State[Any]:
    """Run one node where the task was sent, or find its artifact. The state is named "Cached" in the second case."""
    artifact, hit = execute(node, runtime.current())
    reference = Reference(
        stage=node.stage.name,
        key=node.key,
        rows=artifact.manifest["rows"],
        seconds=artifact.manifest["seconds"],
    )
    if not hit:
        _show(node, artifact)
    return Completed(name="Cached" if hit else "Completed", data=reference)


def _show(node: Node, artifact: Artifact) -> None:
    """Leave what a person would look for in the Prefect UI."""
    facts = {name: value for name, value in artifact.facts.items() if isinstance(value, str | int | float)}
    if node.stage.name in {"verify", "score", "select", "finetune"} and facts:
        row = {key: round(value, 4) if isinstance(value, float) else value for key, value in facts.items()}
        create_table_artifact([row], key=_artifact_key(node), description=f"{node.run_name}: {artifact.folder}")


def _artifact_key(node: Node) -> str:
    plain = "".join(c if c.isalnum() else "-" for c in node.run_name.lower())
    return "-".join(filter(None, plain.split("-")))


def prefect_task(stage: Stage) -> Task[..., Any]:
    """The stage as a Prefect task: named in the words of the chain, tried again where that can help."""

    def may_pass(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
        try:
            state.result()
        except Transient as error:
            runtime.current().listener("note", run.name, {"text": f"{error}; trying again"})
            return True
        except Exception:
            return False
        return False

    return task(
        name=stage.name,
        retries=stage.retries,
        retry_delay_seconds=exponential_backoff(backoff_factor=2),
        retry_jitter_factor=0.5,
        retry_condition_fn=may_pass,
        persist_result=True,
        cache_policy=NO_CACHE,
    )(run_step)


@dataclass
class _Walk:
    """A plan on its way through the task runner."""

    limits: Mapping[str, int]
    tasks: dict[str, Task[..., Any]] = field(default_factory=dict)
    futures: dict[str, PrefectFuture[Any]] = field(default_factory=dict)
    done: dict[str, Reference] = field(default_factory=dict)
    hits: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """By key."""
    names: dict[str, str] = field(default_factory=dict)
    error: BaseException | None = None

    def any_arm(self, plan: Plan) -> bool:
        """Whether at least one adapter was evaluated."""
        return any(node.key in self.done for cell, node in plan.cells.items() if cell.origin != UNTRAINED)

    def _ready(self, node: Node) -> bool:
        return all(needed.key in self.done for needed in node.upstream)

    def through(self, nodes: list[Node]) -> None:
        """Run these nodes; those whose inputs fail are left out, with the reason."""
        waiting = [node for node in nodes if node.key not in self.done and node.key not in self.failed]
        finished: queue.SimpleQueue[Node] = queue.SimpleQueue()
        running: Counter[str] = Counter()
        while waiting or running.total():
            waiting = self._submit(waiting, running, finished)
            if running.total():
                node = finished.get()
                running[node.stage.slot] -= 1
                self._settle(node)
                if not running["engine"] and not any(
                    self._ready(node) for node in waiting if node.stage.slot == "engine"
                ):
                    # Trainers get the engine's memory; it starts again in seconds.
                    runtime.current().engines_if_any(lambda engines: engines.release())

    def _submit(self, waiting: list[Node], running: Counter[str], finished: "queue.SimpleQueue[Node]") -> list[Node]:
        held: list[Node] = []
        for node in waiting:
            lost = next((needed for needed in node.upstream if needed.key in self.failed), None)
            if lost is not None:
                self.failed[node.key] = f"not run, since {lost.run_name} failed"
                self.names[node.key] = node.run_name
            elif running[node.stage.slot] < self.limits[node.stage.slot] and self._ready(node):
                running[node.stage.slot] += 1
                made = self.tasks.setdefault(node.stage.name, prefect_task(node.stage))
                future = made.with_options(task_run_name=node.run_name, tags=list(node.tags)).submit(
                    quote(node), wait_for=[self.futures[needed.key] for needed in node.upstream]
                )
                self.futures[node.key] = future
                future.add_done_callback(lambda _, node=node: finished.put(node))  # type: ignore[misc]
            else:
                held.append(node)
        return held

    def _settle(self, node: Node) -> None:
        state = self.futures[node.key].state
        try:
            reference = self.futures[node.key].result()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self.failed[node.key] = str(error) or type(error).__name__
            self.names[node.key] = node.run_name
            self.error = self.error or error
            runtime.current().listener("failed", node.run_name, {"text": str(error)})
            return
        self.done[node.key] = reference
        self.hits += state.name == "Cached"


@flow(name="study", flow_run_name="{name}", persist_result=False, validate_parameters=False)
def study_flow(name: str, study: Study, strict: bool = False) -> Outcome:
    """Run a study to its report. A failed arm is left out and listed, unless `strict`."""
    plan = expand(study)
    outcome = Outcome(plan)
    started = time.monotonic()
    walk = _Walk({**SLOTS, "trainer": runtime.current().placement.trainers})
    walk.through(list(plan.gates))
    if not walk.failed:
        compared, page = plan.conclusion()
        walk.through([node for node in plan.nodes if node.key not in (compared.key, page.key)])
        if walk.failed and not strict and walk.any_arm(plan):
            compared, page = plan.conclusion(walk.failed)
        if not walk.failed or not strict:
            walk.through([compared, page])
        store = runtime.current().store
        outcome.compared = store.open(compared.stage.name, compared.key)
        outcome.report = store.open(page.stage.name, page.key)
    outcome.ran, outcome.hits = len(walk.done) - walk.hits, walk.hits
    outcome.failed = {walk.names[key]: why for key, why in walk.failed.items()}
    if isinstance(walk.error, InputError):
        outcome.wrong_input = str(walk.error)
    if outcome.compared is not None:
        create_markdown_artifact(verdict_markdown(outcome.compared), key="verdict", description=f"Verdict of {name}")
        create_table_artifact(main_table(outcome.compared), key="summary", description=f"Every cell of {name}")
    get_run_logger().info(
        "%d stages run, %d found in the store, %d failed, %.0f s",
        outcome.ran,
        outcome.hits,
        len(outcome.failed),
        time.monotonic() - started,
    )
    if walk.error is not None and not isinstance(walk.error, StageFailed | Transient | InputError):
        raise walk.error
    return outcome


def task_runner(placement: runtime.Placement) -> Any:
    """Threads enough for every slot: a step waits for an engine or a trainer process, not for a core."""
    return ThreadPoolTaskRunner(max_workers=sum(SLOTS.values()) + placement.trainers)
