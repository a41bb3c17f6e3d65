"""No key and no address with one stands anywhere but in the environment."""

import base64
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from data.errors import InputError
from flows.cli import plan_page
from flows.config.study_file import load
from tasks.endpoint import client
from tasks.endpoint.budget import Budget
from tasks.endpoint.secrets import access, masked
from tasks.generate import generate
from tasks.models.endpoint import Endpoint, EndpointSettings
from tasks.models.sampling import Sampling
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import stage
from tasks.resources.errors import StageFailed, Transient
from tasks.resources.placement import Placement
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row
from tests.tasks.endpoint.server import KEY, Asked, EndpointServer, Reply, chat, error

PASSWORD = "pass word/0123456789"


@stage()
def asked(count: int) -> list[Row]:
    return [{"id": f"q{i}", "question": f"What is {i}?"} for i in range(count)]


@pytest.fixture(params=["key", "address"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[EndpointServer]:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(client, "TRIES", 3)
    with EndpointServer().running() as running:
        url = running.url
        if request.param == "address":
            url = url.replace("://", f"://user:{quote(PASSWORD, safe='')}@")
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield running


def spellings(*secrets: str) -> set[str]:
    pairs = [base64.b64encode(f"user:{PASSWORD}".encode()).decode()]
    return {said for one in (*secrets, *pairs) for said in (one, quote(one, safe=""), json.dumps(one)[1:-1])}


def assert_clean(text: str) -> None:
    for secret in spellings(KEY, PASSWORD):
        assert secret not in text


def test_a_server_that_echoes_what_it_is_sent(
    server: EndpointServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    notes: list[Any] = []
    runtime = Runtime(Store(tmp_path), Placement(trainers=1), listener=lambda *what: notes.append(what))

    def echo(asked: Asked, before: int) -> Reply:
        said = f"{asked.headers['authorization']} {KEY}"
        if "@" in os.environ["OPENAI_BASE_URL"]:
            said += f" {quote(PASSWORD, safe='')} {PASSWORD}"
        match int(asked.prompt.split()[2].rstrip("?")) % 4 if before == 0 else 0:
            case 1:
                return error(500, said, x_echo=said.replace("\n", " "))
            case 2:
                return error(429, said, retry_after="0.1")
            case 3:
                return chat(said, finish=said)
        return chat(said)

    server.behave = echo
    execute(asked(12), runtime)
    settings = EndpointSettings(concurrency=2, unusable=0.5)
    made = execute(generate(asked(12), Endpoint("api:m", settings, "s"), "{{ question }}", Sampling(), 0), runtime)[0]
    assert all("***" in row["response"] for row in made.rows())
    texts = [str(notes), caplog.text]
    for status in (401, 500):
        server.behave = lambda asked, before, status=status: error(
            status, f"bad {asked.headers['authorization']} {KEY}"
        )
        with pytest.raises((StageFailed, Transient)) as caught:
            execute(generate(asked(12), Endpoint("api:n", settings), "{{ question }}", Sampling(), 0), runtime)
        assert "***" in str(caught.value)
        texts += [str(caught.value), repr(caught.value), str(caught.getrepr(style="long", showlocals=False))]
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("answers" in path.parts for path in kept)
    assert any(path.name == "rows.parquet" for path in kept)
    for text in (*texts, *(path.read_bytes().decode(errors="replace") for path in kept), *map(str, kept)):
        assert_clean(text)
    uncompressed = " ".join(str(row) for row in made.rows())
    assert_clean(uncompressed)


def test_the_repr_of_what_holds_a_key_does_not_show_it(server: EndpointServer) -> None:
    assert_clean(repr(access(Endpoint("api:m"))))


def test_what_the_environment_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InputError, match=r"api:m needs the environment variable OPENAI_API_KEY .*or OPENAI_BASE_URL"):
        access(Endpoint("api:m"))
    with pytest.raises(InputError, match="api:m needs the environment variable MINE, which is not set"):
        access(Endpoint("api:m", EndpointSettings(base_url_env="MINE")))
    for wrong in (
        f"host/{PASSWORD}",
        f"ftp://u:{quote(PASSWORD)}@h",
        f"http://h/v1?key={KEY}",
        "http://h:port",
        "http://",
    ):
        monkeypatch.setenv("OPENAI_BASE_URL", wrong)
        with pytest.raises(InputError, match="OPENAI_BASE_URL holds no address") as caught:
            access(Endpoint("api:m"))
        assert_clean(str(caught.value))
    monkeypatch.setenv("OPENAI_BASE_URL", "http://h/v1")
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nmore")
    with pytest.raises(InputError, match="OPENAI_API_KEY holds no key") as caught:
        access(Endpoint("api:m"))
    assert_clean(str(caught.value))
    monkeypatch.delenv("OPENAI_API_KEY")
    assert access(Endpoint("api:m")).url == "http://h/v1/chat/completions"
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert access(Endpoint("api:m")).url == "https://api.openai.com/v1/chat/completions"


def test_masking_leaves_innocent_text_alone() -> None:
    for text in ("risk-free skateboarding-championship-2024", "sk-short", "http://host/v1 a@b", "EMPTY", "the hf-hub"):
        assert masked(text, ()) == text
    assert masked("key sk-proj-abcDEF0123456789abcdef!", ()) == "key ***!"
    assert masked("at https://me:pw@host/v1", ()) == "at https://***@host/v1"


STUDY = {
    "name": "hosted",
    "student": "abacus-student",
    "train": ["abacus/boxes"],
    "evaluate": ["abacus/boxes"],
    "questions": {"train": 20, "evaluate": 5},
    "origins": {"tutor": {"kind": "teacher", "model": "api:gpt-x.1", "max_tokens": 50}, "human": {}},
}
LOOKING_LIKE_A_KEY = "sk-proj-0123456789abcdefABCDEF"


def written(folder: Path, **changes: Any) -> str:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**STUDY, **changes}))
    return str(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"endpoints": {"gpt-x.1": {"api_key": "abc"}}}, "endpoints.gpt-x.1.api_key: keys and addresses do not belong"),
        ({"endpoints": {"gpt-x.1": {"key": LOOKING_LIKE_A_KEY}}}, "endpoints.gpt-x.1.key: keys and addresses"),
        ({"endpoints": {"gpt-x.1": {"extra": {"api_key": "abc"}}}}, "endpoints.gpt-x.1.api_key: keys and addresses"),
        ({"endpoints": {"gpt-x.1": {"base_url": "http://h"}}}, "endpoints.gpt-x.1.base_url: keys and addresses"),
        (
            {"endpoints": {"gpt-x.1": {"key_env": "abcdef012345"}}},
            "base_url_env and key_env name environment variables",
        ),
        ({"endpoints": {"gpt-x.1": {"key_env": KEY}}}, "endpoints.gpt-x.1.key_env: this looks like a key"),
        ({"endpoints": {"gpt-x.1": {"concurrency": LOOKING_LIKE_A_KEY}}}, "endpoints.gpt-x.1.concurrency: this looks"),
        ({"endpoints": {LOOKING_LIKE_A_KEY: {}}}, "a name in endpoints: this looks like a key"),
        ({"notes": f"asked with {KEY}"}, "notes: this looks like a key"),
        ({"notes": "${OPENAI_API_KEY}"}, "notes: this looks like a key"),
        ({"notes": "https://me:secret@host/v1"}, "notes: this looks like a key, or an address with one"),
        ({"endpoints": {"gpt-x.1": {"budget_usd": 5}}}, "budget_usd needs usd_per_million_input"),
        (
            {"endpoints": {"gpt-x.1": {"concurency": 5}}},
            "endpoints.gpt-x.1.concurency: unknown key; allowed: base_url_env",
        ),
        ({"endpoints": {"gpt-x.1": {"extra": {"seed": 5}}}}, "extra.seed: the origin's options decide this"),
        ({"endpoints": {"gpt-x": {}}}, "endpoints.gpt-x: no teacher is called 'gpt-x' (did you mean gpt-x.1?)"),
        ({"student": "api:gpt-x.1"}, "can be a teacher only"),
    ],
)
def test_a_study_file_with_a_key_or_a_wrong_value_gets_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    from flows.planning.plan import expand

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(InputError) as caught:
        expand(load(written(tmp_path, **changes)))
    text = str(caught.value)
    assert said in text
    assert "\n" not in text
    for secret in (LOOKING_LIKE_A_KEY, KEY, "abcdef012345", "me:secret"):
        assert secret not in text


def test_plan_tells_what_it_will_cost_and_needs_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    prices = {"usd_per_million_input": 2.0, "usd_per_million_output": 10.0}
    path = written(tmp_path, endpoints={"gpt-x.1": {**prices, "budget_usd": 0.005, "budget_tokens": 90_000}})
    plan_page.show(load(path), as_json=False)
    line = capsys.readouterr().out.splitlines()[-1]
    assert "api:gpt-x.1: 20 requests, about" in line
    assert "at most 1,000 response tokens, at most $0.01" in line
    assert "spent so far: 0 tokens of 90,000 (budget_tokens), $0.0000 of $0.01 (budget_usd)" in line
    assert "does not fit the budget" in line
    who = Endpoint("api:gpt-x.1", EndpointSettings(**prices), "hosted")
    spending = Budget(Store(tmp_path / "store"), who)
    assert spending.reserve("k", spending.cost(300, 40))
    plan_page.show(load(path), as_json=True)
    cost = json.loads(capsys.readouterr().out)["cost"]["endpoints"][0]
    assert (cost["model"], cost["requests"], cost["spent_tokens"], cost["spent_usd"]) == ("api:gpt-x.1", 20, 340, 0.001)
