"""HumanEval: its tests as modules, its halves, and the official file, where every canonical solution passes."""

import gzip
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

PLACE = os.environ.get("MOTHERTONGUE_HUMANEVAL")
PROBLEM = sandbox.problem()
needs_sandbox = pytest.mark.skipif(PROBLEM is not None, reason=f"no sandbox here: {PROBLEM}")
needs_real = pytest.mark.skipif(
    PLACE is None, reason="name a folder with the official HumanEval.jsonl.gz in MOTHERTONGUE_HUMANEVAL"
)


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    return hub_folder(tmp_path / "hub", "openai_humaneval", {"test": rows("humaneval.jsonl")})


def verdicts(questions: list[Row], responses: list[str]) -> list[str]:
    given = [{**row, "response": response} for row, response in zip(questions, responses, strict=True)]
    return [verdict.verdict for _, verdict in judged_all(given, verifiers.find("code"))]


def test_rows_have_their_tests_as_a_module(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = questions_of(find("humaneval").at(hub), "test", None, 0)
    assert [row["id"] for row in found] == ["HumanEval/0", "HumanEval/81", "HumanEval/163"]
    assert set(found[0]) == {"id", "question", "gold", "reference", "entry_point"}
    assert found[2]["gold"].startswith("from program import vowels\n\ndef check(candidate):")
    assert found[2]["gold"].endswith("\n\ncheck(vowels)\n")
    assert "def value(" in found[1]["gold"], "the tests bring along what they use of the prompt"
    assert "import List" not in found[0]["gold"]
    assert found[2]["reference"].splitlines()[:2] == ["```python", "def vowels(text):"]
    assert questions_of(from_hub(find("humaneval"), hub, monkeypatch), "test", None, 0) == found


def test_the_official_file_and_a_plain_one(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with gzip.open(tmp_path / "a" / "HumanEval.jsonl.gz", "wb") as file:
        file.write((ROWS / "humaneval.jsonl").read_bytes())
    shutil.copy(ROWS / "humaneval.jsonl", tmp_path / "b" / "test.jsonl")
    first, second = (questions_of(find("humaneval").at(tmp_path / place), "test", None, 0) for place in "ab")
    assert first == second


def test_the_halves_share_no_problem(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {
        (name, split): [row["id"] for row in questions_of(find(f"humaneval/{name}").at(hub), split, None, 0)]
        for name in ("first_half", "second_half")
        for split in ("train", "test")
    }
    assert ids["first_half", "train"] == ids["second_half", "test"] == ["HumanEval/0", "HumanEval/81"]
    assert ids["first_half", "test"] == ids["second_half", "train"] == ["HumanEval/163"]
    halves = from_hub(find("humaneval/first_half"), hub, monkeypatch)
    assert [row["id"] for row in questions_of(halves, "train", None, 0)] == ["HumanEval/0", "HumanEval/81"]


def test_a_broken_row_is_named(tmp_path: Path) -> None:
    row = rows("humaneval.jsonl")[0]
    (tmp_path / "test.jsonl").write_text(json.dumps({**row, "test": "def check("}))
    with pytest.raises(InputError, match=r"test.jsonl, row 1: column 'test' or 'prompt' is no Python"):
        questions_of(find("humaneval").at(tmp_path), "test", None, 0)
    (tmp_path / "test.jsonl").write_text(json.dumps({name: row[name] for name in row if name != "entry_point"}))
    with pytest.raises(InputError, match=r"test.jsonl, row 1: column 'entry_point' is missing"):
        questions_of(find("humaneval").at(tmp_path), "test", None, 0)


@needs_sandbox
def test_references_and_bare_bodies_are_correct_and_empty_ones_are_not(hub: Path) -> None:
    from tasks.models.filling import fill

    benchmark = find("humaneval").at(hub)
    found = questions_of(benchmark, "test", None, 0)
    bodies = [row["canonical_solution"] for row in rows("humaneval.jsonl")]
    assert verdicts(found, [row["reference"] for row in found]) == ["correct"] * 3
    assert verdicts(found, bodies) == ["correct"] * 3
    assert verdicts(found, ["    pass\n"] * 3) == ["wrong"] * 3
    assert verdicts(found, [""] * 3) == ["unparseable"] * 3
    assert all(row["question"] in fill(benchmark.prompt, row) for row in found)


@needs_real
@needs_sandbox
def test_all_164_canonical_solutions_pass_and_all_164_emptied_ones_fail() -> None:
    assert PLACE is not None
    found = questions_of(find("humaneval").at(Path(PLACE)), "test", None, 0)
    with gzip.open(Path(PLACE) / "HumanEval.jsonl.gz") as file:
        official = [json.loads(line) for line in file]
    assert len(found) == len(official) == 164
    bodies = [row["canonical_solution"] for row in official]
    programs = [row["prompt"] + row["canonical_solution"] for row in official]
    for responses in (bodies, programs, [row["reference"] for row in found]):
        assert verdicts(found, responses) == ["correct"] * 164
    assert verdicts(found, ["    pass\n"] * 164) == ["wrong"] * 164
    assert "correct" not in verdicts(found, [row["prompt"] for row in official])
    assert verdicts(found, [""] * 164) == ["unparseable"] * 164
    halves = [
        len(questions_of(find("humaneval/first_half").at(Path(PLACE)), split, None, 0)) for split in ("train", "test")
    ]
    assert halves == [82, 82]
