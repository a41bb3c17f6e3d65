"""Pages of the Prefect UI as a person sees them, in a real browser: a deployed study, its form, its runs.

The pictures are left in MOTHERTONGUE_PICTURES, or in pytest's temporary folder.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployments.places import Place, await_, server, worker
from tests.deployments.test_worker import LATE, responses
from tests.flows.browser import Page, browser

pytestmark = pytest.mark.slow
STUDY = [
    *("--set", "name=little-ledger"),
    *("--set", "train=[abacus/ledger]"),
    *("--set", "evaluate=[abacus/ledger]"),
    *("--set", "origins={human: {}, self: {samples: 8, temperature: 0.7, max_tokens: 120}}"),
    *("--set", "questions={train: 60, evaluate: 20}"),
    *("--set", "match.correct=any"),
    *("--set", "method.epochs=2"),
    *("--set", "seeds=[0]"),
]
FORM_SIZE = (1300, 1400)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def place(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server that has the study, by schedule, and a worker; where there is no browser, nothing is started."""
    with server(tmp_path_factory.mktemp("pages")) as found:
        found.mothertongue("deploy", "abacus", *STUDY, "--cron", "0 3 * * 1", "--timezone", "Europe/Berlin")
        with worker(found):
            yield found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(os.environ.get("MOTHERTONGUE_PICTURES") or tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def running(place: Place) -> str:
    """A run of the deployment, of which a stage has shown how far it is."""
    id = place.start("little-ledger")
    await_(lambda: progress(place, id), "no stage showed how far it is")
    return id


@pytest.fixture(scope="module")
def finished(place: Place, running: str) -> str:
    state = place.ended(running)
    assert state["type"] == "COMPLETED", state
    return running


def artifacts(place: Place, run: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = place.post("/artifacts/filter", {"flow_runs": {"id": {"any_": [run]}}})
    return found


def progress(place: Place, run: str) -> list[dict[str, Any]]:
    return [each for each in artifacts(place, run) if each["type"] == "progress"]


def by_hand(place: Place) -> list[str]:
    """Runs that no schedule made."""
    return [run["id"] for run in place.runs("little-ledger") if not run["auto_scheduled"]]


def address(place: Place, path: str) -> str:
    return f"{place.api.removesuffix('/api')}/{path}"


def logs(place: Place, run: str) -> list[str]:
    """What stands in the run's log, its steps' lines too."""
    lines: list[str] = []
    while True:
        asked = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "offset": len(lines)}
        more = [str(line["message"]) for line in place.post("/logs/filter", asked)]
        if not more:
            return lines
        lines += more


def test_a_deployment_says_when_it_runs_and_what_it_asks(place: Place, page: Page, pictures: Path) -> None:
    of_deployment = address(place, f"deployments/deployment/{place.deployment('little-ledger')['id']}")
    await_(lambda: place.runs("little-ledger"), "no run was scheduled")
    page.open(of_deployment, "little-ledger", "At 03:00 AM, only on Monday", "process")
    page.click("Upcoming")
    page.read("Scheduled for")
    page.picture(pictures / "schedule.png")
    page.click("Description")
    page.read("Whose responses does abacus-student learn best from")
    page.picture(pictures / "description.png")


def test_a_form_has_descriptions_choices_and_defaults(place: Place, page: Page, pictures: Path) -> None:
    of_form = address(place, f"deployments/deployment/{place.deployment('little-ledger')['id']}/run")
    page.open(
        of_form,
        "the model that is fine-tuned",  # a description
        "abacus/ledger",  # a choice
        "Responses that the student itself writes",  # a kind of origin
        "Start nothing more once a step has failed",
        size=FORM_SIZE,
    )
    page.picture(pictures / "form.png", wait=4)
    assert page.fill("Samples (Optional)", "8") == "8"
    page.picture(pictures / "form-origins.png")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("Samples (Optional)", "0", "'study.origins.self[0].samples'. Failure reason: 0 is less than the minimum of 1"),
        ("Name", "Little Ledger", "'Little Ledger' does not match"),
    ],
)
def test_a_form_refuses_a_wrong_value(
    place: Place, page: Page, pictures: Path, field: str, value: str, said: str
) -> None:
    before = by_hand(place)
    of_form = address(place, f"deployments/deployment/{place.deployment('little-ledger')['id']}/run")
    page.open(of_form, "Validate parameters", "Responses that the student itself writes", size=FORM_SIZE)
    page.fill(field, value)
    page.click("Submit")
    page.read(said)
    page.picture(pictures / f"form-refuses-{field.split()[0].lower()}.png", wait=1)
    assert by_hand(place) == before


def test_a_running_stage_says_how_far_it_is(place: Place, page: Page, pictures: Path, running: str) -> None:
    shown = min(progress(place, running), key=lambda each: float(each["data"]))
    page.open(address(place, f"artifacts/artifact/{shown['id']}"), " of ", " rows", "Progress")
    page.picture(pictures / "progress.png")
    page.open(address(place, f"runs/flow-run/{running}"), "little-ledger", "study:little-ledger", "Running")
    page.picture(pictures / "run-working.png", wait=12)
    page.open("about:blank")  # a graph that follows a run takes a core


def test_a_finished_run_has_its_graph_steps_and_verdict(
    place: Place, page: Page, pictures: Path, finished: str
) -> None:
    page.open(address(place, f"runs/flow-run/{finished}"), "little-ledger", "Completed", "student:abacus-student")
    page.picture(pictures / "run.png", wait=12)
    page.click("Task Runs")
    page.read("report little-ledger", "compare little-ledger", "evaluate self/abacus/ledger seed 0 on abacus/ledger")
    page.picture(pictures / "steps.png")
    steps = place.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [finished]}}})
    assert all(step["name"].isascii() for step in steps), "the graph's font has no other letters"
    page.click("Artifacts")
    page.read("little-ledger-verdict", "Every cell, seeds pooled")
    page.picture(pictures / "run-artifacts.png")
    page.click("Details")
    page.read("State Message")
    page.picture(pictures / "details.png")
    said = place.flow_run(finished)["state"]["message"].splitlines()
    assert "abacus-student" in said[0]
    assert said[-2].endswith("stages run, 0 found in the store, 0 failed or left out.")
    assert said[-1] == f"Report: {place.folder / 'runs' / 'little-ledger' / 'report.html'}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("verdict", ["abacus-student", "Report", "runs/little-ledger/report.html", "store/compare/"]),
        ("verdict-counts", ["correct", "wrong", "unparseable", "error", "self"]),
        ("perplexity", ["perplexity, median", "tokens each", "human"]),
        ("matrix", ["trained on", "no training", "abacus/ledger"]),
        ("summary", ["evaluated on", "p (Holm)"]),
        ("cost", ["generate", "finetune", "all"]),
        ("report", ["runs/little-ledger/report.html"]),
    ],
)
def test_a_finished_run_has_tables_and_links(
    place: Place, page: Page, pictures: Path, finished: str, name: str, said: list[str]
) -> None:
    (shown,) = [each for each in artifacts(place, finished) if each["key"] == f"little-ledger-{name}"]
    text = page.open(address(place, f"artifacts/artifact/{shown['id']}"), *said)
    assert "[object" not in text
    page.picture(pictures / f"{name}.png")


def test_the_log_has_what_engine_and_trainer_say_and_no_noise(
    place: Place, page: Page, pictures: Path, finished: str
) -> None:
    lines = logs(place, finished)
    assert any(line.startswith("engine of abacus-student: ready in ") for line in lines)
    assert any(line.startswith("finetune self/abacus/ledger seed 0: step 1 of ") for line in lines)
    noise = ("Warning", "it/s]", "deprecated", "Triton")
    assert [line for line in lines if any(word in line for word in noise)] == []
    page.open(address(place, f"runs/flow-run/{finished}"), "engine of abacus-student: ready", size=(1500, 3000))
    page.picture(pictures / "log.png")


def test_a_failed_run_says_why_and_what_to_do(place: Place, page: Page, pictures: Path) -> None:
    (place.folder / "late.yaml").write_text(yaml.safe_dump(LATE))
    (place.folder / "old.jsonl").write_text(responses(whole=False))
    place.mothertongue("deploy", "late.yaml")
    id = place.start("late")
    assert place.ended(id)["type"] == "FAILED"
    page.open(address(place, f"runs/flow-run/{id}"), "late", "Failed", "imported old/abacus/ledger failed: old.jsonl")
    page.picture(pictures / "failed.png", wait=5)
    page.click("Details")
    page.read("State Message")
    page.click("See More")
    page.read("imported old/abacus/ledger: old.jsonl, row 2", "What is finished is kept")
    page.picture(pictures / "failed-message.png")
