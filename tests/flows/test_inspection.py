"""What a person sees in the Prefect UI, asked of a real server; tests/deployments/test_pages.py looks at the pages."""

import re
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient

from flows.ui import background_sender, run_log
from flows.ui.artifacts import cost
from flows.ui.background_sender import BackgroundSender
from flows.ui.run_log import how_far
from tasks.reporting.formatting import duration
from tests.deployments.places import Place
from tests.flows.inspected import ROWS
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def server(place: Place) -> str:
    return place.api


def asked(api: str, what: str, **filters: Any) -> list[dict[str, Any]]:
    """All the server knows of one kind of thing."""
    found: list[dict[str, Any]] = []
    while True:
        answer = httpx.post(f"{api}/{what}/filter", json={**filters, "offset": len(found)}, timeout=PATIENCE)
        answer.raise_for_status()
        if not answer.json():
            return found
        found += answer.json()


def run_named(api: str, name: str) -> dict[str, Any]:
    return asked(api, "flow_runs", flow_runs={"name": {"any_": [name]}}, sort="START_TIME_DESC")[0]


def of_run(run: dict[str, Any]) -> dict[str, Any]:
    return {"flow_runs": {"id": {"any_": [run["id"]]}}}


# A step as its server knows it


@pytest.fixture(scope="module")
def little(server: str, place: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The flow of `inspected.py`: its run, and what the server said of the slow step while it worked."""
    folder = tmp_path_factory.mktemp("little")
    command = [sys.executable, "-m", "tests.flows.inspected", str(folder / "store"), str(folder / "seen")]
    program = subprocess.Popen(command, env=place.environment)
    seen: list[dict[str, Any]] = []
    while program.poll() is None:
        seen += asked(server, "task_runs", task_runs={"name": {"like_": "slowly"}})
        if any(run["state_type"] == "RUNNING" and run["tags"] for run in seen):
            (folder / "seen").touch()
        time.sleep(0.3)
    assert program.returncode == 0
    return {"run": run_named(server, "little"), "seen": seen}


def test_runs_are_named_and_tagged_also_while_they_work(server: str, little: dict[str, Any]) -> None:
    assert {*little["run"]["tags"]} == {"study:little", "student:tiny"}
    steps = {run["name"]: run for run in asked(server, "task_runs", **of_run(little["run"]))}
    assert {"made ledger", "slowly self/ledger", "broken human/ledger"} == {*steps}
    assert steps["slowly self/ledger"]["tags"] == ["origin:self", "seed:0"]
    assert steps["broken human/ledger"]["state_type"] == "FAILED"
    working = [run for run in little["seen"] if run["state_type"] == "RUNNING" and run["tags"]]
    assert working, "the tags could be seen only when the step had ended"
    assert working[0]["run_count"] == 1


def test_progress_is_a_line_in_the_log_and_an_artifact(server: str, little: dict[str, Any]) -> None:
    lines = [line["message"] for line in asked(server, "logs", logs={"flow_run_id": {"any_": [little["run"]["id"]]}})]
    assert "slowly self/ledger: loss 0.25" in lines
    said = rf"slowly self/ledger: \d+ of {ROWS} rows, [\d.]+ rows/s, about [\d.]+ s left"
    progress = [line for line in lines if re.fullmatch(said, line)]
    assert 2 <= len(progress) <= ROWS, lines
    [shown] = [a for a in asked(server, "artifacts", **of_run(little["run"])) if a["type"] == "progress"]
    assert shown["key"] == "little-slowly-self-ledger-progress"
    assert shown["data"] == 100.0
    assert shown["description"].startswith(f"slowly self/ledger: {ROWS} of {ROWS} rows, ")


def test_a_state_says_what_was_made_and_where(server: str, little: dict[str, Any]) -> None:
    states = [run["state"]["message"] for run in asked(server, "task_runs", **of_run(little["run"]))]
    assert any(re.fullmatch(rf"{ROWS} rows in [\d.]+ s: .*/store/slowly/\w+", str(said)) for said in states), states
    assert any(re.fullmatch(r"found in the store: .*/store/made/\w+", str(said)) for said in states), states


# Nothing depends on it


def test_what_cannot_be_sent_is_dropped_and_the_rest_comes_in_order(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_sender, "PAUSE", 0.01)
    box, came = BackgroundSender(lambda: SyncPrefectClient(server)), []

    def lost(client: Any) -> None:
        raise httpx.ConnectError("no server")

    box.send(lost)
    for number in range(3):
        box.send(lambda client, number=number: came.append(number))  # type: ignore[misc]
    assert box.settle(60)
    assert came == [0, 1, 2]


def test_only_the_newest_message_about_a_thing_is_sent(server: str) -> None:
    box, came = BackgroundSender(lambda: SyncPrefectClient(server)), []
    with box._changed:  # the thread cannot take a message before all are there
        for number in range(100):
            box.send(lambda client, number=number: came.append(number), about="a stage")  # type: ignore[misc]
    assert box.settle(60)
    assert came == [99]


@pytest.mark.parametrize(
    ("done", "total", "at_first", "seconds", "said"),
    [
        (4096, 10_000, 0, 3.4, "4,096 of 10,000 rows, 1,205 rows/s, about 4.9 s left"),
        (4096, 10_000, 4000, 48, "4,096 of 10,000 rows, 2.0 rows/s, about 49 min left"),
        (10_000, 10_000, 0, 100, "10,000 of 10,000 rows, 100 rows/s"),
        (500, 10_000, 500, 10, "500 of 10,000 rows"),
        (1, 1000, 0, 60, "1 of 1,000 rows, 1.0 rows/min, about 16.6 h left"),
    ],
)
def test_how_far_a_stage_is(done: int, total: int, at_first: int, seconds: float, said: str) -> None:
    assert how_far("rows", done, total, at_first, seconds) == said


def test_the_start_of_an_engine_is_no_time_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, lines = [0.0], list[str]()
    monkeypatch.setattr(run_log.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(run_log, "line", lambda text, error=False: lines.append(text))
    told = run_log.Inspection()
    monkeypatch.setattr(told, "_show", lambda *shown: None)
    told("start", "generate self/ledger", {})
    for clock[0], done in ((60.0, 1), (62.0, 21), (75.5, 156), (77.0, 171)):
        told("progress", "generate self/ledger", {"done": done, "total": 1000, "unit": "questions"})
    assert lines == [
        "generate self/ledger: 21 of 1,000 questions, 10 questions/s, about 98 s left",
        "generate self/ledger: 171 of 1,000 questions, 10 questions/s, about 83 s left",
    ]


def test_training_counts_steps() -> None:
    assert how_far("steps", 60, 180, 0, 6) == "60 of 180 steps, 10 steps/s, about 12 s left"


def test_durations() -> None:
    assert [duration(s) for s in (0.04, 9.94, 12.4, 99.4, 100, 5900, 7200)] == [
        *("0.0 s", "9.9 s", "12 s", "99 s", "2 min", "98 min", "2.0 h"),
    ]


def test_cost_adds_up_by_stage_and_says_what_this_run_took() -> None:
    steps = [
        {"stage": "generate", "made": True, "rows": 1200, "seconds": 30.0, "tokens": 60_000, "usd": 1.5},
        {"stage": "generate", "made": False, "rows": 300, "seconds": 10.0, "tokens": 9_000, "usd": None},
        {"stage": "compare", "made": True, "rows": None, "seconds": 2.0, "tokens": None, "usd": None},
    ]
    generate, compare, everything = cost(steps)
    assert generate == {
        **{"stage": "generate", "steps": "2", "in this run": "1", "rows": "1,500", "tokens": "69,000"},
        **{"time": "40 s", "of it in this run": "30 s", "API": "$1.50"},
    }
    assert (compare["rows"], compare["tokens"], compare["API"]) == ("–", "–", "–")
    assert (everything["stage"], everything["steps"], everything["time"]) == ("all", "3", "42 s")
