"""The Prefect server that a run starts for itself, where none is named: it ends with the run, also after kill -9."""

import subprocess
import sys
from typing import Any

from tasks.errors import StageFailed

TRIES = 5
WATCH = """
import os, signal, sys
server = os.pidfd_open(int(sys.argv[1]))
sys.stdin.read()
try:
    signal.pidfd_send_signal(server, signal.SIGKILL)
except ProcessLookupError:
    pass
"""
"""Waits for the end of standard input, whose other end this process alone has, and then ends the server."""


def ends_with_us() -> None:
    """Have a watcher beside every server that Prefect starts in this process from now on (Linux).

    Prefect stops its server when Python exits; a killed process never comes to that.
    """
    from prefect.server.api.server import SubprocessASGIServer

    start = SubprocessASGIServer._run_uvicorn_command

    def watched(self: SubprocessASGIServer) -> "subprocess.Popen[Any]":
        if len(_watchers) == TRIES:  # Prefect would go on for ever
            raise StageFailed(
                f"the run's own Prefect server has ended {TRIES} times. To see why, start one: prefect server start"
            )
        server = start(self)
        _watchers.append(
            subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", WATCH, str(server.pid)],
                stdin=subprocess.PIPE,
                start_new_session=True,  # what ends the run's whole process group does not end the watcher
            )
        )
        return server

    if sys.platform == "linux" and start.__name__ != watched.__name__:
        SubprocessASGIServer._run_uvicorn_command = watched  # type: ignore[method-assign]


_watchers: list["subprocess.Popen[bytes]"] = []
