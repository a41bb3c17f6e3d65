"""A real study with rows that are too long: arms are trained on the same questions, and the report counts the rest."""

import csv
import json
import re
from html import unescape
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.flows.test_study import mothertongue

STUDY = """
name: equal
student: abacus-student
train: [boxes]
evaluate: [boxes]
questions: {train: null, evaluate: null}
benchmarks:
  boxes: {train: train.csv, test: test.csv, verifier: number}
origins:
  a: {kind: human, column: answer_a}
  b: {kind: human, column: answer_b}
match: {correct: any}
method: {kind: sft, epochs: 1, rank: 4}
decoding: {max_tokens: 48}
"""


def write(path: Path, count: int, begin: int, long_question: bool) -> None:
    """Questions with two answers; every third of the first is longer than the student's 2,048 tokens."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["question", "gold", "answer_a", "answer_b"])
        table.writeheader()
        for n in range(count):
            red, blue = begin + n, 3 + 7 * n % 20
            question = f"A box holds {red} red and {blue} blue balls. How many balls are there?"
            steps = f"{red} + {blue} = {red + blue}.\nThe answer is {red + blue}."
            long = "".join(f"{step} + 1 = {step + 1}. " for step in range(400))
            table.writerow(
                {
                    "question": question + " Not 7." * (900 if long_question and n == 3 else 0),
                    "gold": red + blue,
                    "answer_a": long * (n % 3 == 0) + steps,
                    "answer_b": "Count all balls. " + steps,
                }
            )


@pytest.mark.slow
def test_arms_are_trained_on_the_same_questions_and_the_report_counts_the_others(tmp_path: Path) -> None:
    (tmp_path / "equal.yaml").write_text(STUDY)
    write(tmp_path / "train.csv", 45, 10, long_question=False)
    write(tmp_path / "test.csv", 9, 500, long_question=True)
    refused = mothertongue(tmp_path, "run", "equal.yaml")
    assert refused.returncode == 2, refused.stderr
    assert re.search(
        r"answerable boxes test: row test/000003: its prompt has \d{4} tokens, and abacus-student can hold 2048 ",
        refused.stderr,
    )
    assert "Traceback" not in refused.stderr
    assert not {path.name for path in (tmp_path / "store").iterdir()} & {"generate", "score", "finetune", "evaluate"}

    ended = mothertongue(tmp_path, "run", "equal.yaml", "--set", "questions.too_long=leave_out")
    assert ended.returncode == 0, ended.stderr
    (selected,) = (tmp_path / "store" / "select").iterdir()
    rows = pq.read_table(selected / "rows.parquet").to_pylist()
    ids = {origin: [row["id"] for row in rows if row["origin"] == origin] for origin in ("a", "b")}
    assert ids["a"] == ids["b"] == [f"train/{n:06d}" for n in range(45) if n % 3]
    facts = json.loads((selected / "manifest.json").read_text())["facts"]["origins"]
    assert (facts["a"]["left_out"], facts["b"]["left_out"]) == ({"too_long": 15}, {"unmatched": 15})
    adapters = [
        json.loads((made / "manifest.json").read_text()) for made in (tmp_path / "store" / "finetune").iterdir()
    ]
    assert [adapter["facts"]["rows"] for adapter in adapters] == [30, 30]

    results = tmp_path / "runs" / "equal"
    perplexity = pd.read_csv(results / "perplexity.csv").set_index("origin")
    assert perplexity["rows"].to_dict() == {"a": 45, "b": 45}
    assert perplexity["rows_scored"].to_dict() == {"a": 30, "b": 45}
    assert perplexity["rows_trained"].to_dict() == {"a": 30, "b": 30}
    for origin, each in facts.items():
        assert perplexity.loc[origin, "tokens_trained"] == pytest.approx(each["tokens_mean"], rel=1e-5)
    assert pd.read_csv(results / "summary.csv")["n"].to_list() == [8, 8]
    page = re.sub(r"<[^>]+>", " ", unescape((results / "report.html").read_text(encoding="utf-8")))
    page = " ".join(page.replace("\N{NARROW NO-BREAK SPACE}", "").split())
    assert "a on boxes: 15 of 45 too long for the student" in page
    assert "boxes a 45 15 30 " in page
    assert "boxes b 45 15 30 " in page
    assert "1 of 9 evaluation questions of boxes test were left out" in page
