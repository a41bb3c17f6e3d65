"""A key and an address in Prefect's Secret blocks: a whole study uses them, and nothing that it leaves holds them.

The endpoint echoes the key in every answer, header and error it gives.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
import yaml

from tests.deployments.places import Place
from tests.flows.prefect_server import prefect_server
from tests.tasks.endpoint.server import KEY, Asked, EndpointServer, Reply, chat, error

PASSWORD = "pass word/0123456789"
STUDY = {
    "name": "hosted",
    "student": "abacus-student",
    "train": ["abacus/ledger"],
    "evaluate": ["abacus/ledger"],
    "questions": {"train": 12, "evaluate": 4},
    "match": {"correct": "any"},
    "method": {"epochs": 4, "batch": 4},
    "origins": {"tutor": {"kind": "teacher", "model": "api:big", "max_tokens": 60}},
    "endpoints": {
        "big": {"key_env": "prefect-block:big-key", "base_url_env": "prefect-block:big-address", "unusable": 0.5}
    },
}
SAVE = """
import sys
from prefect.blocks.system import Secret
for name, value in zip(sys.argv[1::2], sys.argv[2::2]):
    Secret(value=value).save(name, overwrite=True)
"""
ASK = """
import sys
from data.errors import InputError
from tasks.models.endpoint import Endpoint, EndpointSettings
from tasks.endpoint.secrets import access
from tasks.resources.errors import Transient
for name in sys.argv[1:]:
    try:
        found = access(Endpoint("api:m", EndpointSettings(key_env=name)))
        print(found.headers["authorization"], found)
    except (InputError, Transient) as error:
        print(type(error).__name__, error)
"""


SECRETS = {"OPENAI_API_KEY", "OPENAI_BASE_URL"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """One whose home is looked through."""
    with prefect_server(tmp_path / "server") as environment:
        yield {name: value for name, value in environment.items() if name not in SECRETS}


def python(
    environment: dict[str, str], *arguments: str, folder: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_a_block_is_read_when_it_is_needed(place: Place) -> None:
    ours = {name: value for name, value in place.environment.items() if name not in SECRETS}
    assert python(ours, "-c", SAVE, "mine", KEY, "empty", " ").returncode == 0
    names = [f"prefect-block:{name}" for name in ("mine", "nobody", "empty")]
    found, missing, empty = python(ours, "-c", ASK, *names).stdout.splitlines()
    assert found == f"Bearer {KEY} Access(***)"
    assert missing.startswith("InputError prefect-block:nobody: the Prefect server has no Secret block of this name")
    assert "neither is set" in empty
    nowhere = {**ours, "PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    unreachable = python(nowhere, "-c", ASK, "prefect-block:mine").stdout
    assert unreachable.startswith("Transient prefect-block:mine: the Prefect server does not hand it out")


@pytest.mark.slow
def test_nothing_that_a_study_leaves_holds_the_key(server: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "hosted.yaml").write_text(yaml.safe_dump(STUDY))
    environment = {**server, "MOTHERTONGUE_STORE": str(tmp_path / "store")}
    said: list[str] = []

    def mothertongue(*arguments: str) -> int:
        ended = python(environment, "-m", "flows.main", *arguments, folder=tmp_path)
        said.extend([ended.stdout, ended.stderr])
        return ended.returncode

    with EndpointServer().running() as endpoint:
        address = endpoint.url.replace("://", f"://user:{quote(PASSWORD, safe='')}@")
        assert python(environment, "-c", SAVE, "big-key", KEY, "big-address", address).returncode == 0
        assert mothertongue("plan", "hosted.yaml") == 0
        assert mothertongue("plan", "hosted.yaml", "--json") == 0

        def secrets_of(asked: Asked) -> str:
            return f"{asked.headers['authorization']} {KEY} {PASSWORD} {quote(PASSWORD, safe='')}"

        def refuse(asked: Asked, before: int) -> Reply:
            return error(401, f"wrong key: {secrets_of(asked)}", x_echo=secrets_of(asked))

        endpoint.behave = refuse
        assert mothertongue("run", "hosted.yaml", "--strict") == 1
        assert "check the key in the Secret block prefect-block:big-key" in said[-1]
        endpoint.behave = lambda asked, before: chat(f"Final answer: {secrets_of(asked)}", finish="stop")
        assert mothertongue("run", "hosted.yaml") == 0, said[-1]
        assert mothertongue("report", "hosted.yaml", "--json") == 0
        assert endpoint.asked
    (rows,) = (tmp_path / "store" / "generate").glob("*/rows.parquet")
    responses = pq.read_table(rows)["response"].to_pylist()
    assert all("***" in response for response in responses)
    pair = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    spelt = {
        spelling for one in (KEY, PASSWORD, pair) for spelling in (one, quote(one, safe=""), json.dumps(one)[1:-1])
    }
    home = Path(server["PREFECT_HOME"])
    assert home.is_relative_to(tmp_path)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"prefect.db", "server.log", "report.html", "manifest.json", "rows.parquet"} <= {path.name for path in kept}
    texts = {**{str(path): path.read_bytes() for path in kept}, "what was said": "".join(said).encode()}
    for path in kept:
        if path.suffix == ".parquet":  # compressed, a key would not be seen
            texts[f"{path} read"] = str(pq.read_table(path).to_pydict()).encode()
    found = [(where, text) for where, held in texts.items() for text in spelt if text.encode() in held]
    assert found == []
