"""The Prefect server is killed while a study is at work, comes back or does not; its records are damaged."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.disturbed import Disturbed, measured
from tests.flows.prefect_server import Server
from tests.tasks.s3 import free_port

pytestmark = pytest.mark.slow
AWAY = 15.0


def test_a_server_that_comes_back_loses_nothing(study: Callable[..., Disturbed], prefect: Server) -> None:
    disturbed = study("generate", "verify", "compare", "report", PREFECT_API_URL=prefect.api)
    disturbed.begin()
    disturbed.works_at("generate", rows=True)
    before = disturbed.finished
    prefect.kill()
    time.sleep(AWAY)
    prefect.start()
    disturbed.ends(0)
    assert "Traceback" not in disturbed.said
    disturbed.ended_well(before)
    disturbed.nothing_is_left()
    assert [run["state_type"] for run in prefect.flow_runs()] == ["COMPLETED"]


def test_a_study_ends_well_without_the_server_that_it_began_with(
    study: Callable[..., Disturbed], prefect: Server
) -> None:
    disturbed = study("generate", "verify", "compare", "report", PREFECT_API_URL=prefect.api)
    disturbed.begin()
    disturbed.works_at("generate", rows=True)
    before = disturbed.finished
    prefect.kill()
    took = disturbed.ends(0)
    measured(took=took)
    assert "The Prefect server could not be told how this run has ended" in disturbed.said
    assert "Traceback" not in disturbed.said
    disturbed.ended_well(before)
    disturbed.nothing_is_left()


def test_a_server_that_is_not_there_at_first_is_one_line(study: Callable[..., Disturbed]) -> None:
    address = f"http://127.0.0.1:{free_port()}/api"
    disturbed = study("compare", "report", PREFECT_API_URL=address)
    disturbed.begin()
    disturbed.ends(2)
    (line,) = disturbed.said.splitlines()
    assert line.startswith(f"error: PREFECT_API_URL={address}: no server answers")
    assert "prefect server start" in line


def test_a_study_ends_well_without_its_own_server(study: Callable[..., Disturbed]) -> None:
    disturbed = study("generate", "verify", "compare", "report")
    disturbed.begin()
    disturbed.works_at("generate", rows=True)
    before = disturbed.finished
    own = disturbed.processes("prefect.server.api.server:create_app")
    assert own
    for pid in own:
        os.kill(pid, signal.SIGKILL)
    disturbed.ends(0)
    assert "Traceback" not in disturbed.said
    disturbed.ended_well(before)
    disturbed.nothing_is_left()
