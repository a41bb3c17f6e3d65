"""Automations that tell somebody, on a real server: what comes when a deployed study fails."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployments.places import PREFECT, Place, await_, server, worker

FAILED = Path(__file__).resolve().parents[2] / "deployments" / "automations" / "failed.yaml"
BLOCK = """
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Webhook
said = {{"subject": "{{{{subject}}}}", "body": "{{{{body}}}}"}}
print(Webhook(name="team", url={url!r}, json_data=said).save("team"))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with server(tmp_path_factory.mktemp("automations")) as found:
        yield found


@pytest.fixture
def told() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a web server, and what was sent to it."""
    came: list[dict[str, Any]] = []

    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    listening = HTTPServer(("127.0.0.1", 0), Takes)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}/hook", came
    listening.shutdown()
    listening.server_close()


def as_in_the_comment(block: str) -> str:
    """The automation's file with its commented action, and the id of a block."""
    lines = FAILED.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("  # - type: send-notification"))
    action = [line.replace("  # ", "  ", 1) for line in lines[start:]]
    return "\n".join([*lines[:start], *action]).replace("00000000-0000-0000-0000-000000000000", block)


@pytest.mark.slow
def test_whoever_wants_to_know_is_told_which_study_failed_and_why(
    place: Place, told: tuple[str, list[dict[str, Any]]]
) -> None:
    url, came = told
    block = place.run(PREFECT[0], "-c", BLOCK.format(url=url)).stdout.strip()
    (place.folder / "failed.yaml").write_text(as_in_the_comment(block))
    assert yaml.safe_load((place.folder / "failed.yaml").read_text())["actions"][1]["type"] == "send-notification"
    place.prefect("automation", "create", "--from-file", "failed.yaml")
    place.mothertongue("deploy", "abacus")
    with worker(place):
        id = place.start("abacus", parameters={**place.deployment("abacus")["parameters"], "folder": "/nowhere"})
        assert place.ended(id)["type"] == "FAILED"
        await_(lambda: came, "nothing was sent")
    assert came[0]["subject"] == "Study abacus: Failed"
    assert "/nowhere" in came[0]["body"]
    assert f"/runs/flow-run/{id}" in came[0]["body"]
    await_(lambda: place.deployment("abacus")["paused"], "the deployment was not paused")
