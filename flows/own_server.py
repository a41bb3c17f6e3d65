"""The Prefect server that a run starts for itself, where none is named: it ends with the run, also after kill -9."""

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx

from tasks.errors import StageFailed

if TYPE_CHECKING:
    from prefect.server.api.server import SubprocessASGIServer

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


def prepare() -> None:
    """Have every server that Prefect starts in this process from now on end with it, or say in a line why it cannot
    start."""
    from prefect.server.api.server import SubprocessASGIServer

    _starts_or_says_why(SubprocessASGIServer)
    if sys.platform == "linux":
        _ends_with_us(SubprocessASGIServer)


def _ends_with_us(kind: "type[SubprocessASGIServer]") -> None:
    """A watcher beside it: Prefect stops its server when Python exits, and a killed process never comes to that."""
    start = kind._run_uvicorn_command

    def watched(self: "SubprocessASGIServer") -> "subprocess.Popen[Any]":
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

    if start.__name__ != watched.__name__:
        kind._run_uvicorn_command = watched  # type: ignore[method-assign]


def _starts_or_says_why(kind: "type[SubprocessASGIServer]") -> None:
    begin = kind.start

    def started(self: "SubprocessASGIServer", timeout: int | None = None) -> None:
        try:
            begin(self, timeout)
        except (RuntimeError, httpx.HTTPError) as error:
            if isinstance(error, StageFailed):
                raise
            self.stop()
            why = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise StageFailed(
                f"the run's own Prefect server did not start ({why.strip()}). It has "
                "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS for it; or start one that stays: prefect server start"
            ) from None

    if begin.__name__ != started.__name__:
        kind.start = started  # type: ignore[method-assign]


_watchers: list["subprocess.Popen[bytes]"] = []
