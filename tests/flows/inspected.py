"""A flow of one slow step, one that fails and one found in the store, run as a program by test_inspection.py."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect import flow

from flows.execution import runner
from flows.execution.executor import Step
from flows.execution.options import RunOptions
from flows.ui import run_log
from tasks.pipeline.runtime import Runtime, current, using
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tests.waiting import until

ROWS = 40


@stage()
def made(count: int) -> list[Row]:
    return [{"id": str(number)} for number in range(count)]


@stage(per_row=True)
def slowly(rows: Rows, *, work: Work) -> Iterator[Row]:
    work.log("loss 0.25")
    for row in rows:
        time.sleep(0.05)
        yield row
    until(Path(sys.argv[2]).exists, "nobody has seen it at work")


@stage(retries=0)
def broken(rows: Rows) -> list[Row]:
    raise StageFailed("the gold answers are missing")


@flow(name="study", flow_run_name="little", persist_result=False, validate_parameters=False)
def little() -> None:
    run_log.tag_flow_run(["study:little", "student:tiny"])
    first: Node = made(ROWS).named("ledger")
    steps = [first, slowly(first).named("self/ledger", "origin:self", "seed:0"), broken(first).named("human/ledger")]
    with runner.scheduler(RunOptions(), current()) as scheduler:
        for node in [*steps, first]:
            future: Any = scheduler.executor.submit(Step(node), [], False)
            with contextlib.suppress(StageFailed):
                future.result()


if __name__ == "__main__":
    run_log.LINE_EVERY = run_log.SHOWN_AFTER = run_log.SHOWN_EVERY = 0.5
    with using(Runtime(Store(Path(sys.argv[1])), listener=run_log.listener())):
        little()
