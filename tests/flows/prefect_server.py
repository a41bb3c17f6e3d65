"""A Prefect server of a test's own, on a free port, with a home of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE


class Server:
    """A server that can be started, and started again on the same port and home. Its log is `home/server.log`."""

    def __init__(self, home: Path, **variables: str) -> None:
        """`variables` are the server's, and those of whoever uses its environment, beside its own."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        api = f"http://127.0.0.1:{port}/api"
        self.home, self.port, self.api = home, port, api
        own = {"PREFECT_HOME": str(home / "prefect"), "PREFECT_API_URL": api}
        own |= {
            "PREFECT_UI_API_URL": api,
            "PREFECT_SERVER_UI_API_URL": api,
        }
        self.environment = {**os.environ, **own, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", **variables}
        home.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        with (self.home / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)],
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )
        _wait_for(f"{self.api}/health", self.process, self.home / "server.log")

    def flow_runs(self) -> list[dict[str, Any]]:
        """The flow runs it knows, the newest first."""
        asked = json.dumps({"sort": "START_TIME_DESC"}).encode()
        request = urllib.request.Request(f"{self.api}/flow_runs/filter", asked, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def kill(self) -> None:
        """kill -9 of all of it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)


@contextmanager
def prefect_server(home: Path) -> Iterator[dict[str, str]]:
    """The environment in which a command uses this server."""
    server = Server(home)
    server.start()
    try:
        yield server.environment
    finally:
        server.stop()


def _wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, "the Prefect server did not start"
            time.sleep(0.2)
