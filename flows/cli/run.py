"""What `run` does around the flow: the live view, the results folder, and a clean end whatever happens."""

import logging
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

import httpx

from flows.cli.live_view import View
from flows.config import server_values
from flows.config.results_folder import folder
from flows.config.schema import Study
from flows.execution import shutdown
from flows.execution.options import PilotOptions, RunOptions
from flows.planning import preflight, rendering_checks
from flows.planning.cost import cost
from flows.planning.forecast import Forecasts, forecast
from flows.planning.plan import expand
from flows.results import publishing, recording, tracking
from flows.server import ephemeral_server, health
from tasks.pipeline.runtime import Runtime
from tasks.resources import disk, slots
from tasks.storage.artifacts import Store
from tasks.storage.opening import open_store


def run(
    study: Study,
    options: RunOptions,
    as_json: bool,
    quiet: bool = False,
    pilot: PilotOptions | None = None,
    again: str = "",
) -> int:
    """Run a study; returns the exit code.

    Args:
        quiet: print the verdict and what went wrong, and nothing of the way there.
        pilot: what the study's pilot may cost and miss; None for the whole study without one.
        again: the command that goes on with the run; the study's own if it is not given.

    Raises:
        Exception: a bug, with its traceback, after what is finished was published.
    """
    started = time.monotonic()
    again = again or study.command
    plan = expand(study)
    store = open_store()
    forecasts = forecast(plan, store)
    if pilot is None and not forecasts.misses and "PREFECT_API_URL" not in os.environ and _whole(forecasts, store):
        recording.record_all(plan, store, ((each.node.stage.name, each.key) for each in forecasts if each.key))
        print(f"Everything is in the store; no stage was run ({time.monotonic() - started:.1f} s).", file=sys.stderr)
        publishing.show(study, as_json)
        tracking.track(options.tracker, folder(study), lambda text: print(text, file=sys.stderr))
        return 0
    for note in preflight.check(study):
        print(note, file=sys.stderr)
    rendering_checks.check(study)
    store.check()
    server_values.check({"folder": str(study.roots[0])})
    health.check()
    for scratch in (slots.folder(), Path(os.environ.get("TMPDIR") or tempfile.gettempdir())):
        disk.check(scratch)
    view = View(plan, cost(plan, forecasts, store).minutes, quiet)
    from flows.execution import session
    from flows.execution.outcome import Outcome, StudyFailed
    from flows.study import study_flow
    from flows.ui.run_log import listener

    ephemeral_server.prepare()
    logging.raiseExceptions = False  # Prefect would print that it could not send a line to its server
    heard = True

    def say() -> None:
        view.__exit__(None, None, None)
        text = f"\nStopped. What is finished is kept; go on with: {again}"
        print(text, file=sys.stderr, flush=True)

    with session.started(options, Runtime(store, listener=listener(view)), pilot) as begun:
        try:
            with shutdown.on_signal(signal.SIGINT, say), view:
                outcome = cast(Outcome, study_flow(study, options.strict, str(study.roots[0])))
        except StudyFailed as failed:
            outcome = failed.outcome
        except httpx.HTTPError:
            if begun.outcome is None:
                raise
            # Its server could not be told: of a run that has ended, that is all that is lost.
            print("The Prefect server could not be told how this run has ended. Nothing else is lost.", file=sys.stderr)
            outcome, heard = begun.outcome, False
    for line in outcome.lines():
        kind = "error" if outcome.wrong_input and " ".join(outcome.wrong_input.split()) in line else "failed"
        print(f"{kind}: {line.rstrip(chr(46))}. Fix it and go on with: {again}", file=sys.stderr)
    if outcome.compared is not None and outcome.published is not None:
        print(f"{outcome.counts}, {time.monotonic() - started:.0f} s.", file=sys.stderr)
        publishing.say_verdict(outcome.compared, outcome.published, as_json, outcome.pilot)
    else:
        print(f"No verdict. What is finished is kept; go on with: {again}", file=sys.stderr)
    if outcome.bug is not None:
        raise outcome.bug
    code = 2 if outcome.wrong_input and outcome.compared is None else 1 if outcome.failed else 0
    if not heard:
        shutdown.leave(code)  # Prefect would try for ten seconds to send each event that waits
    return code


def _whole(forecasts: Forecasts, store: Store) -> bool:
    """Whether every artifact is undamaged; all are there."""
    return all(each.key is not None and store.sound(each.node.stage.name, each.key) for each in forecasts)
