"""What `run` does around the flow: the live view, the results folder, and a clean end whatever happens."""

import os
import sys
import threading
import time

from flows import results
from flows.cost import cost
from flows.live import View
from flows.plan import Plan, expand, forecast
from flows.schema import Study
from tasks import runtime
from tasks.store import Artifact, Store


def run(study: Study, strict: bool, as_json: bool) -> int:
    """Run a study; returns the exit code."""
    started = time.monotonic()
    plan = expand(study)
    store = Store.from_environment()
    forecasts = forecast(plan, store)
    if not forecasts.misses and "PREFECT_API_URL" not in os.environ:
        finished = _finished(plan, store)
        if finished is not None:
            print(
                f"Everything is in the store; no stage was run ({time.monotonic() - started:.1f} s).", file=sys.stderr
            )
            results.show(study, as_json)
            return 0
    price = cost(plan, forecasts, store)
    view = View(plan, price.minutes)
    runtime.use(runtime.Runtime(store, listener=view))
    from flows.study import study_flow, task_runner

    try:
        with view:
            outcome = study_flow.with_options(task_runner=task_runner(runtime.current().placement))(
                study.name, study, strict
            )
    except KeyboardInterrupt:
        return _stopped(study)
    finally:
        runtime.current().close()
    if outcome.wrong_input:
        print(f"error: {outcome.wrong_input}", file=sys.stderr)
        return 2
    for name, why in outcome.failed.items():
        if not why.startswith("not run, since"):
            print(f"failed: {name}: {why}", file=sys.stderr)
    if outcome.compared is None or outcome.report is None:
        print(f"No verdict. What is finished is kept; go on with: mothertongue run {study.name}", file=sys.stderr)
        return 1
    print(
        f"{outcome.ran} stages run, {outcome.hits} found in the store, {len(outcome.failed)} failed or left out, "
        f"{time.monotonic() - started:.0f} s.",
        file=sys.stderr,
    )
    path = results.publish(outcome.plan, outcome.compared, outcome.report, outcome.failed)
    results.say_verdict(outcome.compared, path, as_json)
    return 1 if outcome.failed else 0


def _finished(plan: Plan, store: Store) -> tuple[Artifact, Artifact] | None:
    """The comparison and the report of a study whose every artifact is there and undamaged."""
    artifacts = {}
    for node in plan.nodes:
        artifact = store.open(node.stage.name, node.key)
        if artifact is None:
            return None
        artifacts[node.stage.name] = artifact
    return artifacts["compare"], artifacts["report"]


def _stopped(study: Study) -> int:
    """End at once: worker threads may still wait for an engine that is going down."""
    print(
        f"\nStopped. What is finished is kept; go on with: mothertongue run {study.name}", file=sys.stderr, flush=True
    )
    runtime.current().close()
    if threading.active_count() > 1:
        os._exit(130)
    return 130
