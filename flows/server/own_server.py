"""The Prefect server that a run starts for itself, where none is named: it ends with the run, also after kill -9."""

import subprocess
from typing import TYPE_CHECKING, Any

import httpx

from flows.server import process_guard
from tasks.resources.errors import StageFailed

if TYPE_CHECKING:
    from prefect.server.api.server import SubprocessASGIServer

TRIES = 5


def prepare() -> None:
    """Have every server that Prefect starts in this process from now on end with it, or say in a line why it cannot
    start."""
    from prefect.server.api import server

    setattr(server, "subprocess", _InOwnSession())  # noqa: B010
    _starts_or_says_why(server.SubprocessASGIServer)
    _ends_with_us(server.SubprocessASGIServer)


class _InOwnSession:
    """Python's `subprocess` for Prefect's server: Ctrl-C on a terminal would end it before it is told of the run's
    end."""

    @staticmethod
    def Popen(*arguments: Any, **options: Any) -> "subprocess.Popen[Any]":
        return subprocess.Popen(*arguments, start_new_session=True, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)


def _ends_with_us(kind: "type[SubprocessASGIServer]") -> None:
    """A watcher beside it: Prefect stops its server when Python exits, and a killed process never comes to that."""
    start = kind._run_uvicorn_command
    started: list[int] = []

    def watched(self: "SubprocessASGIServer") -> "subprocess.Popen[Any]":
        if len(started) == TRIES:  # Prefect would go on for ever
            raise StageFailed(
                f"the run's own Prefect server has ended {TRIES} times. To see why, start one: prefect server start"
            )
        server = start(self)
        started.append(server.pid)
        process_guard.watch(server.pid)
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
