"""A Prefect server and workers as a person starts them, each test session with its own home, store and ports."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from flows.deployment.deploy import TOO_BUSY
from tests import commands
from tests.waiting import PATIENCE

ANSWER = 180.0
"""Seconds that its server has for one answer."""
BUSY = 5
"""Tries that a server gets that is too busy; Prefect's own client gives it as many."""
PREFECT = [sys.executable, "-m", "prefect"]


@dataclass
class Place:
    """A folder with a server of its own."""

    folder: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def run(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """A command as a person gives it in the folder."""
        ended = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert not check or ended.returncode == 0, ended.stdout + ended.stderr
        return ended

    def prefect(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.run(*PREFECT, *arguments, check=check)

    def mothertongue(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        for _ in range(BUSY):
            ended = commands.run(self.folder, self.environment, *arguments)
            if TOO_BUSY not in ended.stderr:
                break
        assert not check or ended.returncode == 0, ended.stdout + ended.stderr
        return ended

    def post(self, path: str, content: Any = None) -> Any:
        for _ in range(BUSY):
            answer = httpx.post(f"{self.api}{path}", json=content if content is not None else {}, timeout=ANSWER)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json()

    def deployment(self, name: str) -> Any:
        answer = httpx.get(f"{self.api}/deployments/name/study/{name}", timeout=ANSWER)
        answer.raise_for_status()
        return answer.json()

    def runs(self, deployment: str | None = None) -> list[dict[str, Any]]:
        """Flow runs, earliest first."""
        wanted = {"deployments": {"name": {"any_": [deployment]}}} if deployment else {}
        found: list[dict[str, Any]] = self.post("/flow_runs/filter", {**wanted, "sort": "START_TIME_ASC"})
        return found

    def flow_run(self, id: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.api}/flow_runs/{id}", timeout=ANSWER)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def start(self, deployment: str, **given: Any) -> str:
        """Create a run as the UI does; returns its id."""
        id: str = self.post(f"/deployments/{self.deployment(deployment)['id']}/create_flow_run", given)["id"]
        return id

    def ended(self, id: str) -> dict[str, Any]:
        """The run's state once it is a last one."""
        state: dict[str, Any] = {}

        def last() -> bool:
            state.update(self.flow_run(id)["state"])
            return state["type"] in {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}

        await_(last, f"run {id} did not end")
        return state


def await_(there: Callable[[], Any], otherwise: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while True:
        with suppress(httpx.TimeoutException):  # the server of a busy machine
            if there():
                return
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.3)


@contextmanager
def server(folder: Path, **environment: str) -> Iterator[Place]:
    """A running Prefect server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = Place(folder, port)
    place.environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": place.api,
        "PREFECT_UI_API_URL": place.api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "MOTHERTONGUE_STORE": str(folder / "store"),
        **environment,
    }
    with process(place, "server", *PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)) as running:

        def healthy() -> bool:
            assert running.poll() is None, (folder / "server.log").read_text()
            try:
                return httpx.get(f"{place.api}/health", timeout=5).status_code == 200
            except httpx.HTTPError:
                return False

        await_(healthy, "the server did not start")
        yield place


@contextmanager
def worker(place: Place, *options: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A running worker of the pool `process`."""
    with process(place, "worker", sys.executable, "-m", "flows.main", "worker", *options) as running:
        yield running


@contextmanager
def process(place: Place, name: str, *command: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A process that logs to `<name>.log`, ended with all that it started."""
    with (place.folder / f"{name}.log").open("ab") as log:
        running = subprocess.Popen(
            command, cwd=place.folder, env=place.environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield running
        finally:
            running.send_signal(signal.SIGINT)
            try:
                running.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
