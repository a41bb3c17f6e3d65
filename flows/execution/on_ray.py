"""A study's steps on a Ray cluster: each on a machine that has the GPU or the cores that its stage needs.

The scheduler stays where the run was started; it submits each step to Ray as a Prefect task, by prefect-ray. Rows of a
stage that are many are made in shares, side by side on all machines. What a machine has made it puts into the store, so
that a machine that is lost takes nothing with it but the rows of the last seconds.
"""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from prefect.client.orchestration import get_client
from prefect.futures import PrefectFuture
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Crashed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect_ray.context import remote_options
from prefect_ray.task_runners import RayTaskRunner
from ray import exceptions as ray_errors

from data.allowed_paths import ALLOW
from data.errors import InputError
from flows.execution.executor import Step
from flows.execution.prefect_tasks import PrefectExecutor
from flows.execution.ray_cluster import HERE, Cluster
from flows.execution.task_runner import SLOTS, started, submitting_to
from flows.server import health
from flows.server.library_environment import SETTINGS
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.sharding import divisible, shards
from tasks.pipeline.stage import Node
from tasks.resources.errors import Transient
from tasks.storage.artifacts import Store
from tasks.storage.shared_artifacts import SharedStore

ADDRESS = "RAY_ADDRESS"
HANDED_ON = ("STORE_TIMEOUT", "LEASE", "SHARD_ROWS", "TURN")
"""Settings of the run that its machines share; what concerns one machine (GPUs, folders, secrets) is that machine's."""
IDLE = 60.0
"""Seconds without a stage after which an engine on a Ray node is closed: nobody there sees that trainers come next."""
LOST = (
    ray_errors.WorkerCrashedError,
    ray_errors.NodeDiedError,
    ray_errors.LocalRayletDiedError,
    ray_errors.ObjectLostError,
    ray_errors.OutOfMemoryError,
)
"""What Ray says when a process or machine that ran a step is gone."""


@contextlib.contextmanager
def on_ray(runtime: Runtime) -> Iterator["RayExecutor"]:
    """An executor on the cluster that RAY_ADDRESS names, or on this machine alone, for the flow run of this thread.

    Raises:
        InputError: the cluster does not answer, or its machines cannot reach the store or the Prefect server.
    """
    store, server = runtime.store, _server()
    environment = {
        **SETTINGS,
        "PREFECT_API_URL": server,
        "MOTHERTONGUE_STORE": store.url if isinstance(store, SharedStore) else str(store.root),
    }
    for name in (ALLOW, *(f"MOTHERTONGUE_{setting}" for setting in HANDED_ON)):
        if value := os.environ.get(name):
            environment[name] = value
    with _connected() as runner:
        cluster = Cluster(
            lambda hosts: _reachable(hosts, server, store), lambda text: runtime.listener("note", "ray", {"text": text})
        )
        here: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=SLOTS["engine"])
        with here, started(runner), cluster.watched():
            yield RayExecutor(cluster, environment, here, runtime)


class RayExecutor(PrefectExecutor):
    """Submits steps to Ray, with what they need of a machine."""

    def __init__(self, cluster: Cluster, environment: dict[str, str], here: TaskRunner[Any], runtime: Runtime) -> None:
        self._runtime = runtime
        self._here = here
        """Runs what stays in this process."""
        self._cluster = cluster
        self._environment = environment
        self._rows: dict[str, int] = {}
        """Of the first input, by recipe, where there are shares."""
        self._finished: dict[str, int] = {}
        """Of those, the ones that ended shares have made."""

    def limit(self, slot: str) -> int:
        return self._cluster.limit(slot)

    def submit(self, step: Step, inputs: list[PrefectFuture[Any]], in_store: bool) -> PrefectFuture[Any]:
        kind = self._cluster.kind(step.node, in_store)
        if kind == HERE:
            with submitting_to(self._here):
                return super().submit(step, inputs, in_store)
        variables = {**self._environment, "MOTHERTONGUE_SEAT": kind}
        if kind == "engine":
            variables["MOTHERTONGUE_ENGINE_IDLE"] = str(IDLE)
        if not in_store:
            self._runtime.listener("start", step.node.run_name, {})
        # A process is used again only for the same variables: an engine's is kept for steps that need an engine.
        options = {**self._cluster.needs(kind), "max_retries": 0, "runtime_env": {"env_vars": variables}}
        # Prefect sends its settings along, and in those of this process there may be no server.
        with remote_options(**options), temporary_settings({PREFECT_API_URL: variables["PREFECT_API_URL"]}):
            return super().submit(step, inputs, in_store)

    def waited_for(self, inputs: list[PrefectFuture[Any]]) -> list[Any]:
        # As states: a future would be looked up at the machine that made it, which may be gone.
        return [future.state for future in inputs]

    def share_count(self, node: Node) -> int:
        first = node.upstream[0] if node.upstream else None
        if first is None or not divisible(node):
            return 1
        try:
            key = self._runtime.keys.find(first)
            artifact = None if key is None else self._runtime.store.find(first.stage.name, key)
        except Transient:  # a store that is away just now
            return 1
        rows = artifact.manifest["rows"] if artifact else 0
        self._rows[node.recipe] = rows
        return shards(rows, self._runtime.placement.shard_rows, self._cluster.places(self._cluster.kind(node)))

    def completed(self, step: Step, result: Any) -> None:
        """Tell the person who watches what a step's own process has told the Prefect server only."""
        tell, run, recipe = self._runtime.listener, step.node.run_name, step.node.recipe
        if self._cluster.kind(step.node) == HERE:
            return  # it was told as it happened
        if step.share is not None:
            self._finished[recipe] = self._finished.get(recipe, 0) + int(result)
            facts = {"done": self._finished[recipe], "total": self._rows[recipe], "unit": step.node.stage.unit}
            tell("progress", run, facts)
        else:
            tell("done" if result.made else "hit", run, {"seconds": result.seconds, "rows": result.rows})

    def is_lost(self, future: PrefectFuture[Any], error: BaseException) -> bool:
        """Whether the process that ran a step is gone; the server is told, since nobody else can."""
        if not isinstance(error, LOST):
            return False
        with contextlib.suppress(Exception), get_client(sync_client=True) as client:
            message = "The process or machine that ran it is gone; finished rows are kept, and the rest goes elsewhere."
            client.set_task_run_state(future.task_run_id, Crashed(message=message), force=True)
        return True


@contextlib.contextmanager
def _connected() -> Iterator[RayTaskRunner[Any]]:
    """A task runner on the cluster, or on a Ray of this machine's own where none is named.

    Raises:
        InputError: the cluster does not answer.
    """
    address = os.environ.get(ADDRESS) or None
    _answers(address)
    quietly: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": True}
    if address is None:
        quietly |= {"include_dashboard": False}
    runner: RayTaskRunner[Any] = RayTaskRunner(address=address, init_kwargs=quietly)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(runner)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            raise _no_cluster(address, next(iter(str(error).strip().splitlines()), type(error).__name__)) from None
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():  # Ray has put its own in their place
                signal.signal(number, handler)
        yield runner.duplicate()  # the one that hands out the steps ends earlier than the connection


def _answers(address: str | None) -> None:
    """See that something listens at an address: Ray itself would try for most of a minute.

    Raises:
        InputError: nothing does, or it is no address of a cluster.
    """
    if address in (None, "auto", "local"):
        return
    found = urlsplit(f"//{address}")
    try:
        socket.create_connection((found.hostname or "", found.port or 0), timeout=10).close()
    except (OSError, ValueError) as error:
        raise _no_cluster(address, str(error)) from None


def _no_cluster(address: str | None, why: str) -> InputError:
    return InputError(
        f"{ADDRESS}={address or ''}: no Ray cluster answers there ({why}). Allowed are host:port, auto for one on this "
        "machine, or nothing for one that lives as long as the run"
    )


def _server() -> str:
    """The Prefect server's address: the one named, or of the server that this run has started for itself."""
    named = PREFECT_API_URL.value()
    if named:
        return str(named)
    return next(iter(SubprocessASGIServer._instances.values())).api_url


def _reachable(hosts: frozenset[str], server: str, store: Store) -> None:
    """See that every machine of the cluster can be told and can tell.

    Raises:
        InputError: one cannot; names the setting.
    """
    others = sorted(hosts - {socket.gethostname()})
    if not others:
        return
    where = f"the cluster has other machines ({', '.join(others[:3])}{' and more' if len(others) > 3 else ''})"
    if urlsplit(server).hostname in ("localhost", "127.0.0.1", "::1"):
        raise InputError(
            f"PREFECT_API_URL={health.without_password(server)}: {where}, which cannot reach it. Start a server that "
            "they reach (prefect server start --host 0.0.0.0) and name it by this machine's address"
        )
    if not isinstance(store, SharedStore):
        raise InputError(
            f"MOTHERTONGUE_STORE={store.root}: {where}, which do not have this folder. Allowed is a URL: s3://…, or "
            "file:///… for a folder that all of them mount"
        )
