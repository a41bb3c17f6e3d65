"""Where a study's steps run: in threads of the run's own process, or on a Ray cluster."""

import contextlib
from collections.abc import Iterator

from prefect.task_runners import ThreadPoolTaskRunner

from flows.execution.options import RAY, RunOptions
from flows.execution.prefect_tasks import ThreadExecutor
from flows.execution.scheduler import Scheduler
from flows.execution.task_runner import SLOTS, started
from tasks.pipeline.runtime import Runtime


@contextlib.contextmanager
def scheduler(options: RunOptions, runtime: Runtime) -> Iterator[Scheduler]:
    """A scheduler whose steps run where the options say, for the flow run of this thread.

    Raises:
        InputError: the runner cannot be had.
    """
    if options.runner == RAY:
        from flows.execution.on_ray import on_ray  # Ray takes a second to import

        with on_ray(runtime) as executor:
            yield Scheduler(executor, runtime, options.strict)
        return
    limits = {**SLOTS, "trainer": runtime.placement.trainers}
    # Threads enough for every slot: a step waits for an engine or a trainer process, not for a core.
    with started(ThreadPoolTaskRunner(max_workers=sum(limits.values()))):
        yield Scheduler(ThreadExecutor(limits), runtime, options.strict)
