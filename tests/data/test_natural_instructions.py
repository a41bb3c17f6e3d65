"""Natural Instructions: official task files and the hub's rows give the same questions, divided by id."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from data.benchmark import find, matching, questions_of
from data.errors import InputError
from tasks.models.filling import fill
from tests.data.layouts import ROWS, assert_right, from_hub, judged

DATA = os.environ.get("MOTHERTONGUE_DATA")
REAL = Path(DATA or "") / "natural_instructions"
needs_real = pytest.mark.skipif(
    not DATA or not REAL.is_dir(),
    reason="no real tasks: name the folder that has natural_instructions/ in MOTHERTONGUE_DATA",
)
PARAPHRASE = "task1562_zest_text_modification"
SOCIAL = "task937_defeasible_nli_social_classification"


def task(name: str) -> Any:
    return json.loads((ROWS / f"{name}.json").read_text())


def hub_folder(folder: Path, name: str, split: str = "test") -> Path:
    """A file for each task with a row for each output, as on the hub."""
    (folder / split).mkdir(parents=True)
    made = task(name)
    with (folder / split / f"{name}_{split}.jsonl").open("w") as lines:
        for instance in made["Instances"]:
            for output in instance["output"]:
                common = {"task_name": name, "id": instance["id"], "definition": made["Definition"][0]}
                lines.write(json.dumps({**common, "inputs": instance["input"], "targets": output}) + "\n")
    (folder / split / "task999_another_test.jsonl").write_text('{"id": "x"}\n')
    return folder


@pytest.mark.parametrize("family", ["natural_instructions", "natural_instructions_few_shot"])
def test_the_tasks_of_the_paper_are_there(family: str) -> None:
    found = matching(f"{family}/*")
    assert len(found) == 22
    assert sum(benchmark.verifier == "rouge_l" for benchmark in found) == 8


def test_the_few_shot_prompt_shows_the_examples() -> None:
    benchmark = find("natural_instructions_few_shot/task1562").at(ROWS)
    (row,) = questions_of(benchmark, "train", None, 0)
    shown = "".join(f"Input: {demo['input']}\nOutput: {demo['output']}\n" for demo in row["demos"])
    assert fill(benchmark.prompt, row) == f"{row['context']}\n{shown}Input: How deep is this lake?\nOutput:"


def test_official_files_and_the_hub_give_the_same_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paraphrase = find("natural_instructions/task1562")
    train, test = (questions_of(paraphrase.at(ROWS), split, None, 0) for split in ("train", "test"))
    instances = task(PARAPHRASE)["Instances"]
    assert sorted(row["id"] for row in train + test) == sorted(instance["id"] for instance in instances[:-1])
    assert [row["question"] for row in train] == ["How deep is this lake?"]
    examples = {
        "demos": task(PARAPHRASE)["Positive Examples"],
        "negative_examples": [
            {"input": "Is this lake deep?", "output": "Is this lake big?", "explanation": "Deep is not big."}
        ],
    }
    assert train[0] == {
        "id": instances[1]["id"],
        "question": "How deep is this lake?",
        "gold": "What is the depth of this lake?",
        "reference": "What is the depth of this lake?",
        "context": "Paraphrase the given question: other words, the same answer.",
        "references": ["What is the depth of this lake?", "By how much does this lake go down?"],
        **examples,
    }
    hub = hub_folder(tmp_path / "hub", PARAPHRASE)
    for loaded in (paraphrase.at(hub), from_hub(paraphrase, hub, monkeypatch)):
        for split, wanted in (("train", train), ("test", test)):
            found = questions_of(loaded, split, None, 0)
            assert [{**row, **examples} for row in found] == wanted
    assert_right(paraphrase, train + test)
    assert judged(paraphrase, train[0], "By how much does this lake go down?") == "correct"
    assert judged(paraphrase, train[0], "Is it deep?") == "wrong"


def test_classification_is_exact(tmp_path: Path) -> None:
    social = find("natural_instructions/task937").at(ROWS)
    test = questions_of(social, "test", None, 0)
    assert len(test) == 10
    assert_right(social, test)
    assert [judged(social, test[0], said) for said in ("Weakener.", "strengthener")] == ["correct", "wrong"]
    with pytest.raises(InputError, match="task937/train: none of its source's rows is a question of this split"):
        questions_of(social, "train", None, 0)


def test_a_folder_without_the_task_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no files of natural_instructions/task121. .*task121_zest_text_modif"):
        find("natural_instructions/task121").at(tmp_path)


@needs_real
@pytest.mark.parametrize(
    ("number", "train", "test"),
    [(121, 14, 113), (346, 677, 5820), (937, 672, 5827), (1529, 506, 4554), (1562, 13, 129)],
)
def test_the_real_files_are_whole(number: int, train: int, test: int) -> None:
    benchmark = find(f"natural_instructions/task{number}").at(REAL)
    parts = [questions_of(benchmark, split, None, 0) for split in ("train", "test")]
    assert [len(part) for part in parts] == [train, test]
    assert 2 <= len(parts[0][0]["demos"]) <= 10
    assert 2 <= len(parts[0][0]["negative_examples"]) <= 4
    assert_right(benchmark, parts[1][::200])
