"""A user's benchmark stands in the study file: files, columns, a prompt and a verifier, no Python."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from data.benchmark import matching, questions_of
from data.errors import InputError
from data.user_benchmark import LocatedBenchmark, UserBenchmark
from tasks.kinds.stages import contract
from tasks.kinds.verifiers import column
from tasks.models.filling import fill

ROWS = Path(__file__).parents[1] / "rows"


def mine(**options: Any) -> UserBenchmark:
    given = {"name": "mine", "train": "questions.jsonl", "test": "questions.csv", "verifier": "number"}
    return UserBenchmark.model_validate({**given, **options})


def test_it_is_read_from_files_found_from_the_study() -> None:
    found = mine(columns={"reference": "reference", "id": "id"}).resolve([ROWS / "nowhere", ROWS])
    train, test = (questions_of(found, split, None, 0) for split in ("train", "test"))
    assert train == test
    assert train[3] == {
        "id": "q4",
        "question": "Jo pays 7 euros, and gets 1.50 back. What did it cost?",
        "gold": "5.50",
        "reference": "7 - 1.5 = 5.5\nFinal answer: 5.50",
        "level": "hard",
    }


def test_columns_may_have_other_names() -> None:
    found = mine(columns={"question": "reference", "gold": "level"}).resolve([ROWS])
    row = questions_of(found, "train", None, 0)[0]
    assert (row["gold"], row["reference"]) == ("easy", None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"gold": "goal"}}, r"questions.jsonl, row 1: column 'goal' is missing .*did you mean 'gold'"),
        ({"train": "none.jsonl"}, r"none.jsonl: there is no such file \(looked from"),
        ({"prompt": "questoin"}, "no prompt is called 'questoin'"),
        ({"prompt": "my.jinja"}, "my.jinja: there is no such file"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        mine(**options).resolve([ROWS])


@pytest.mark.parametrize(
    ("verifier", "given", "header", "cells", "wanted"),
    [
        ("label", {"labels": ["yes", "no"]}, "", "", {"labels": ["yes", "no"]}),
        ("label", {}, ",labels", ',"[""yes"", ""no""]"', {"labels": ["yes", "no"]}),
        ("choice", {}, ",options", ',"[""yes"", ""no""]"', {"options": ["yes", "no"]}),
        ("span", {}, ",answers", ",[]", {"answers": []}),
        ("rouge_l", {}, ",references", ',"[""yes"", ""it is""]"', {"references": ["yes", "it is"]}),
        ("ni_exact", {}, ",references", ',"[""yes""]"', {"references": ["yes"]}),
    ],
)
def test_every_verifier_finds_its_columns(
    tmp_path: Path, verifier: str, given: dict[str, Any], header: str, cells: str, wanted: dict[str, Any]
) -> None:
    (tmp_path / "q.csv").write_text(f"question,gold{header}\nIs it?,yes{cells}\n")
    found = mine(train="q.csv", test=None, verifier=verifier, **given).resolve([tmp_path], column(verifier))
    (row,) = questions_of(found, "train", None, 0, contract(verifier))
    assert row == {"id": "train/000000", "question": "Is it?", "gold": "yes", "reference": None, **wanted}
    (tmp_path / "q.csv").write_text("question,gold\nIs it?,yes\n")
    if verifier != "choice" and not given:
        with pytest.raises(InputError, match=rf"q.csv, row 1: the verifier {verifier} needs a column '\w+': a list"):
            mine(train="q.csv", test=None, verifier=verifier).resolve([tmp_path], column(verifier))


@pytest.mark.parametrize(
    "options", [{"verifyer": "number"}, {"train": None, "test": None}, {"columns": {"qestion": "x"}}]
)
def test_unknown_keys_and_no_file_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        mine(**options)


def test_a_prompt_is_text_a_file_or_one_of_the_projects(tmp_path: Path) -> None:
    (tmp_path / "my.jinja").write_text("Q: {{ question }}")
    assert mine(prompt="Say: {{ question }}").resolve([ROWS]).prompt == "Say: {{ question }}"
    assert mine(prompt="my.jinja").resolve([ROWS, tmp_path]).prompt == "Q: {{ question }}"
    assert mine().resolve([ROWS]).prompt == "{{ question }}"


def test_a_project_benchmark_at_another_place() -> None:
    located = LocatedBenchmark(name="gsm8k", path={"test": "gsm8k.jsonl"})
    found = located.resolve([ROWS])
    assert found.splits == ("test",)
    assert len(questions_of(found, "test", None, 0)) == 3
    assert "Final answer" in found.prompt
    plain = LocatedBenchmark(name="gsm8k", path={"test": "gsm8k.jsonl"}, prompt="question").resolve([ROWS])
    assert plain.prompt == "{{ question }}"
    with pytest.raises(InputError, match="a file, not a folder"):
        LocatedBenchmark(name="gsm8k", path="gsm8k.jsonl").resolve([ROWS])


def test_a_name_or_pattern_stands_for_project_benchmarks() -> None:
    assert [found.name for found in matching("gsm8k")] == ["gsm8k"]
    assert len(matching("abacus/*")) >= 5


EXAMPLES = [{"input": f"What is {n} + 1?", "output": str(n + 1)} for n in range(5)]


@pytest.mark.parametrize(("count", "shown", "trained"), [(5, 3, 3), (5, 4, 4), (3, 3, 2), (2, 3, 1)])
def test_a_task_may_be_an_instruction_and_examples(count: int, shown: int, trained: int) -> None:
    own = {"name": "mine", "verifier": "number", "instruction": "Add.", "examples": EXAMPLES[:count], "shown": shown}
    found = UserBenchmark.model_validate(own).resolve([])
    train, test = (questions_of(found, split, 300, 0) for split in ("train", "test"))
    assert [row["gold"] for row in train] == [str(n + 1) for n in range(trained)]
    assert [row["gold"] for row in test] == [str(n + 1) for n in range(trained, count)]
    assert all(row["context"] == "Add." and row["demos"] == EXAMPLES[:trained] for row in train + test)
    shows = "".join(f"Input: {one['input']}\nOutput: {one['output']}\n" for one in EXAMPLES[:trained])
    assert fill(found.prompt, test[0]) == f"Add.\n{shows}Input: {test[0]['question']}\nOutput:"


def test_examples_beside_files_are_shown_in_the_prompt() -> None:
    found = mine(instruction="Add.", examples=EXAMPLES).resolve([ROWS])
    row = questions_of(found, "train", 1, 0)[0]
    assert (row["context"], row["demos"]) == ("Add.", EXAMPLES[:3])


def test_an_examples_output_is_the_list_of_right_outputs() -> None:
    own = {"name": "mine", "verifier": "rouge_l", "instruction": "Add.", "examples": EXAMPLES}
    found = UserBenchmark.model_validate(own).resolve([], column("rouge_l"))
    assert [row["references"] for row in questions_of(found, "test", None, 0, contract("rouge_l"))] == [["4"], ["5"]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "names no file; allowed: train, test or both, or two examples or more"),
        ({"instruction": "Add.", "examples": EXAMPLES[:1]}, "names no file"),
        ({"examples": EXAMPLES}, "has examples and no instruction; allowed: both, or neither"),
        ({"instruction": "Add.", "examples": [{"input": "1 + 1", "output": ""}] * 2}, "examples.0.output"),
    ],
)
def test_a_task_without_what_it_needs_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UserBenchmark.model_validate({"name": "mine", "verifier": "number", **given})
