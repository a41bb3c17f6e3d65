"""The fork server: what a job returns and says, how its end is told, and when the server ends."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tasks.fork_server.client import ForkServer
from tasks.fork_server.job import Job
from tasks.resources.errors import StageFailed, Transient
from tasks.resources.placement import Placement
from tests.tasks.test_finetune import gone
from tests.waiting import PATIENCE, until


def do(server: ForkServer, folder: Path, what: str, **told: Any) -> dict[str, Any]:
    job = Job("tests.tasks.fork_server_jobs", {"do": what}, str(folder))
    return server.run(job, Placement(trainers=2), told.get("progress", lambda done, total: None), log=told.get("log"))


@pytest.fixture
def server() -> Any:
    made = ForkServer()
    yield made
    made.close()


def test_a_job_runs_in_a_fork_of_the_server(server: ForkServer, tmp_path: Path) -> None:
    told: list[Any] = []
    assert server.pid is None, "a server was started before it was needed"
    results = [
        do(server, tmp_path, "work", progress=lambda done, total: told.append((done, total)), log=told.append)
        for _ in range(2)
    ]
    assert told == [(1, 2), "does work"] * 2
    assert {result["server"] for result in results} == {server.pid}
    assert len({server.pid, os.getpid(), *(result["pid"] for result in results)}) == 4


def test_how_a_job_failed_is_told(server: ForkServer, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(StageFailed, match=r"^no rows$"):
        do(server, tmp_path, "fail", log=said.append)
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*ValueError: a bug"):
        do(server, tmp_path, "bug", log=said.append)


def test_two_runs_in_one_process_have_a_server_each(server: ForkServer, tmp_path: Path) -> None:
    said: list[str] = []
    other = ForkServer()
    pids = {do(each, tmp_path, "work", log=said.append)["server"] for each in (server, other)}
    assert pids == {server.pid, other.pid}
    other_pid = other.pid
    assert other_pid is not None
    other.close()
    assert gone(other_pid)
    assert do(server, tmp_path, "work", log=said.append)["server"] == server.pid
    with pytest.raises(StageFailed, match="no trainer: the run is being stopped"):
        do(other, tmp_path, "work", log=said.append)


@pytest.mark.parametrize("end", ["close", "kill"])
def test_a_job_ends_with_its_server(server: ForkServer, tmp_path: Path, end: str) -> None:
    caught: list[BaseException] = []
    begun = threading.Event()

    def run() -> None:
        try:
            do(server, tmp_path, "sleep", log=lambda text: begun.set())
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(PATIENCE)
    pid = server.pid
    assert pid is not None
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    assert len(children) == 1
    server.close() if end == "close" else os.kill(pid, signal.SIGKILL)
    thread.join(PATIENCE)
    assert isinstance(caught[0], Transient)
    until(lambda: gone(children[0]) and gone(pid))


def test_a_server_ends_with_the_object_that_started_it(tmp_path: Path) -> None:
    said: list[str] = []
    server = ForkServer()
    pid = do(server, tmp_path, "work", log=said.append)["server"]
    del server
    until(lambda: gone(pid))
