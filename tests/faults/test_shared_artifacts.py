"""A remote store that answers slowly, not for a while, or not at all, while a study is at work."""

import time
from collections.abc import Callable

import pytest

from tests.faults.disturbed import GO_ON, measured
from tests.faults.remotely import Remotely
from tests.tasks.s3 import Line, Server

pytestmark = pytest.mark.slow
LIMIT = "3"
SILENT = 15.0


def test_a_store_that_is_silent_for_a_while_stops_nothing(remote_study: Callable[..., Remotely], s3: Server) -> None:
    disturbed = remote_study("generate", "compare", "report", MOTHERTONGUE_STORE_TIMEOUT=LIMIT)
    disturbed.begin()
    disturbed.works_at("generate", rows=True)
    before = disturbed.finished
    s3.suspend()
    time.sleep(SILENT)
    s3.resume()
    disturbed.ends(0)
    assert "Traceback" not in disturbed.said
    disturbed.ended_well(before)
    disturbed.nothing_is_left()


def test_a_store_that_stays_silent_is_one_line_and_a_slow_one_then_gets_what_was_made(
    remote_study: Callable[..., Remotely], s3: Server
) -> None:
    disturbed = remote_study("generate", "compare", "report", MOTHERTONGUE_STORE_TIMEOUT=LIMIT)
    disturbed.begin()
    disturbed.works_at("generate", rows=True)
    before = disturbed.finished
    s3.suspend()
    try:
        took = disturbed.ends(1)
    finally:
        s3.resume()
    measured(seconds_until_it_gave_up=took)
    (line, *_) = [line for line in disturbed.said.splitlines() if line.startswith("failed: ")]
    assert f"the store {disturbed.url} did not answer within 3 s" in line
    assert GO_ON in line
    assert "Traceback" not in disturbed.said
    disturbed.nothing_is_left()
    made = next(disturbed.store.glob("generate/*/manifest.json"))
    when = made.stat().st_mtime_ns

    slow = Line(s3.port)
    slow.delay = 0.05
    try:
        disturbed.go_on(**s3.environment(slow.port), MOTHERTONGUE_STORE_TIMEOUT="60")
    finally:
        slow.close()
    disturbed.ended_well(before)
    assert made.stat().st_mtime_ns == when, "responses that were not uploaded were made again"
