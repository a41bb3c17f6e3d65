"""Two studies in one process, read before either runs: each keeps its own settings, budget, name and outcome."""

import json
import subprocess
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.config.study_file import checked
from flows.execution import session
from flows.execution.options import RunOptions
from flows.planning.plan import Plan, expand
from tasks.endpoint.budget import Spent, spent
from tasks.models.endpoint import Endpoint
from tasks.pipeline import runtime
from tasks.pipeline.runtime import Runtime
from tasks.storage.artifacts import Store
from tests.flows.test_study import environment
from tests.tasks.endpoint.server import KEY, Asked, EndpointServer, Reply, chat
from tests.waiting import PATIENCE, until

RUN_BOTH = """
import json, sys
from pathlib import Path
from flows.cli.run import run
from flows.config.study_file import load
from flows.execution.options import RunOptions

studies = [load(f"{name}.yaml") for name in ("first", "second")]
for study in studies:
    code = run(study, RunOptions.of(strict=False), as_json=False)
    (lock,) = Path(sys.argv[1]).glob("engine/*.lock")
    print(json.dumps({"study": study.name, "code": code, "engine": json.loads(lock.read_text())["study"]}))
"""


def study(name: str, max_tokens: int = 20, evaluate: int = 4, **endpoint: Any) -> dict[str, Any]:
    return {
        "name": name,
        "student": "abacus-student",
        "train": ["abacus/boxes"],
        "evaluate": ["abacus/boxes"],
        "questions": {"train": 12, "evaluate": evaluate},
        "origins": {"tutor": {"kind": "teacher", "model": "api:tutor-1", "max_tokens": max_tokens}},
        "match": {"correct": "any"},
        "endpoints": {"tutor-1": endpoint},
    }


def tutor(plan: Plan) -> Endpoint:
    generated = [node.values["model"] for node in plan.nodes if node.stage.name == "generate"]
    (model,) = {model for model in generated if isinstance(model, Endpoint)}
    return model


def test_each_plan_has_its_own_settings_and_budget() -> None:
    first = checked(study("first", concurrency=3, budget_tokens=1000))
    second = checked(study("second", concurrency=5, budget_tokens=2000))
    one, other = tutor(expand(first)), tutor(expand(second))
    assert (one.study, one.settings.concurrency, one.settings.budget_tokens) == ("first", 3, 1000)
    assert (other.study, other.settings.concurrency, other.settings.budget_tokens) == ("second", 5, 2000)


def test_each_run_has_its_own_settings_budget_slots_and_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "first": study("first", max_tokens=20, concurrency=1, budget_tokens=1500),
        "second": study("second", max_tokens=24, evaluate=5, concurrency=3, budget_tokens=4000),
    }
    for name, values in given.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(values))
    at_once: dict[int, int] = defaultdict(int)
    allowed = {20: 1, 24: 3}

    def behave(asked: Asked, before: int) -> Reply:
        of = asked.body["max_tokens"]

        def all_that_may() -> bool:
            at_once[of] = max(at_once[of], server.inside)
            return at_once[of] >= allowed[of]

        until(all_that_may, "fewer were asked at once than may be")
        reply = chat(usage={"prompt_tokens": 400, "completion_tokens": 5})
        reply.after = 0.2  # for one more than may be
        return reply

    with EndpointServer().running() as server:
        server.behave = behave
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        ended = subprocess.run(
            [sys.executable, "-c", RUN_BOTH, str(tmp_path / "slots")],
            cwd=tmp_path,
            env={
                **environment(tmp_path),
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # as `mothertongue` has it
            },
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert ended.returncode == 0, ended.stderr
    assert [json.loads(line) for line in ended.stdout.splitlines()] == [
        {"study": "first", "code": 1, "engine": "first"},
        {"study": "second", "code": 1, "engine": "second"},
    ]
    assert at_once == allowed, "each study's own concurrency"
    failed = [line for line in ended.stderr.splitlines() if line.startswith("failed: ")]
    sent = {of: sum(asked.body["max_tokens"] == of for asked in server.asked) for of in (20, 24)}
    assert 0 < sent[20] < sent[24] < 12
    for line, name, count, budget in zip(failed, given, sent.values(), ("1,500", "4,000"), strict=True):
        assert line.startswith("failed: generate tutor/abacus/boxes: api:tutor-1: the budget is reached: ")
        assert f"{405 * count:,} tokens of {budget} (budget_tokens) spent" in line
        assert line.endswith(f"go on with: mothertongue run {name}.yaml")
        paid = spent(Store(tmp_path / "store"), Endpoint("api:tutor-1", study=name))
        assert paid == Spent(400 * count, 5 * count, requests=count)


def test_runs_side_by_side_in_one_process_do_not_see_each_other(tmp_path: Path) -> None:
    both_begun = threading.Barrier(2, timeout=PATIENCE)

    def run(tracker: str) -> tuple[str, Path, Path]:
        made = Runtime(Store(tmp_path / tracker))
        with session.started(RunOptions(tracker=tracker), made), ThreadPoolExecutor(1) as pool:
            both_begun.wait()
            inside = copy_context()  # as Prefect's task runner does
            of_task = pool.submit(inside.run, lambda: runtime.current().store.root).result()
            mine = session.current()
            assert mine is not None
            both_begun.wait()
            return mine.options.tracker, runtime.current().store.root, of_task

    with ThreadPoolExecutor(2) as pool:
        for name, result in zip("ab", pool.map(run, "ab"), strict=True):
            assert result == (name, tmp_path / name, tmp_path / name)
    assert session.current() is None
    assert runtime.of_run() is None
