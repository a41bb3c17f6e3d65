"""The end of a run that is told to stop: nothing of it is left behind, and what is finished is kept.

Ctrl-C on a terminal, `kill`, and a cancellation in the Prefect UI (whose worker sends SIGTERM) come to the same end.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

from tasks.pipeline import runtime

GRACE = 1.0
"""Seconds that stages get to keep their finished rows."""
ANSWER = 10.0
"""Seconds that the Prefect server has for each answer."""
HOW = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@contextlib.contextmanager
def on_signal(number: signal.Signals, say: Callable[[], None] = lambda: None) -> Iterator[None]:
    """End the process at once when this signal comes; the task runner would wait for stages that may take long.

    Only the main thread hears of signals: in another one this does nothing.

    Args:
        say: told first, for the person who watches.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(received: int, frame: FrameType | None) -> NoReturn:
        _end(signal.Signals(received), say)

    before = signal.signal(number, stop)
    try:
        yield
    finally:
        signal.signal(number, before)


def _end(number: signal.Signals, say: Callable[[], None]) -> NoReturn:
    _hear_again()
    code = 128 + number
    with contextlib.suppress(Exception):
        say()
    with contextlib.suppress(Exception):
        if (running := runtime.of_run()) is not None:
            running.close()  # streams end, and their stages keep what they have
        if _tell_server(number):
            code = 0  # an answer to a cancellation, no breakdown
        time.sleep(GRACE)
    leave(code)


def _hear_again() -> None:
    """From now on a signal that comes with the first one changes nothing, a later one ends the process at once.

    One stop may arrive several times: `timeout` and process groups pass it on. The end that has begun holds locks,
    which beginning it again within itself would wait for without end.
    """
    began = time.monotonic()

    def again(received: int, frame: FrameType | None) -> None:
        if time.monotonic() - began > GRACE:
            leave(128 + received)

    for number in HOW:
        signal.signal(number, again)


def leave(code: int) -> NoReturn:
    """End the process without waiting for what Prefect still wants to tell its server."""
    with contextlib.suppress(Exception):
        from prefect.server.api.server import SubprocessASGIServer

        for server in list(SubprocessASGIServer._instances.values()):
            server.stop()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def _tell_server(number: signal.Signals) -> bool:
    """Tell the server, also the run's own, that this run has ended; returns whether the server had asked for that."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import State
    from prefect.context import FlowRunContext
    from prefect.states import Cancelled, Crashed

    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return False
    kept = "What is finished is kept; Retry does the rest."
    with get_client(httpx_settings={"timeout": ANSWER}, sync_client=True) as client:
        state = client.read_flow_run(context.flow_run.id).state
        asked = state is not None and state.is_cancelling()
        if asked:
            ended: State[Any] = Cancelled(message=f"Cancelled. {kept}")
        elif number == signal.SIGINT:
            ended = Cancelled(message=f"Stopped by {HOW[number]}. {kept}")
        else:
            ended = Crashed(message=f"Stopped by {HOW[number]} from outside. {kept}")
        client.set_flow_run_state(context.flow_run.id, ended, force=True)
    return asked
