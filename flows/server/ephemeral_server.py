"""Prefect's ephemeral server, which a run starts if none is named: it ends with the run, also after kill -9."""

import subprocess
from typing import TYPE_CHECKING, Any

import httpx

from flows.server import process_guard
from tasks.resources.errors import StageFailed

if TYPE_CHECKING:
    from prefect.server.api.server import SubprocessASGIServer

TRIES = 5


def prepare() -> None:
    """Patch Prefect: a server that this process starts ends with it, and one that cannot start is one clear line."""
    from prefect.server.api import server

    setattr(server, "subprocess", _InOwnSession())  # noqa: B010
    _report_failed_start(server.SubprocessASGIServer)
    _guard(server.SubprocessASGIServer)


class _InOwnSession:
    """`subprocess` in a session of its own: Ctrl-C would end the server before it is told of the run's end."""

    @staticmethod
    def Popen(*arguments: Any, **options: Any) -> "subprocess.Popen[Any]":
        return subprocess.Popen(*arguments, start_new_session=True, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)


def _guard(kind: "type[SubprocessASGIServer]") -> None:
    """Give each server a process guard: Prefect stops it when Python exits, which a killed process never does."""
    start = kind._run_uvicorn_command
    started: list[int] = []

    def guarded(self: "SubprocessASGIServer") -> "subprocess.Popen[Any]":
        if len(started) == TRIES:  # Prefect would start it for ever
            raise StageFailed(
                f"the run's own Prefect server has ended {TRIES} times. To see why, start one: prefect server start"
            )
        server = start(self)
        started.append(server.pid)
        process_guard.end_with_this_process(server.pid)
        return server

    if start.__name__ != guarded.__name__:
        kind._run_uvicorn_command = guarded  # type: ignore[method-assign]


def _report_failed_start(kind: "type[SubprocessASGIServer]") -> None:
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
