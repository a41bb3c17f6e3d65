"""A run that is stopped or cancelled at each stage: nothing is left behind, and the next run does only the rest."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deployments.places import await_ as await_state
from tests.deployments.places import server, worker
from tests.faults.disturbed import GO_ON, STAGES, STUDY, Disturbed, measured, same_results
from tests.faults.left_behind import nothing_is_left, running
from tests.flows.prefect_server import Server
from tests.waiting import until

pytestmark = pytest.mark.slow
TRIES = 3
SHORT = ("leak", "references", "verify", "select", "evaluate")
"""Stages of a few hundredths of a second here, which may end before a signal comes."""
LONG = ("generate",)
"""Stages that are stopped when they have kept rows."""
CANCELLED = ("generate", "finetune")


def stopped_at(disturbed: Disturbed, stage: str, how: signal.Signals) -> bool:
    """Start it and stop it when the stage is at work; False where the stage was passed too fast to be caught."""
    disturbed.begin()
    caught = bool(disturbed.works_at(stage, rows=stage in LONG, held=True))
    os.killpg(disturbed.process.pid, how) if how == signal.SIGINT else disturbed.process.send_signal(how)
    disturbed.process.send_signal(signal.SIGCONT)
    disturbed.ends(128 + how, 120)
    return caught


def test_a_run_stopped_at_every_stage_in_turn_ends_as_one_in_peace(
    study: Callable[..., Disturbed], prefect: Server
) -> None:
    disturbed = study(PREFECT_API_URL=prefect.api)
    before: dict[str, int] = {}
    kept: dict[str, dict[str, int]] = {}
    for number, stage in enumerate(STAGES):
        how = (signal.SIGINT, signal.SIGTERM)[number % 2]
        for _ in range(TRIES):
            if caught := stopped_at(disturbed, stage, how):
                break
            shutil.rmtree(disturbed.store / stage)
        measured(stage=stage, stopped_by=how.name, caught_at_work=str(caught))
        assert caught or stage in SHORT
        assert "Traceback" not in disturbed.said
        if how == signal.SIGINT:
            assert f"Stopped. What is finished is kept; {GO_ON}" in disturbed.said
        disturbed.nothing_is_left()
        state = prefect.flow_runs()[0]["state"]
        told = ("CANCELLED", "Ctrl-C") if how == signal.SIGINT else ("CRASHED", "SIGTERM")
        assert state["type"] == told[0], state
        assert told[1] in state["message"]
        assert "What is finished is kept" in state["message"]
        now = disturbed.finished
        still = {name: when for name, when in before.items() if not name.startswith(stage)}
        assert {name: now.get(name) for name in still} == still, "something finished was made again"
        before = now
        if stage in LONG:
            kept[stage] = disturbed.kept(stage)
    disturbed.go_on()
    disturbed.ended_well(before)
    for stage, rows in kept.items():
        disturbed.asked_for_the_rest(stage, rows)


def test_a_run_cancelled_in_prefect_at_one_stage_after_another_ends_as_one_in_peace(
    tmp_path: Path, peace: Path
) -> None:
    with server(tmp_path, MOTHERTONGUE_SLOTS=str(tmp_path / "slots")) as place:
        store = Path(place.environment["MOTHERTONGUE_STORE"])
        shutil.copytree(peace / "store", store, ignore=shutil.ignore_patterns("locks", *CANCELLED, "compare", "report"))
        place.mothertongue("deploy", "abacus", *STUDY)
        with worker(place):
            for stage in CANCELLED:
                id = place.start("faults")

                def at_work(stage: str = stage, id: str = id) -> bool:
                    assert place.flow_run(id)["state"]["type"] not in {"FAILED", "CRASHED", "COMPLETED"}
                    wanted = "parts/*.parquet" if stage in LONG else "scratch/trainer.log"
                    return any(list(each.glob(wanted)) for each in (store / stage).glob("*"))

                until(at_work, f"{stage} did not begin", pause=0.2)
                place.prefect("flow-run", "cancel", id)
                state = place.ended(id)
                assert state["type"] == "CANCELLED", state
                await_state(lambda: not of_runs(tmp_path), "processes were left behind", 30)
                before = {path: path.stat().st_mtime_ns for path in store.glob("*/*/manifest.json")}
            done = place.ended(place.start("faults"))
            assert done["type"] == "COMPLETED", done
    assert {path: path.stat().st_mtime_ns for path in before} == before, "something finished was made again"
    same_results(tmp_path, peace)
    nothing_is_left(tmp_path)


def of_runs(folder: Path) -> list[str]:
    """What runs still, the server and its worker aside."""
    return [command for _, command in running(folder) if "tasks." in command or "prefect.engine" in command]
