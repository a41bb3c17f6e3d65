"""Which task runner a flow run submits its tasks to, and how many steps it runs at once."""

import contextlib
from collections.abc import Iterator
from typing import Any

from prefect.context import FlowRunContext
from prefect.task_runners import TaskRunner

from flows.execution.executor import LOOKUP

SLOTS = {"cpu": 2, "engine": 24, LOOKUP: 24}
"""Steps at once in one process by what they occupy; trainers are set by the placement."""


@contextlib.contextmanager
def started(task_runner: TaskRunner[Any]) -> Iterator[None]:
    """Have the flow run of this thread submit its tasks to a task runner, which starts and ends with the block."""
    with task_runner, submitting_to(task_runner):
        yield


@contextlib.contextmanager
def submitting_to(task_runner: TaskRunner[Any]) -> Iterator[None]:
    """Have the flow run of this thread submit its tasks to a task runner that has started."""
    context = FlowRunContext.get()
    assert context is not None, "only inside a flow run"
    with context.model_copy(update={"task_runner": task_runner}):
        yield
