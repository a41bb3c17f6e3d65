"""MBPP: its assertions as a module, its splits by task id, and the official file, where every solution passes."""

import json
import os
import shutil
from pathlib import Path

import pytest

from data.benchmark import find, questions_of
from data.errors import InputError
from tasks.kinds import verifiers
from tasks.sandbox import sandbox
from tasks.storage.rows import Row
from tasks.verification.parallel_verdicts import judged_all
from tests.data.layouts import ROWS, from_hub, hub_folder, rows

PLACE = os.environ.get("MOTHERTONGUE_MBPP")
PROBLEM = sandbox.problem()
needs_sandbox = pytest.mark.skipif(PROBLEM is not None, reason=f"no sandbox here: {PROBLEM}")
needs_real = pytest.mark.skipif(PLACE is None, reason="name a folder with the official mbpp.jsonl in MOTHERTONGUE_MBPP")
SPLITS = {"train": ["974"], "validation": ["511"], "test": ["11", "510"], "prompt": ["3"]}


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """A folder with the file as its authors distribute it."""
    shutil.copy(ROWS / "mbpp.jsonl", tmp_path / "mbpp.jsonl")
    return tmp_path


def verdicts(questions: list[Row], responses: list[str]) -> list[str]:
    given = [{**row, "response": response} for row, response in zip(questions, responses, strict=True)]
    return [verdict.verdict for _, verdict in judged_all(given, verifiers.find("code"))]


def test_splits_are_by_task_id(official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mbpp = find("mbpp").at(official)
    for split, ids in SPLITS.items():
        assert [row["id"] for row in questions_of(mbpp, split, None, 0)] == ids
    parts = {split: [row for row in rows("mbpp.jsonl") if str(row["task_id"]) in ids] for split, ids in SPLITS.items()}
    hub = hub_folder(tmp_path / "hub", "full", parts)
    for benchmark in (find("mbpp").at(hub), from_hub(find("mbpp"), hub, monkeypatch)):
        for split in SPLITS:
            assert questions_of(benchmark, split, None, 0) == questions_of(mbpp, split, None, 0)


def test_rows_have_their_tests_as_a_module_and_in_the_prompt(official: Path) -> None:
    from tasks.models.filling import fill

    mbpp = find("mbpp").at(official)
    digits, chain = questions_of(mbpp, "test", None, 0)
    assert set(digits) == {"id", "question", "gold", "reference", "test_list"}
    assert (
        digits["gold"]
        == "import math\nfrom program import sum\nassert sum(123) == 6\nassert sum(0) == math.floor(0.5)\n"
    )
    assert chain["gold"].startswith("from program import Link, length\nend = Link(None) \nchain = Link(end)\n")
    (larger,) = questions_of(mbpp, "prompt", None, 0)
    assert fill(mbpp.prompt, larger) == (
        "You are an expert Python programmer, and here is your task: Write a function to find the larger of two "
        "numbers. "
        "Your code should pass these tests:\n\nassert larger(1,2)==2\nassert larger(5,-5)==5 \n[BEGIN]"
    )
    assert larger["reference"] == "def larger(a,b):\n  return a if a > b else b\n[DONE]"


def test_a_broken_row_is_named(tmp_path: Path) -> None:
    row = rows("mbpp.jsonl")[0]
    for change, why in (
        ({"test_list": ["assert larger("]}, "column 'test_list', 'test_setup_code' or 'code' is no Python"),
        ({"test_list": ["assert True"]}, "the assertions use nothing that column 'code' defines"),
    ):
        (tmp_path / "mbpp.jsonl").write_text(json.dumps({**row, **change}))
        with pytest.raises(InputError, match=rf"mbpp.jsonl, row 1: {why}"):
            questions_of(find("mbpp").at(tmp_path), "prompt", None, 0)


@needs_sandbox
def test_solutions_are_correct_and_empty_ones_are_not(official: Path) -> None:
    mbpp = find("mbpp").at(official)
    found = [row for split in SPLITS for row in questions_of(mbpp, split, None, 0)]
    assert verdicts(found, [row["reference"] for row in found]) == ["correct"] * 5
    assert verdicts(found, [f"```python\n{row['reference']}\n```" for row in found]) == ["correct"] * 5
    assert verdicts(found, ["x = 1"] * 5) == ["wrong"] * 5
    assert verdicts(found, [""] * 5) == ["unparseable"] * 5


@needs_real
@needs_sandbox
def test_all_974_solutions_pass() -> None:
    assert PLACE is not None
    mbpp = find("mbpp").at(Path(PLACE))
    sizes = {}
    for split in mbpp.splits:
        found = questions_of(mbpp, split, None, 0)
        sizes[split] = len(found)
        assert verdicts(found, [row["reference"] for row in found]) == ["correct"] * len(found)
    assert sizes == {"train": 374, "validation": 90, "test": 500, "prompt": 10}
