"""A Prefect server of a test's own, on a free port, with a home of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 180.0


@contextmanager
def prefect_server(home: Path) -> Iterator[dict[str, str]]:
    """The environment in which a command uses this server. Its log is `home/server.log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    api = f"http://127.0.0.1:{port}/api"
    own = {"PREFECT_HOME": str(home / "prefect"), "PREFECT_API_URL": api}
    own |= {
        "PREFECT_UI_API_URL": api,
        "PREFECT_SERVER_UI_API_URL": api,
    }
    environment = {**os.environ, **own, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    home.mkdir(parents=True, exist_ok=True)
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            stdout=log,
            stderr=log,
            env=environment,
        )
        try:
            _wait_for(f"{environment['PREFECT_API_URL']}/health", process, home / "server.log")
            yield environment
        finally:
            process.terminate()
            process.wait(timeout=60)


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
