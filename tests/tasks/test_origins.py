"""An origin is one file: its options are checked, and it describes the stage that answers the questions."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import tasks.origins
from data.benchmark import find as find_benchmark
from data.errors import InputError
from data.options import OptionError
from tasks.kinds.origins import Context, Origin, find, names, parse
from tasks.models.model import BUNDLED, Model
from tasks.models.sampling import Sampling
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node
from tasks.questions import questions
from tasks.storage.artifacts import Store

ROWS = Path(__file__).parents[1] / "rows"
STUDENT = Model("student", "/nowhere", "", "content of the student")


def context(origin: str = "mine", **options: Any) -> Context:
    return Context(origin, "abacus/ledger", STUDENT, "{{ question }}", seed=5, **options)


def asked() -> Node:
    return questions(find_benchmark("abacus/ledger"), "train", 6, 0)


def test_every_kind_has_a_class_with_its_name_and_described_options() -> None:
    assert {"human", "teacher", "self", "imported"} <= set(names())
    for kind in names():
        cls = find(kind)
        assert cls.model_fields["kind"].default == kind
        assert cls.__doc__
        schema = cls.model_json_schema()
        assert all("description" in schema["properties"][name] for name in cls.model_fields if name != "kind")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "humen",
            r"origins.x.kind: no origin is called 'humen' \(did you mean human\?\). Allowed: advantage_weighted, ",
        ),
        (
            {"column": "reference"},
            r"origins.x: no origin is called 'x'. Allowed: advantage_weighted, by_perplexity, demonstrations, ",
        ),
        (3, r"origins.x: 3 is not allowed: a map of options is"),
        (
            {"kind": "self", "temprature": 1},
            r"origins.x.temprature: unknown key; allowed: by, keep, kind, max_tokens, of, samples",
        ),
        ({"kind": "self", "samples": 0}, r"origins.x.samples: 0 is not allowed: input should be greater than or equal"),
        (
            {"kind": "self", "temperature": "hot"},
            r"origins.x.temperature: 'hot' is not allowed: input should be a valid",
        ),
        ({"kind": "teacher"}, r"origins.x.model: missing; it is required"),
        (
            {"kind": "first_pit", "of": "y", "steps": "("},
            r"origins.x.steps: '\(' is not allowed: no regular expression \(missing \), .*, nor sentences or lines",
        ),
        (
            {"kind": "mixture", "of": {"a": 1, "b": 0}},
            r"origins.x.of.b: 0 is not allowed: input should be greater than 0",
        ),
        (
            {"kind": "imported", "path": "f", "columns": {"qestion": "q"}},
            r"origins.x.columns.qestion: unknown key; allowed: id, model, question, response",
        ),
    ],
)
def test_wrong_options_are_named_in_one_line(options: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message) as raised:
        parse(options, "origins.x", "x")
    assert "\n" not in str(raised.value)


def test_human_responses_come_from_a_column(tmp_path: Path) -> None:
    runtime = Runtime(Store(tmp_path))
    execute(asked(), runtime)
    whole, terse = (
        parse({"kind": "human", "column": column}, "origins.mine") for column in ("reference", "reference_terse")
    )
    nodes = [origin.responses(asked(), context()) for origin in (whole, terse)]
    assert nodes[0].run_name == "references mine/abacus/ledger"
    assert nodes[0].recipe != nodes[1].recipe
    first, second = (execute(node, runtime)[0].rows()[0] for node in nodes)
    assert first["response"] == first["reference"]
    assert second["response"] == second["reference_terse"] != first["response"]


def test_self_asks_the_student() -> None:
    node = parse({"kind": "self", "samples": 3, "max_tokens": 64}, "origins.mine").responses(asked(), context("self"))
    assert node.stage.name == "generate"
    assert node.values["model"] is STUDENT
    assert node.values["sampling"] == Sampling(n=3, temperature=0.7, max_tokens=64)
    assert (node.values["prompt"], node.values["seed"]) == ("{{ question }}", 5)
    assert node.upstream[0].recipe == asked().recipe
    assert node.tags == ("self",)


def test_teacher_asks_another_model(tmp_path: Path) -> None:
    folder = shutil.copytree(BUNDLED / "abacus-tutor", tmp_path / "model")
    node = parse({"kind": "teacher", "model": str(folder)}, "origins.mine").responses(
        asked(), context(roots=(tmp_path,))
    )
    assert node.values["model"].content != STUDENT.content
    assert node.values["sampling"] == Sampling(n=1, temperature=0.0, max_tokens=512)
    with pytest.raises(InputError, match="no such model"):
        parse({"kind": "teacher", "model": "abacus teacher"}, "origins.mine").responses(asked(), context())


def test_imported_reads_a_file_found_from_the_study() -> None:
    options = {"kind": "imported", "path": "responses.jsonl", "model": "small"}
    node = parse(options, "origins.mine").responses(asked(), context(roots=(ROWS,)))
    assert node.stage.name == "imported"
    with pytest.raises(InputError, match=r"responses.jsonl: there is no such file \(looked from .*data"):
        parse(options, "origins.mine").responses(asked(), context(roots=(ROWS.parent / "data",)))
    wrong = {**options, "columns": {"response": "answer"}}
    with pytest.raises(InputError, match=r"responses.jsonl, row 1: column 'answer' is missing"):
        parse(wrong, "origins.mine").responses(asked(), context(roots=(ROWS,)))


def test_a_new_origin_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "terse.py").write_text(
        "from typing import Literal\n"
        "from tasks.origins._responses import Responses\n"
        "from tasks.origins.human import references\n"
        "class Terse(Responses):\n"
        "    kind: Literal['terse'] = 'terse'\n"
        "    def responses(self, questions, context):\n"
        "        return references(questions, 'reference_terse')\n"
    )
    monkeypatch.setattr(tasks.origins, "__path__", [*tasks.origins.__path__, str(tmp_path)])
    try:
        assert "terse" in names()
        origin = parse("terse", "origins.mine")
        assert isinstance(origin, Origin)
        assert origin.responses(asked(), context()).stage.name == "references"
    finally:
        sys.modules.pop("tasks.origins.terse", None)
