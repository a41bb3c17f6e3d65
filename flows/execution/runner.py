"""Where a study's steps run: in threads of the run's own process, or on a Ray cluster."""

import contextlib
import importlib.util
import os
from collections.abc import Iterator

from prefect.task_runners import ThreadPoolTaskRunner

from data import kinds
from data.errors import InputError
from flows.execution.prefect_tasks import Submitter
from flows.execution.scheduler import Walk
from flows.execution.task_runner import SLOTS, handing_to
from tasks.pipeline import runtime

RUNNER = "MOTHERTONGUE_RUNNER"
THREADS, RAY = "threads", "ray"


def chosen() -> str:
    """The runner that the environment names.

    Raises:
        InputError: there is none of that name, or its package is missing.
    """
    name = os.environ.get(RUNNER) or THREADS
    try:
        check(name)
    except InputError as error:
        raise InputError(f"{RUNNER}={name}: {error}") from None
    return name


def check(name: str) -> None:
    """See that a runner can be had.

    Raises:
        InputError: there is none of that name, or its package is missing.
    """
    if name not in (THREADS, RAY):
        raise InputError(kinds.unknown("runner", name, [RAY, THREADS]))
    if name == RAY and not all(importlib.util.find_spec(package) for package in ("ray", "prefect_ray")):
        raise InputError("ray is not installed: pip install 'mothertongue[ray]'")


@contextlib.contextmanager
def walk(strict: bool) -> Iterator[Walk]:
    """A walk whose steps run where the environment says, for the flow run of this thread.

    Raises:
        InputError: the runner cannot be had.
    """
    if chosen() == RAY:
        from flows.execution.on_ray import walk_on_ray  # Ray takes a second to import

        with walk_on_ray(strict) as made:
            yield made
        return
    limits = {**SLOTS, "trainer": runtime.current().placement.trainers}
    # Threads enough for every slot: a step waits for an engine or a trainer process, not for a core.
    with handing_to(ThreadPoolTaskRunner(max_workers=sum(limits.values()))):
        yield Walk(Submitter(), limits.__getitem__, strict)
