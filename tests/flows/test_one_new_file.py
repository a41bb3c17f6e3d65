"""A new origin, verifier or predictor is one new file: study files, plan, form and report have it, and nothing is
edited."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import tasks.origins
import tasks.predictors
import tasks.verifiers
from data.errors import InputError
from flows.config.schema import Study
from flows.config.study_file import load
from flows.planning.plan import expand, provenance
from tasks.comparison.results import Results
from tasks.kinds import origins, verifiers
from tasks.kinds.predictors import kinds_by_name
from tasks.report import render
from tests.tasks.simulated import simulate
from tests.tasks.test_compare import run

ORIGIN = '''"""Shouted: the human response in capitals."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from tasks.kinds.origins import Context
from tasks.origins._responses import Responses
from tasks.pipeline.stage import Node, stage
from tasks.storage.rows import Row, Rows


@stage()
def shouted(questions: Rows, marks: int) -> Iterator[Row]:
    """The reference in capitals."""
    for row in questions:
        yield {**row, "sample": 0, "model": "human", "response": row["reference"].upper() + "!" * marks}


class Shouted(Responses):
    """People's responses, shouted."""

    kind: Literal["shouted"] = "shouted"
    marks: int = Field(default=1, ge=0, description="exclamation marks")

    def responses(self, questions: Node, context: Context) -> Node:
        return shouted(questions, self.marks).named(context.label, self.kind)
'''
VERIFIER = '''"""Loud: right is what is shouted."""

from tasks.kinds.verifiers import Verdict


def judge(response: str, row: dict) -> Verdict:
    return Verdict("correct" if response.isupper() else "wrong", response)
'''

PREDICTOR = '''"""Shouting: the share of capitals among the letters of what is trained on."""

from tasks.kinds.predictors import Predictor, TrainingSet, mean


class Shouting(Predictor):
    title = "shouting"
    better = "lower"

    def value(self, rows: TrainingSet) -> float:
        return mean(float(each.text.isupper()) for each in rows.responses)
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    new = (
        (tasks.origins, "shouted", ORIGIN),
        (tasks.verifiers, "loud", VERIFIER),
        (tasks.predictors, "shouting", PREDICTOR),
    )
    kinds_by_name.cache_clear()
    for package, name, text in new:
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    yield
    for module in ("tasks.origins.shouted", "tasks.verifiers.loud", "tasks.predictors.shouting"):
        sys.modules.pop(module, None)
    kinds_by_name.cache_clear()


def study(folder: Path, **changes: Any) -> Study:
    rows = [{"id": n, "text": f"What is {n}?", "label": str(n), "reply": f"it is {n}"} for n in range(20)]
    for split, part in (("train", rows[:12]), ("test", rows[12:])):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    columns = {"id": "id", "question": "text", "gold": "label", "reference": "reply"}
    own = {"train": "train.jsonl", "test": "test.jsonl", "columns": columns, "verifier": "loud"}
    values = {
        "name": "new",
        "student": "abacus-student",
        "benchmarks": {"own": own},
        "train": ["own"],
        "evaluate": ["own"],
        "questions": {"train": 12, "evaluate": 8},
        "origins": {"human": {}, "shouted": {"marks": 2}},
        **changes,
    }
    path = folder / "new.yaml"
    path.write_text(yaml.safe_dump(values))
    return load(str(path))


@pytest.mark.usefixtures("added")
def test_the_study_file_and_its_form_have_the_origin(tmp_path: Path) -> None:
    assert "shouted" in origins.names()
    by_kind = Study.model_json_schema()["properties"]["origins"]["anyOf"][0]["properties"]
    assert by_kind["shouted"]["description"] == "People's responses, shouted."
    assert by_kind["shouted"]["items"]["properties"]["marks"]["description"] == "exclamation marks"
    with pytest.raises(InputError, match=r"origins\.shouted\.mark: unknown key; allowed: kind, marks"):
        study(tmp_path, origins={"shouted": {"mark": 2}})


@pytest.mark.usefixtures("added")
def test_the_plan_has_both_and_their_stages_run(tmp_path: Path) -> None:
    plan = expand(study(tmp_path))
    steps = {node.run_name: node for node in plan.nodes}
    assert {"shouted shouted/own", "verify shouted/own", "score shouted/own", "finetune shouted/own seed 0"} <= set(
        steps
    )
    asked = steps["questions own train"]
    rows = asked.stage.function(**asked.values)
    answered = list(steps["shouted shouted/own"].stage.function(rows, 2))
    assert answered[0]["response"].startswith("IT IS ")
    judge = steps["verify shouted/own"].values["verifier"]
    assert judge is verifiers.find("loud")
    assert judge(answered[0]["response"], answered[0]).verdict == "correct"
    assert judge(answered[0]["reference"], answered[0]).verdict == "wrong"


@pytest.mark.usefixtures("added")
def test_every_arm_has_the_predictor(tmp_path: Path) -> None:
    plan = expand(study(tmp_path))
    steps = {node.run_name: node for node in plan.nodes}
    assert "shouting" in steps["predict human/own"].values["predictors"]
    assert steps["compare new"].values["directions"]["shouting"] == ("shouting", "lower")


@pytest.mark.usefixtures("added")
def test_the_report_has_the_origin(tmp_path: Path) -> None:
    chances = {"base": (0.5, 0.5), "human": (0.6, 0.5), "shouted": (0.7, 0.5)}
    run(simulate(chances=chances, items=20, seeds=(0,)), tmp_path / "compared")
    page = render(Results.read(tmp_path / "compared"), "new", provenance(expand(study(tmp_path))))
    assert "<b>shouted</b>" in page or ">shouted<" in page
    assert "marks" in page


@pytest.mark.usefixtures("added")
def test_an_unknown_verifier_is_named_with_the_new_one_among_the_allowed(tmp_path: Path) -> None:
    own = {"train": "train.jsonl", "test": "test.jsonl", "verifier": "lowd"}
    with pytest.raises(InputError, match=r"benchmarks\.own\.verifier: .*did you mean loud.*Allowed: .*loud"):
        study(tmp_path, benchmarks={"own": own})
