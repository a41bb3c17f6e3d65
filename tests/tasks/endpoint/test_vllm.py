"""The real thing: a bundled model behind `vllm serve` on this machine, asked through the API and by our own engine."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from data.benchmark import find
from tasks.generate import generate
from tasks.models.endpoint import Endpoint, EndpointSettings
from tasks.models.model import BUNDLED, Model, weights
from tasks.models.sampling import Sampling
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.questions import questions
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row
from tests.tasks.endpoint.server import KEY

pytestmark = pytest.mark.slow
NAME = "abacus-teacher"
PATIENCE = 180.0


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base address of a vLLM server that has the bundled teacher."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("vllm") / "log"
    small = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "OMP_NUM_THREADS": "1"}
    with log.open("w") as to:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(BUNDLED / NAME)),
                *("--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port), "--api-key", KEY),
                *("--enforce-eager", "--dtype", "float32"),
            ],
            stdout=to,
            stderr=to,
            env={**os.environ, **small},
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + PATIENCE
            while not _healthy(port):
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline, "vLLM did not start"
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(autouse=True)
def environment(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def answers(model: Model | Endpoint, benchmark: str, count: int, sampling: Sampling, runtime: Runtime) -> list[Row]:
    world = find(benchmark)
    asked = questions(world.only("train"), "train", count, 0)
    execute(asked, runtime)
    made, _ = execute(generate(asked, model, world.prompt, sampling, 0), runtime)
    return [{name: row[name] for name in ("id", "sample", "response", "finish")} for row in made.rows()]


def hosted(**settings: int) -> Endpoint:
    return Endpoint(f"api:{NAME}", EndpointSettings(concurrency=32, timeout=120, **settings))


@pytest.mark.parametrize("family", ["abacus/ledger", "abacus/boxes"])
def test_greedy_answers_are_those_of_our_own_engine(runtime: Runtime, family: str) -> None:
    sampling = Sampling(max_tokens=160)
    through_api = answers(hosted(), family, 60, sampling, runtime)
    own = answers(weights(NAME), family, 60, sampling, runtime)
    assert through_api == own
    assert len({row["response"] for row in own}) > 50


def test_sampled_answers_are_the_same_again_and_vary(runtime: Runtime, tmp_path: Path) -> None:
    from tasks.storage.artifacts import Store

    sampling = Sampling(n=4, temperature=1.5, max_tokens=60)
    first = answers(hosted(), "abacus/ledger", 10, sampling, runtime)
    afresh = Runtime(Store(tmp_path), runtime.placement)
    assert answers(hosted(), "abacus/ledger", 10, sampling, afresh) == first
    assert len({row["response"] for row in first}) > 20


def test_what_the_server_refuses_is_one_line(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StageFailed, match=r"HTTP 400: .*4000.*2048.*row ledger/train") as caught:
        answers(hosted(), "abacus/ledger", 10, Sampling(max_tokens=4000), runtime)
    assert "\n" not in str(caught.value)
    with pytest.raises(StageFailed, match=r"HTTP 404: .*does not exist.*check the model id"):
        answers(Endpoint("api:nobody"), "abacus/ledger", 10, Sampling(), runtime)
    monkeypatch.setenv("OPENAI_API_KEY", "another-key-0123456789")
    with pytest.raises(StageFailed, match=r"HTTP 401: Unauthorized .*OPENAI_API_KEY"):
        answers(hosted(), "abacus/ledger", 11, Sampling(), runtime)


def test_a_whole_study_with_a_hosted_teacher_shows_its_key_nowhere(tmp_path: Path) -> None:
    study = {
        "name": "hosted",
        "student": "abacus-student",
        "train": ["abacus/boxes"],
        "evaluate": ["abacus/boxes"],
        "questions": {"train": 40, "evaluate": 20},
        "origins": {"tutor": {"kind": "teacher", "model": f"api:{NAME}", "max_tokens": 160}, "human": {}},
        "match": {"correct": "any"},
        "method": {"kind": "sft", "epochs": 1},
        "endpoints": {NAME: {"usd_per_million_input": 1, "usd_per_million_output": 4, "budget_usd": 1}},
    }
    (tmp_path / "hosted.yaml").write_text(yaml.safe_dump(study))
    home = {"PREFECT_HOME": str(tmp_path / "prefect"), "MOTHERTONGUE_STORE": str(tmp_path / "store")}
    loud = {"PREFECT_LOGGING_LEVEL": "DEBUG", "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG"}
    ended = subprocess.run(
        [sys.executable, "-m", "flows.main", "run", "hosted.yaml"],
        cwd=tmp_path,
        env={**os.environ, **home, **loud, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    perplexity = pd.read_csv(tmp_path / "runs" / "hosted" / "perplexity.csv")
    assert set(perplexity["origin"]) == {"human", "tutor"}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files), "Prefect's own database is among what is searched"
    for text in (ended.stdout, ended.stderr, *(path.read_bytes().decode(errors="replace") for path in files)):
        assert KEY not in text
        assert os.environ["OPENAI_BASE_URL"] not in text
