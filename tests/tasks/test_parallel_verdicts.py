"""Rows judged side by side: in order, a little ahead, and with an error where the process that judged one is gone."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from types import FunctionType

import pytest

from tasks.kinds.verifiers import Verdict
from tasks.pipeline.stage import stage
from tasks.storage.rows import Row
from tasks.verification import parallel_verdicts
from tasks.verification.parallel_verdicts import judged_all
from tasks.verify import verify
from tests.waiting import PATIENCE

PARALLEL = "processes"


def where(response: str, row: Row) -> Verdict:
    """Says in which process and thread it is judged; some rows end or stop that process."""
    if response == "dies":
        os._exit(3)
    if response == "hangs":
        time.sleep(1000)
    if response == "raises":
        raise ZeroDivisionError("no")
    if response == "slow":
        time.sleep(0.2)
    main = threading.current_thread() is threading.main_thread()
    return Verdict("correct", f"{row['id']} {os.getpid()} {main}")


@pytest.fixture(autouse=True)
def _children_end() -> Iterator[None]:
    yield
    parallel_verdicts.close()


def rows(*responses: str) -> list[Row]:
    return [{"id": str(number), "response": response} for number, response in enumerate(responses)]


def test_rows_are_judged_in_main_threads_of_other_processes_and_come_in_order() -> None:
    given = rows(*["slow", "quick", "quick"] * 4)
    found = list(judged_all(given, where))
    assert [row for row, _ in found] == given
    answers = [str(verdict.answer).split() for _, verdict in found]
    assert [number for number, _, _ in answers] == [row["id"] for row in given]
    assert {main for _, _, main in answers} == {"True"}
    processes = {process for _, process, _ in answers}
    assert str(os.getpid()) not in processes
    assert 1 <= len(processes) <= parallel_verdicts.count()
    again = {str(verdict.answer).split()[1] for _, verdict in judged_all(rows("quick"), where)}
    assert again <= processes, "a process is kept for the next rows"


def test_a_process_that_dies_or_hangs_over_a_row_makes_that_row_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_verdicts, "TIME_LIMIT", 15.0)
    found = [verdict for _, verdict in judged_all(rows("ok", "dies", "ok", "raises", "hangs", "ok", "ok"), where)]
    assert [verdict.verdict for verdict in found] == ["correct", "error", "correct", "error", "error", *["correct"] * 2]
    assert found[1].reason == "the process that judged it ended (exit code 3)"
    assert found[3].reason == "ZeroDivisionError: no"
    assert found[4].reason == "no verdict within 15 s"


def test_only_a_few_rows_are_asked_for_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_verdicts, "count", lambda: 2)
    asked = []

    def source() -> Iterator[Row]:
        for row in rows(*["slow"] * 60):
            asked.append(row)
            yield row

    judged = judged_all(source(), where)
    next(judged)
    assert len(asked) <= 2 * parallel_verdicts.AHEAD + 1
    judged.close()
    assert len(asked) <= 2 * parallel_verdicts.AHEAD + 1


def test_a_verdict_that_is_there_is_handed_out_before_the_next_row_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    came: list[str] = []
    futures: list[Future[Verdict]] = []
    pool = parallel_verdicts._pool(where)
    schedule = pool.schedule
    monkeypatch.setattr(pool, "schedule", lambda *what, **how: futures.append(schedule(*what, **how)) or futures[-1])

    def source() -> Iterator[Row]:
        for row in rows("a", "b", "c"):
            yield row
            futures[0].result(PATIENCE)
            came.append(f"asked after {row['id']}")

    for row, _ in judged_all(source(), where):
        came.append(f"judged {row['id']}")
    assert came.index("judged 0") < came.index("asked after 1")


def test_a_verifier_that_is_not_parallel_is_called_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.tasks.test_parallel_verdicts.PARALLEL", None)
    ((_, verdict),) = judged_all(rows("ok"), where)
    assert str(verdict.answer).split()[1] == str(os.getpid())


def test_the_number_of_workers_is_no_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(where, FunctionType)
    before = verify(answered(), where).recipe
    monkeypatch.setattr(parallel_verdicts, "count", lambda: 64)
    assert verify(answered(), where).recipe == before


@stage()
def answered() -> list[Row]:
    return rows("ok")
