"""A stage that asks an endpoint is killed at any moment: no finished question is asked, or paid for, twice."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tasks.endpoint.budget import Budget
from tasks.generate import generate
from tasks.models.endpoint import Endpoint, EndpointSettings
from tasks.models.sampling import Sampling
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node, stage
from tasks.resources.placement import Placement
from tasks.storage.artifacts import Artifact, Store
from tasks.storage.rows import Row
from tests.tasks.endpoint.server import KEY, Asked, EndpointServer, Reply, chat

COUNT = 150
CONCURRENCY = 6
TUTOR = Endpoint("api:tutor", EndpointSettings(concurrency=CONCURRENCY, budget_tokens=10**6), "a-study")


@stage()
def asked(count: int) -> list[Row]:
    return [{"id": f"q{i}", "question": f"What is {i}?"} for i in range(count)]


def node() -> Node:
    return generate(asked(COUNT), TUTOR, "{{ question }}", Sampling(max_tokens=20), 0)


def run(folder: Path) -> Artifact:
    runtime = Runtime(Store(folder), Placement(trainers=1))
    execute(asked(COUNT), runtime)
    return execute(node(), runtime)[0]


def test_kill_9_three_times_and_on_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def behave(asked: Asked, before: int) -> Reply:
        reply = chat(f"It is {asked.prompt}")
        reply.after = 0.02
        return reply

    script = f"""
        from pathlib import Path
        from tests.tasks.endpoint.test_resume import run
        run(Path({str(tmp_path)!r}))
    """
    with EndpointServer().running() as server:
        server.behave = behave
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        for goal in (30, 60, 90):
            child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], env=dict(os.environ))
            while len(server.answered) < goal:
                assert child.poll() is None, "it ended before it could be killed"
                time.sleep(0.005)
            child.send_signal(signal.SIGKILL)
            child.wait()
            time.sleep(0.1)
        made = run(tmp_path)
        again = len(server.asked) - COUNT
        twice = len(server.answered) - COUNT
    assert [row["response"] for row in made.rows()] == [f"It is What is {i}?" for i in range(COUNT)]
    assert again <= 3 * CONCURRENCY, "only what was under way when it was killed may be asked again"
    assert twice <= again
    spent = Budget(Store(tmp_path), TUTOR).total()
    assert made.facts["api_requests"] == spent.requests
    assert len(server.asked) <= spent.requests <= len(server.asked) + 3 * CONCURRENCY
    assert spent.tokens >= len(server.answered) * 14
    lost = spent.tokens - COUNT * 14
    assert lost <= 3 * CONCURRENCY * (300 + 20), "a lost reply counts as the most it can have cost"
