"""A plan's steps as Prefect tasks: what runs of each where it was sent, and how it is submitted."""

import contextlib
import functools
import socket
from collections.abc import Mapping
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.states import Completed
from prefect.tasks import Task, exponential_backoff
from pydantic import BaseModel

from flows.execution.executor import Executor, Step
from flows.ui import artifacts, run_log
from tasks.pipeline import runtime
from tasks.pipeline.execution import execute
from tasks.pipeline.sharding import execute_shard
from tasks.pipeline.stage import Stage
from tasks.resources import slots
from tasks.resources.errors import StageFailed, Transient


class Reference(BaseModel):
    """What a step hands to Prefect as its result: where the artifact is, never the data."""

    stage: str
    key: str
    made: bool = True
    """Whether this run made it, or found it."""
    rows: int | None = None
    seconds: float = 0.0
    """Its share of the slot it ran in."""
    tokens: int | None = None
    usd: float | None = None
    """What an API was paid."""


class Sent:
    """A step on its way to where it runs. Prefect finds nothing in it to look through, as it would in a dataclass."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.recipe = step.node.recipe
        """As the machine that planned it has it; another one works it out anew, of its own code."""


def run_step(sent: Sent) -> State[Any]:
    """Run one node where the task was sent, or find its artifact. The state is named "Cached" in the second case."""
    node, _ = opened(sent)
    with slots.of_study(run_log.study()):
        artifact, hit = execute(node, runtime.current(run_log.listener))
    if not hit:
        with contextlib.suppress(Exception):  # the artifact is complete: what is shown of it must not make it fail
            artifacts.show_step(node, artifact)
    reference = Reference(
        stage=node.stage.name,
        key=artifact.manifest["key"],
        made=not hit,
        rows=artifact.manifest["rows"],
        seconds=artifact.manifest["busy"],
        tokens=artifact.facts.get("tokens"),
        usd=artifact.facts.get("api_usd"),
    )
    # Prefect shows the message in the run's page and as the last line of its log.
    message = run_log.outcome(artifact, hit)
    return Completed(name="Cached" if hit else "Completed", message=message, data=reference)


def run_share(sent: Sent) -> State[Any]:
    """Make a share of one node's rows where the task was sent; the state's data is how many are finished."""
    node, share = opened(sent)
    assert share is not None
    with slots.of_study(run_log.study()):
        rows = execute_shard(node, share.number, share.of, runtime.current(run_log.listener))
    return Completed(message=f"{rows:,} rows", data=rows)


def opened(sent: Sent) -> Step:
    """The step that was sent, on the GPU that it was given; this machine must make of it what the planning one would.

    Raises:
        StageFailed: its code or its packages make another step of it.
    """
    node, recipe = sent.step.node, sent.recipe
    runtime.follow_gpus()
    run_log.tag(node.tags)
    if node.recipe != recipe:
        raise StageFailed(
            f"{socket.gethostname()} has other code for {node.run_name} than the machine that planned it ("
            f"{node.recipe[:12]}, not {recipe[:12]}): install the same version on both"
        )
    return sent.step


def is_retryable(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed run is tried again."""
    try:
        state.result()
    except Transient as error:
        runtime.current().listener("note", run.name, {"text": f"{error}; trying again"})
        return True
    except Exception:
        return False
    return False


@functools.cache
def prefect_task(stage: Stage, is_share: bool = False) -> Task[..., Any]:
    """The stage, or a share of its rows, as a Prefect task: named in the words of the chain, tried again where that
    can help."""
    return task(
        name=stage.name,
        retries=stage.retries,
        retry_delay_seconds=exponential_backoff(backoff_factor=2),
        retry_jitter_factor=0.5,
        retry_condition_fn=is_retryable,
        # Nothing is kept, so nothing is read: a record that somebody has put into Prefect's storage names its own
        # serializer, and both of Prefect's run what it says (pickle, and JSON by importing a function and calling it).
        # A retried run asks the store again, which checks digests.
        persist_result=False,
        result_serializer="json",
        cache_policy=NO_CACHE,
    )(run_share if is_share else run_step)


class PrefectExecutor(Executor):
    """Submits steps to the flow's task runner, under their own names."""

    def submit(self, step: Step, inputs: list[PrefectFuture[Any]], in_store: bool) -> PrefectFuture[Any]:
        task_of_stage = prefect_task(step.node.stage, step.share is not None)
        # Its tags are given where it runs: see `run_log.tag`.
        named = task_of_stage.with_options(task_run_name=step.run_name)
        future: PrefectFuture[Any] = named.submit(Sent(step), wait_for=self.waited_for(inputs))
        return future

    def waited_for(self, inputs: list[PrefectFuture[Any]]) -> list[Any]:
        """What Prefect draws as the step's inputs; they have ended."""
        return list(inputs)


class ThreadExecutor(PrefectExecutor):
    """Submits steps to threads of this process."""

    one_engine = True

    def __init__(self, limits: Mapping[str, int]) -> None:
        """`limits` are the most steps of each slot that are submitted at once."""
        self._limits = limits

    def limit(self, slot: str) -> int:
        return self._limits[slot]
