"""A new stage is one new file: plan, cost, progress, the Prefect UI, the report and the questions learn of it there."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import tasks
import tasks.origins
from data.benchmark import Benchmark, questions_of
from data.source import Files
from flows.cli import plan_page
from flows.cli.live_view import View
from flows.config.study_file import load
from flows.planning.cost import cost
from flows.planning.forecast import forecast
from flows.planning.plan import Plan, expand
from flows.ui import artifacts, run_log
from tasks.kinds import stages
from tasks.kinds.stages import contract
from tasks.pipeline import execution
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.sharding import execute_shard
from tasks.pipeline.stage import Node
from tasks.reporting.provenance import stages_of, told_by
from tasks.storage.artifacts import Artifact, Store

SHORTENED = """
from typing import Literal

from tasks.models.model import Model
from tasks.origins._responses import Responses
from tasks.pipeline.declaration import Compute, Fact
from tasks.pipeline.stage import stage
from tasks.storage.rows import Rows


@stage(
    per_row=True,
    unit="sentences",
    adds=("words",),
    compute=Compute("shorten", "texts", flops=2, efficiency=0.5),
    facts=(
        Fact("dropped", "words left out", shares="add", reported=True, total=True),
        Fact("whole", "not shortened", unless_zero=True),
        Fact("longest", "words of the longest"),
    ),
)
def shorten(responses: Rows, model: Model, words: int, *, work):
    dropped = longest = 0
    for row in responses:
        given = row["response"].split()
        dropped += max(0, len(given) - words)
        longest = max(longest, len(given))
        yield {**row, "response": " ".join(given[:words]), "words": len(given)}
    work.facts |= {"dropped": dropped, "whole": 0, "longest": longest}


class Shortened(Responses):
    kind: Literal["shortened"] = "shortened"
    words: int = 4

    def responses(self, questions, context):
        given = context.responses_of("human", questions)
        return shorten(given, context.student, self.words).named(context.label, self.kind)
"""
ABACUS = ["train=[abacus/ledger]", "questions.train=12", "questions.evaluate=4", "seeds=[0]"]


@pytest.fixture(autouse=True)
def shortened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "origins"
    folder.mkdir()
    (folder / "shortened.py").write_text(SHORTENED)
    monkeypatch.setattr(tasks.origins, "__path__", [*tasks.origins.__path__, str(folder)])
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    yield
    sys.modules.pop("tasks.origins.shortened", None)


def node_of(plan: Plan) -> Node:
    (node,) = (node for node in plan.nodes if node.stage.name == "shorten")
    return node


def made(node: Node, runtime: Runtime) -> Artifact:
    for needed in node.upstream:
        made(needed, runtime)
    return execute(node, runtime)[0]


def dropped_words(human: Artifact, words: int) -> int:
    return sum(max(0, len(row["response"].split()) - words) for row in human.rows())


def test_the_plan_lists_it_and_counts_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    study = load("abacus", [*ABACUS, "origins.shortened={}"])
    plan_page.show(study, as_json=False)
    page = capsys.readouterr().out
    assert "miss  shorten shortened/abacus/ledger" in page
    assert ", 12 texts to shorten, " in page
    plan_page.show(study, as_json=True)
    data = json.loads(capsys.readouterr().out)
    assert data["cost"]["texts"] == 12
    assert data["cost"]["adapters"] == 4


def test_its_gpu_hours_are_those_of_its_operations(tmp_path: Path) -> None:
    alone, with_it = (
        cost(plan, forecast(plan, Store(tmp_path)), Store(tmp_path)).gpu_hours
        for plan in (expand(load("familiarity", more)) for more in ([], ["origins.shortened={}"]))
    )
    assert alone is not None
    assert with_it is not None
    assert "shorten" not in alone.by_work
    operations = 2 * (7e9 + 8e9 + 7e9) * 300 * (3 * 1000 + 374)  # of three students' parameters, tokens and rows
    assert with_it.by_work["shorten"] == pytest.approx(operations / (0.5 * 312e12) / 3600)


def test_its_progress_is_told_in_its_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = expand(load("abacus", [*ABACUS, "origins.shortened={}"]))
    lines: list[str] = []
    drawn: list[str] = []
    shown: list[str] = []
    monkeypatch.setattr(execution, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(run_log, "LINE_EVERY", 0.0)
    monkeypatch.setattr(run_log, "SHOWN_AFTER", 0.0)
    monkeypatch.setattr(run_log.sender, "keep_up", lambda about, artifact: shown.append(artifact.description))
    monkeypatch.setattr(run_log, "line", lambda text, error=False: lines.append(text))
    view = View(plan, minutes=None)
    view.console = Console(file=io.StringIO(), force_terminal=True, width=140)

    def listen(event: str, run: str, facts: dict[str, Any]) -> None:
        view(event, run, facts)
        if event == "progress" and facts["done"] == 7:
            console = Console(file=io.StringIO(), width=140)
            console.print(view._draw())
            drawn.append(console.file.getvalue())  # type: ignore[attr-defined]

    node = node_of(plan)
    made(node, Runtime(Store(tmp_path / "store"), listener=run_log.listener(listen)))
    assert any("shorten" in line and "7 sentences" in line for line in drawn[0].splitlines())
    assert any(line.startswith("shorten shortened/abacus/ledger: 7 of 12 sentences, ") for line in lines), lines
    assert shown[-1].startswith("shorten shortened/abacus/ledger: 12 of 12 sentences")


def test_its_facts_are_in_the_ui_and_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = expand(load("abacus", [*ABACUS, "origins.shortened={}"]))
    node, store = node_of(plan), Store(tmp_path / "store")
    artifact = made(node, Runtime(store))
    dropped = dropped_words(made(node.upstream[0], Runtime(store)), 4)
    assert dropped > 12
    sent: list[Any] = []
    monkeypatch.setattr(artifacts.sender, "artifact", sent.append)
    artifacts.show_step(node, artifact)
    table = {row["shorten"]: row["shortened/abacus/ledger"] for row in json.loads(sent[0].data)}
    assert table["words left out"] == f"{dropped:,}"
    assert set(table) == {"words left out", "words of the longest"}  # nothing was left whole: that goes without saying

    declared = plan.nodes[-1].values["declared"]
    told = told_by((artifact, artifact), declared)
    assert told["names"] == ["dropped"]
    assert told["lines"] == [("shorten shortened/abacus/ledger", {"dropped": dropped})] * 2
    assert told["sums"] == {"dropped": 2 * dropped}
    assert stages_of((artifact,))[0]["stage"] == "shorten"


def test_facts_of_shares_are_added_as_it_declares(tmp_path: Path) -> None:
    node = node_of(expand(load("abacus", [*ABACUS, "origins.shortened={}"])))
    runtime = Runtime(Store(tmp_path / "store"))
    human = made(node.upstream[0], runtime)
    for number in range(3):
        execute_shard(node, number, 3, runtime)
    assert execute(node, runtime)[0].facts["dropped"] == dropped_words(human, 4)


def test_no_question_has_a_column_that_a_stage_of_the_chain_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chain").mkdir()
    (tmp_path / "chain" / "grade.py").write_text(
        "from tasks.pipeline.stage import stage\n"
        "@stage(per_row=True, adds=('grade',))\n"
        "def grade(responses):\n"
        "    yield from ({**row, 'grade': 1} for row in responses)\n"
    )
    (tmp_path / "rows.jsonl").write_text(json.dumps({"question": "1 + 1?", "gold": "2", "grade": 7, "level": "easy"}))
    source = Files({"train": (tmp_path / "rows.jsonl",)})
    mine = Benchmark("mine", source, "number", "{{ question }}", reference=None, splits=("train",))
    assert questions_of(mine, "train", None, 0, contract("number"))[0]["grade"] == 7
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path / "chain")])
    stages.chain.cache_clear()
    try:
        (row,) = questions_of(mine, "train", None, 0, contract("number"))
        assert set(row) == {"id", "question", "gold", "reference", "level"}
    finally:
        sys.modules.pop("tasks.grade", None)
        stages.chain.cache_clear()
