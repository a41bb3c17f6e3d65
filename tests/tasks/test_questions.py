"""Questions, human references and imported responses, as stages."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data.benchmark import find, questions_of
from data.errors import InputError
from data.user_benchmark import UserBenchmark
from tasks.kinds.verifiers import find as find_verifier
from tasks.origins.human import references
from tasks.origins.imported import ResponseColumns, ResponsesFile, imported
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.questions import normalised, questions
from tasks.resources.errors import Transient
from tasks.storage.artifacts import Store
from tasks.storage.rows import Rows
from tasks.verify import verify

ROWS = Path(__file__).parents[1] / "rows"
REAL = Path(os.environ.get("MOTHERTONGUE_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data") / "gsm8k"
needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"no real GSM8K files in {REAL}; name their parent folder in MOTHERTONGUE_DATA"
)
OFFICIAL = {"6b_finetuning": 286, "6b_verification": 515, "175b_finetuning": 458, "175b_verification": 742}
"""How many of 1,319 solutions are right: `is_correct` in the official example_model_solutions.jsonl."""


def asked() -> Rows:
    return Rows.of(questions_of(find("gsm8k").at({"test": ROWS / "gsm8k.jsonl"}), "test", None, 0))


def file(**options: Any) -> ResponsesFile:
    return ResponsesFile.model_validate({"path": ROWS / "responses.jsonl", **options})


def work(tmp_path: Path) -> Work:
    return Work(tmp_path, Runtime(Store(tmp_path)), "test", {})


def test_questions_run_as_a_stage(tmp_path: Path) -> None:
    node = questions(find("abacus/ledger"), "test", 12, 3)
    artifact, _ = execute(node, Runtime(Store(tmp_path)))
    rows = artifact.rows()
    assert len(set(rows.column("id"))) == 12
    assert list(rows) == questions_of(find("abacus/ledger"), "test", 12, 3)


def test_a_hub_that_cannot_be_reached_may_answer_later(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def unreachable(*args: Any, **options: Any) -> None:
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(datasets, "load_dataset_builder", unreachable)
    with pytest.raises(Transient, match="gsm8k/test: no route to the hub"):
        questions.function(find("gsm8k"), "test", None, 0)


def test_references_are_the_human_responses() -> None:
    rows = references.function(asked(), "reference")
    assert [(row["sample"], row["model"]) for row in rows] == [(0, "human")] * 3
    assert rows[2]["response"] == "45*24=1080 seats\nFinal answer: 1,080"
    verdicts = [row["verdict"] for row in verify.function(Rows.of(rows), find_verifier("number"))]
    assert verdicts == ["correct"] * 3


def test_questions_without_a_reference_are_left_out_and_counted(tmp_path: Path) -> None:
    some = Rows.of([{"id": "a", "question": "x", "reference": None}, {"id": "b", "question": "y", "reference": "z"}])
    facts = work(tmp_path)
    assert [row["id"] for row in references.function(some, "reference", work=facts)] == ["b"]
    assert facts.facts == {"questions": 2, "answered": 1}
    with pytest.raises(InputError, match=r"origin human: no column is called 'referense' \(did you mean reference\?\)"):
        references.function(some, "referense")
    with pytest.raises(InputError, match="column 'reference' is empty in all 1 questions"):
        references.function(Rows.of([{"id": "a", "question": "x", "reference": None}]), "reference")


def test_imported_responses_are_joined_on_the_question(tmp_path: Path) -> None:
    facts = work(tmp_path)
    rows = imported.function(asked(), file(model="small"), work=facts)
    assert [(row["id"], row["sample"], row["model"]) for row in rows] == [
        ("test/000000", 0, "small"),
        ("test/000001", 0, "small"),
    ]
    assert rows[0]["response"] == "4*6=<<4*6=24>>24\nA: 24"
    assert facts.facts == {
        "questions": 3,
        "answered": 2,
        "responses": 2,
        "unused": 0,
        "missing": 0,
        "end_tokens": 0,
        "models": {"small": 2, "large": 2},
    }
    (row,) = imported.function(asked(), file(model="large", calculator_marks=False))
    assert row["response"] == "24 eggs a week, 24*5=120\nA: 120"


def test_an_empty_response_is_kept_and_judged(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"id": "test/000002", "response": ""}')
    rows = imported.function(asked(), ResponsesFile(path=path, columns=ResponseColumns(id="id")))
    assert rows[0]["response"] == ""
    assert [row["verdict"] for row in verify.function(Rows.of(rows), find_verifier("number"))] == ["unparseable"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.jsonl", '{"id": "test/000001", "response": "A: 5"}\n{"id": "test/000002", "response": null}'),
        ("r.jsonl", '{"id": "test/000001", "response": "A: 5"}\n{"id": "test/000002", "response": NaN}'),
        ("r.csv", "id,response\ntest/000001,A: 5\ntest/000002,\n"),
    ],
)
def test_a_missing_response_is_not_the_empty_text(name: str, text: str, tmp_path: Path) -> None:
    path, facts = tmp_path / name, work(tmp_path)
    path.write_text(text)
    rows = imported.function(asked(), ResponsesFile(path=path, columns=ResponseColumns(id="id")), work=facts)
    assert [row["response"] for row in rows] == ["A: 5", None]
    assert (facts.facts["answered"], facts.facts["responses"], facts.facts["missing"]) == (1, 1, 1)
    verdicts = [row["verdict"] for row in verify.function(Rows.of(rows), find_verifier("number"))]
    assert verdicts == ["wrong", "missing"]


def test_a_token_that_ends_a_turn_is_no_part_of_an_imported_response(tmp_path: Path) -> None:
    path, facts = tmp_path / "r.jsonl", work(tmp_path)
    path.write_text('{"id": "test/000001", "response": "A: 5<|im_end|>\\n<|im_start|>user"}')
    rows = imported.function(asked(), ResponsesFile(path=path, columns=ResponseColumns(id="id")), work=facts)
    assert (rows[0]["response"], facts.facts["end_tokens"]) == ("A: 5", 1)


def test_imported_responses_are_joined_on_an_id(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("row,text\ntest/000002,A: 1080\ntest/000002,A: 7\n")
    rows = imported.function(asked(), ResponsesFile(path=path, columns=ResponseColumns(id="row", response="text")))
    assert [(row["sample"], row["model"], row["response"]) for row in rows] == [(0, "r", "A: 1080"), (1, "r", "A: 7")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"has responses of several models; name one with `model`. Allowed: large, small"),
        ({"model": "tiny"}, r"has no responses of 'tiny'. Allowed: large, small"),
        ({"model": "small", "columns": {"model": "writer"}}, r"row 1: column 'writer' is missing"),
        ({"model": "small", "columns": {"response": "reponse"}}, r"row 1: column 'reponse' is missing"),
        (
            {"model": "small", "columns": {"id": "model"}},
            r"none of its 2 responses answers one of the 3 questions \(by id\)",
        ),
    ],
)
def test_what_is_wrong_with_imported_responses_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        imported.function(asked(), file(**options))


def test_a_responses_file_is_known_by_its_content(tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes((ROWS / "responses.jsonl").read_bytes())
    node = questions(find("abacus/ledger"), "test", 12, 3)
    assert imported(node, file(path=copy, model="small")).recipe == imported(node, file(model="small")).recipe
    assert imported(node, file(model="large")).recipe != imported(node, file(model="small")).recipe
    copy.write_text(copy.read_text() + json.dumps({"question": "x", "model": "small", "response": "y"}))
    assert imported(node, file(path=copy, model="small")).recipe != imported(node, file(model="small")).recipe


def test_spellings_of_one_question_are_normalised() -> None:
    assert normalised("  Janet\u2019s  DUCKS\n lay 16\u00a0eggs ") == "janet's ducks lay 16 eggs"
    assert normalised("5 apples") != normalised("6 apples")


@needs_real
@pytest.mark.parametrize("model", OFFICIAL)
def test_all_real_model_solutions_are_joined_and_judged_as_officially(model: str) -> None:
    rows = Rows.of(questions_of(find("gsm8k").at(REAL).only("test"), "test", None, 0))
    responses = ResponsesFile(path=REAL / "model_solutions.jsonl", model=model)
    answered = imported.function(rows, responses)
    assert len(answered) == len({row["id"] for row in answered}) == 1319
    verdicts = Counter(row["verdict"] for row in verify.function(Rows.of(answered), find_verifier("number")))
    assert verdicts["correct"] == OFFICIAL[model]
    assert verdicts["error"] == 0


@needs_real
@pytest.mark.parametrize("split", ["train", "test"])
def test_all_real_references_are_correct(split: str) -> None:
    rows = Rows.of(questions_of(find("gsm8k").at(REAL).only(split), split, None, 0))
    human = Rows.of(references.function(rows, "reference"))
    assert {row["verdict"] for row in verify.function(human, find_verifier("number"))} == {"correct"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([{}, {}], "own/train: column 'extra' holds values that no one type of column can hold"),
        ([{"a": 1}, {"a": "x"}], "own/train: column 'extra' holds values that no one type of column can hold"),
        ([1 << 70, 1], "own/train: question train/000000: column 'extra' is 1180591620717411303424, which no column"),
        ([None, "\ud83d"], r"own/train: question train/000001: column 'extra' is '\\ud83d', which no column can hold"),
    ],
)
def test_values_that_no_column_can_hold_are_named(tmp_path: Path, values: list[object], said: str) -> None:
    rows = [{"question": f"What is {i}?", "gold": str(i), "extra": value} for i, value in enumerate(values)]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = UserBenchmark(name="own", train="own.jsonl", verifier="number").resolve([tmp_path])
    with pytest.raises(InputError, match=said):
        questions.function(own, "train", None, 0)
