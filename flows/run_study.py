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

from flows import own_server, preflight, renderings, results, server_lost, server_values, stopping, trackers
from flows.cost import cost
from flows.forecast import forecast
from flows.live import View
from flows.plan import Plan, expand
from flows.schema import Study
from tasks import disk, runtime, slots
from tasks.store import Store


def run(study: Study, strict: bool, as_json: bool) -> int:
    """Run a study; returns the exit code.

    Raises:
        Exception: a bug, with its traceback, after what is finished was published.
    """
    started = time.monotonic()
    plan = expand(study)
    store = Store.from_environment()
    forecasts = forecast(plan, store)
    if not forecasts.misses and "PREFECT_API_URL" not in os.environ and _whole(plan, store):
        print(f"Everything is in the store; no stage was run ({time.monotonic() - started:.1f} s).", file=sys.stderr)
        results.show(study, as_json)
        trackers.track(results.folder(study), lambda text: print(text, file=sys.stderr))
        return 0
    preflight.check(study)
    renderings.check(study)
    store.check()
    server_values.check({"folder": str(study.roots[0])})
    server_lost.check()
    for folder in (slots.folder(), Path(os.environ.get("TMPDIR") or tempfile.gettempdir())):
        disk.check(folder)
    view = View(plan, cost(plan, forecasts, store).minutes)
    from flows import runner
    from flows import study as studies
    from flows.inspection import listener
    from flows.outcome import Outcome, StudyFailed

    runner.chosen()

    own_server.prepare()
    logging.raiseExceptions = False  # Prefect would print that it could not send a line to its server
    heard = True
    runtime.use(runtime.Runtime(store, listener=listener(view)))

    def say() -> None:
        view.__exit__(None, None, None)
        text = f"\nStopped. What is finished is kept; go on with: mothertongue run {study.name}"
        print(text, file=sys.stderr, flush=True)

    try:
        with stopping.on(signal.SIGINT, say), view:
            outcome = cast(Outcome, studies.study_flow(study, strict, str(study.roots[0])))
    except StudyFailed as failed:
        outcome = failed.outcome
    except httpx.HTTPError:
        if studies.last is None:
            raise
        # Its server could not be told: of a run that has ended, that is all that is lost.
        print("The Prefect server could not be told how this run has ended. Nothing else is lost.", file=sys.stderr)
        outcome, heard = studies.last, False
    finally:
        runtime.current().close()
    for line in outcome.lines():
        kind = "error" if outcome.wrong_input and " ".join(outcome.wrong_input.split()) in line else "failed"
        print(f"{kind}: {line.rstrip(chr(46))}. Mend it and go on with: mothertongue run {study.name}", file=sys.stderr)
    if outcome.compared is not None and outcome.published is not None:
        print(f"{outcome.counts}, {time.monotonic() - started:.0f} s.", file=sys.stderr)
        results.say_verdict(outcome.compared, outcome.published, as_json)
    else:
        print(f"No verdict. What is finished is kept; go on with: mothertongue run {study.name}", file=sys.stderr)
    if outcome.bug is not None:
        raise outcome.bug
    code = 2 if outcome.wrong_input and outcome.compared is None else 1 if outcome.failed else 0
    if not heard:
        stopping.leave(code)  # Prefect would try for ten seconds to send each event that waits
    return code


def _whole(plan: Plan, store: Store) -> bool:
    """Whether every artifact is there and undamaged."""
    return all(store.sound(node.stage.name, node.key) for node in plan.nodes)
