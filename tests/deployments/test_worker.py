"""Studies on a real server and worker: run, resumed, cancelled, by schedule, and what automations do about them."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from data import benchmark
from data.benchmark import questions_of
from tests.deployments.places import Place, await_, server, worker

AUTOMATIONS = Path(__file__).resolve().parents[2] / "deployments" / "automations"
LATE = {
    "name": "late",
    "student": "abacus-student",
    "train": ["abacus/ledger"],
    "evaluate": ["abacus/ledger"],
    "questions": {"train": 20, "evaluate": 8},
    "origins": {"human": {}, "old": {"kind": "imported", "path": "old.jsonl"}},
    "match": {"correct": "any"},
    "method": {"kind": "sft", "epochs": 1},
    "decoding": {"max_tokens": 120},
}
LONG = [
    *("--set", "name=long"),
    *("--set", "train=[abacus/boxes]"),
    *("--set", "evaluate=[abacus/boxes]"),
    *("--set", "origins={human: {}, self: {samples: 16, temperature: 0.7, max_tokens: 120}}"),
    *("--set", "questions={train: 300, evaluate: 100}"),
    *("--set", "seeds=[0]"),
]
OURS = ("tasks.engine", "tasks.training", "prefect.engine", "flows.main")
"""What a run's processes are called."""
WORKER = "flows.main worker"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with server(tmp_path_factory.mktemp("worker")) as found:
        yield found


def responses(whole: bool) -> str:
    """A file of responses to the study's questions; where it is not whole, its second line is broken off."""
    rows = questions_of(benchmark.find("abacus/ledger"), "train", 20, 0)
    lines = [json.dumps({"question": row["question"], "response": row["reference"]}) for row in rows]
    return "\n".join(lines if whole else [lines[0], lines[1][:30]])


def left(place: Place, *names: str) -> list[str]:
    """Command lines of the place's processes that run studies, or are called by these names."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            if str(place.folder).encode() not in (process / "environ").read_bytes():
                continue
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if any(name in line for name in names or OURS) and WORKER not in line:
            found.append(line)
    return found


@pytest.mark.slow
def test_what_failed_is_resumed_by_retry(place: Place) -> None:
    for file in ("failed", "finished"):
        place.prefect("automation", "create", "--from-file", str(AUTOMATIONS / f"{file}.yaml"))
    (place.folder / "late.yaml").write_text(yaml.safe_dump(LATE))
    (place.folder / "old.jsonl").write_text(responses(whole=False))
    place.mothertongue("deploy", "late.yaml")
    with worker(place):
        id = place.start("late")
        failed = place.ended(id)
        assert failed["type"] == "FAILED", failed
        lines = failed["message"].splitlines()
        assert any(line.startswith("imported old/abacus/ledger: ") and "old.jsonl" in line for line in lines), lines
        assert "steps" in lines[0]
        assert "What is finished is kept" in lines[-1]
        assert "mothertongue run late" in lines[-1]
        await_(lambda: place.deployment("late")["paused"], "the automation did not pause the deployment")

        (place.folder / "old.jsonl").write_text(responses(whole=True))
        # Prefect's worker would take the end of the failed process for that of the retry.
        await_(lambda: not left(place), "the process of the failed run did not end")
        place.prefect("flow-run", "retry", id)
        await_(lambda: place.flow_run(id)["state"]["type"] != "FAILED", "the retry did not begin")
        done = place.ended(id)
        assert (done["type"], done["name"]) == ("COMPLETED", "Completed"), done
        assert "0 failed" in done["message"]
        found = int(done["message"].split(" stages run, ")[1].split(" ")[0])
        assert found >= 4, "questions, references, verdicts and scores of the other origin were there"
        assert place.flow_run(id)["run_count"] == 2
        assert (place.folder / "runs" / "late" / "report.html").is_file()
        await_(lambda: not place.deployment("late")["paused"], "the automation did not let the schedule go on")

        again = place.ended(place.start("late"))
        assert (again["type"], again["name"]) == ("COMPLETED", "Cached"), again
        assert "\n0 stages run, " in again["message"]


@pytest.mark.slow
def test_a_run_of_the_command_line_is_resumed_by_retry(place: Place) -> None:
    (place.folder / "late.yaml").write_text(yaml.safe_dump(LATE))
    (place.folder / "old.jsonl").write_text(responses(whole=False))
    changes = ("--set", "name=by-hand", "--set", "questions.evaluate=9")
    ended = place.mothertongue("run", "late.yaml", *changes, check=False)
    assert ended.returncode == 1, ended.stderr  # the other arms went on
    assert "error: imported old/abacus/ledger: " in ended.stderr
    (run,) = [each for each in place.runs() if each["name"] == "by-hand"]
    assert run["state"]["type"] == "FAILED"
    (place.folder / "old.jsonl").write_text(responses(whole=True))
    place.prefect("flow-run", "retry", run["id"], "--entrypoint", "flows.study.study_flow")
    state = place.flow_run(run["id"])["state"]
    assert state["type"] == "COMPLETED"
    assert "0 failed" in state["message"]
    assert (place.folder / "runs" / "by-hand" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to look for processes left behind")
def test_a_cancelled_run_leaves_nothing_behind_and_keeps_its_rows(place: Place) -> None:
    place.mothertongue("deploy", "abacus", *LONG)
    with worker(place):
        id = place.start("long")

        def kept() -> list[Path]:
            assert place.flow_run(id)["state"]["type"] not in {"FAILED", "CRASHED", "COMPLETED"}
            return list((place.folder / "store" / "generate").glob("*/parts/*"))

        await_(kept, "no row was kept")
        assert left(place)
        place.prefect("flow-run", "cancel", id)
        state = place.ended(id)
        assert state["type"] == "CANCELLED", state
        await_(lambda: not left(place), "processes were left behind", 30)
        assert list((place.folder / "store" / "generate").glob("*/parts/*"))
        time.sleep(3)  # for a second opinion of the worker, if it had one
        assert place.flow_run(id)["state"]["type"] == "CANCELLED"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to look for processes left behind")
def test_a_service_that_is_stopped_takes_its_run_along_and_keeps_its_rows(place: Place) -> None:
    """What systemd and the compose file do: SIGTERM for the worker, and after 75 s SIGKILL."""
    place.mothertongue("deploy", "abacus", *LONG, "--set", "name=stopped", "--set", "origins.self.samples=15")
    before = {*(place.folder / "store" / "generate").glob("*/parts/*")}
    with worker(place) as service:
        id = place.start("stopped")

        def kept() -> bool:
            assert place.flow_run(id)["state"]["type"] not in {"FAILED", "CRASHED", "COMPLETED"}
            return not before >= {*(place.folder / "store" / "generate").glob("*/parts/*")}

        await_(kept, "no row was kept")
        service.send_signal(signal.SIGTERM)
        assert service.wait(60) == 0
        assert not left(place), "processes were left behind"
    state = place.flow_run(id)["state"]
    assert (state["type"], (state["message"] or "").split(".")[0]) == ("CRASHED", "Stopped by SIGTERM from outside")
    assert not before >= {*(place.folder / "store" / "generate").glob("*/parts/*")}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to look for processes left behind")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGHUP])
def test_a_worker_and_its_run_do_not_outlive_the_command(place: Place, how: signal.Signals) -> None:
    name = f"gone-{how.name.lower()}"
    place.mothertongue("deploy", "abacus", *LONG, "--set", f"name={name}", "--set", "origins.self.samples=14")
    with worker(place) as service:
        id = place.start(name)
        await_(lambda: place.flow_run(id)["state"]["type"] == "RUNNING" and left(place), "it did not begin")
        service.send_signal(how)
        await_(lambda: not left(place, "prefect worker start", *OURS), "processes were left behind", 60)
    if how == signal.SIGHUP:
        assert place.flow_run(id)["state"]["type"] == "CRASHED"


@pytest.mark.slow
def test_a_schedule_runs_the_study_by_itself_the_second_time_from_the_store(place: Place) -> None:
    scheduled = {**LATE, "name": "scheduled", "origins": {"human": {}}, "seeds": [3]}
    (place.folder / "scheduled.yaml").write_text(yaml.safe_dump(scheduled))
    place.mothertongue("deploy", "scheduled.yaml", "--cron", "* * * * *")
    with worker(place, "--limit", "1"):

        def two() -> bool:
            return sum(run["state"]["type"] == "COMPLETED" for run in place.runs("scheduled")) >= 2

        await_(two, "it did not run twice")
        place.mothertongue("deploy", "scheduled.yaml")  # without a schedule
    first, second, *_ = [run for run in place.runs("scheduled") if run["state"]["type"] == "COMPLETED"]
    assert first["auto_scheduled"]
    assert second["auto_scheduled"]
    assert first["state"]["name"] == "Completed"
    assert second["state"]["name"] == "Cached"
    assert "\n0 stages run, " in second["state"]["message"]
    assert place.deployment("scheduled")["schedules"] == []
