"""kill -9 of the flow, the engine, a trainer and the trainers' parent, while they are at work."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.disturbed import MOST_SECONDS, Disturbed, measured
from tests.waiting import until

pytestmark = pytest.mark.slow
FORK_SERVER = "tasks.fork_server.server"


def test_a_flow_that_is_killed_twice_goes_on_with_the_rows_it_has_kept(study: Callable[..., Disturbed]) -> None:
    disturbed = study("generate", "evaluate", "compare", "report")
    kept: dict[str, int] = {}
    for time_killed in (1, 2):
        disturbed.begin()
        enough = sum(kept.values()) + 1
        until(lambda rows=enough: sum(disturbed.kept("generate").values()) >= rows, "no more rows were kept")
        time.sleep(2)  # so that there are rows that were finished and not kept
        lost = disturbed.not_kept("generate")
        disturbed.process.send_signal(signal.SIGKILL)
        disturbed.process.wait()
        before = disturbed.finished
        kept = disturbed.kept("generate")
        disturbed.nothing_is_left()
        measured(time_killed=time_killed, seconds_lost=lost, kept=str(list(kept.values())))
        assert lost < MOST_SECONDS
        assert "Traceback" not in disturbed.said
    disturbed.go_on()
    disturbed.ended_well(before)
    disturbed.asked_for_the_rest("generate", kept)
    disturbed.nothing_is_left()


def test_a_run_whose_engine_trainer_and_trainers_parent_are_killed_ends_well(study: Callable[..., Disturbed]) -> None:
    disturbed = study("generate", "finetune", "compare", "report")
    disturbed.begin()
    disturbed.works_at("generate", rows=True)
    (engine,) = disturbed.processes("tasks.engine.process")
    key, kept = max(disturbed.kept("generate").items(), key=lambda one: one[1])
    os.kill(engine, signal.SIGKILL)
    before = disturbed.finished

    def trainers(besides: tuple[int, ...] = ()) -> list[int]:
        assert disturbed.process.poll() is None, disturbed.said
        parent, *trainers = disturbed.processes(FORK_SERVER) or [0]
        return [pid for pid in trainers if parent not in besides]

    until(trainers, "no trainer started", pause=0.05)
    parent, trainer = disturbed.processes(FORK_SERVER)[:2]
    os.kill(trainer, signal.SIGKILL)
    until(lambda: "the trainer was killed" in disturbed.said, "nobody noticed", pause=0.05)
    os.kill(parent, signal.SIGKILL)
    disturbed.ends(0)
    measured(kept=kept, asked_for_by_the_second=disturbed.manifest("generate", key)["facts"]["prompts"])
    for what in ("the trainer was killed", "parent process was lost"):
        (line, *_) = [line for line in disturbed.said.splitlines() if what in line]
        assert line.endswith("trying again"), line
    assert "Traceback" not in disturbed.said
    disturbed.ended_well(before)
    disturbed.nothing_is_left()
    assert [path.name for path in (disturbed.folder / "slots" / "scratch").iterdir()] == ["mutex"]
