"""A real study in which arms fail in several ways: the others reach the report, and the next run does only the rest."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from data import benchmark
from data.benchmark import questions_of
from tests.faults.left_behind import nothing_is_left
from tests.flows.test_study import mothertongue

TEACHER = Path(__file__).resolve().parents[2] / "data" / "models" / "abacus-teacher"
STUDY = """
name: arms
student: abacus-student
train: [abacus/boxes, abacus/ledger, long]
evaluate: [abacus/boxes, abacus/ledger]
questions: {train: 40, evaluate: 8}
benchmarks:
  long: {train: long.jsonl, test: long.jsonl, verifier: number, columns: {reference: reference}}
origins:
  human: {}
  self: {samples: 2, temperature: 0.7, max_tokens: 120}
  teacher: {model: teacher, max_tokens: 120}
  imported: {path: imported.jsonl}
match: {correct: any}
method: {kind: sft, epochs: 1, max_tokens: 200}
contrasts:
  - {claim: Self beats human., better: self, than: human}
  - {claim: Teacher beats human., better: teacher, than: human}
"""


def lines(rows: list[dict[str, str]]) -> str:
    return "\n".join(map(json.dumps, rows))


def break_model(folder: Path) -> None:
    """Make a model one that can be found, and not be loaded."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 2 * config["intermediate_size"]}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher that cannot be loaded, a file that answers 4 questions of one benchmark, questions too long."""
    folder = tmp_path_factory.mktemp("arms")
    (folder / "arms.yaml").write_text(STUDY)
    shutil.copytree(TEACHER, folder / "teacher")
    break_model(folder / "teacher")
    asked = questions_of(benchmark.find("abacus/boxes"), "train", 4, 0)
    answered = [{"question": row["question"], "response": row["reference"]} for row in asked]
    (folder / "imported.jsonl").write_text(lines(answered))
    long = [
        {
            "question": f"Add {n} to each of these: " + " and ".join(map(str, range(120))),
            "gold": str(n),
            "reference": str(n),
        }
        for n in range(40)
    ]
    (folder / "long.jsonl").write_text(lines(long))
    return folder


@pytest.mark.slow
def test_the_other_arms_reach_the_report_and_the_next_run_does_the_rest(folder: Path) -> None:
    first = mothertongue(folder, "run", "arms.yaml")
    assert first.returncode == 1, first.stderr
    print(first.stderr, first.stdout)
    failed = [line for line in first.stderr.splitlines() if line.startswith(("failed: ", "error: "))]
    for named in ("generate teacher/abacus/boxes", "imported imported/abacus/ledger", "select abacus/boxes"):
        line = next(line for line in failed if line.startswith((f"failed: {named}: ", f"error: {named}: ")))
        assert line.endswith("mothertongue run arms.yaml")
    summary = pd.read_csv(folder / "runs" / "arms" / "summary.csv")
    trained = summary[summary["n"] > 0].groupby("train_benchmark")["origin"].agg(set).to_dict()
    assert trained == {"abacus/boxes": {"human", "self"}, "abacus/ledger": {"human", "self"}}
    found = json.loads((folder / "runs" / "arms" / "verdict.json").read_text())
    why = {(cell["origin"], cell["train_benchmark"]): cell["why"] for cell in found["missing"]}
    assert "no engine for teacher" in why["teacher", "abacus/boxes"]
    assert "none of its" in why["imported", "abacus/ledger"]
    assert "match.minimum" in why["imported", "abacus/boxes"]
    assert "40 too long for the student" in why["self", "long"]
    assert "Missing cells: " in first.stdout
    nothing_is_left(folder)

    again = mothertongue(folder, "run", "arms.yaml")
    assert again.returncode == 1
    assert "generate self" not in again.stderr, "what is finished was done again"

    whole = STUDY.replace(", long]", "]").replace("  imported: {path: imported.jsonl}\n", "")
    (folder / "arms.yaml").write_text(whole)
    shutil.copy(TEACHER / "config.json", folder / "teacher" / "config.json")
    fixed = mothertongue(folder, "run", "arms.yaml")
    assert fixed.returncode == 0, fixed.stderr
    assert "generate self" not in fixed.stderr
    assert "score human" not in fixed.stderr
    assert json.loads((folder / "runs" / "arms" / "verdict.json").read_text())["missing"] == []
    assert json.loads((folder / "runs" / "arms" / "manifest.json").read_text())["failed"] == {}


@pytest.mark.slow
def test_strict_starts_nothing_more_after_the_first_failure(folder: Path, tmp_path: Path) -> None:
    for name in ("imported.jsonl", "long.jsonl"):
        shutil.copy(folder / name, tmp_path / name)
    broken = tmp_path / "broken"
    shutil.copytree(TEACHER, broken)
    break_model(broken)
    (tmp_path / "arms.yaml").write_text(STUDY.replace("model: teacher,", "model: broken,"))
    ended = mothertongue(tmp_path, "run", "arms.yaml", "--strict")
    assert ended.returncode in (1, 2)
    assert "No verdict" in ended.stderr
    assert not (tmp_path / "store" / "finetune").exists()
