"""Trivial baselines, and answers that can be partly right, through compare and report."""

import json
from pathlib import Path
from types import FunctionType
from typing import Any

import pandas as pd
import pytest

from tasks.compare import compare
from tasks.comparison.baselines import baselines
from tasks.comparison.cell import UNTRAINED, Cell
from tasks.comparison.items import answers
from tasks.comparison.records import Evaluated
from tasks.comparison.results import Results
from tasks.kinds import verifiers
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.report import render
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows

SPANS = [
    ("Where do bees live?", ["in a hive", "a hive"]),
    ("Who wrote it?", []),
    ("When was that?", []),
    ("What is the sky?", ["the sky"]),
]


def cell(name: Cell, scores: list[float], rows: list[Row]) -> Rows:
    return Rows.of(
        [
            {**row, "sample": 0, "response": "x", "verdict": "correct" if score == 1 else "wrong", "score": score}
            for row, score in zip(rows, scores, strict=True)
        ]
    )


def spans() -> list[Row]:
    return [
        {"id": f"s{n}", "question": question, "answers": golds, "gold": golds[0] if golds else "unanswerable"}
        for n, (question, golds) in enumerate(SPANS)
    ]


def graded_study() -> tuple[tuple[Rows, ...], tuple[Cell, ...]]:
    names = (
        Cell("m", "", UNTRAINED, UNTRAINED, "", 0, 0, "squad2"),
        Cell("m", "squad2", "self", "self", "sft", 0, 0, "squad2"),
        Cell("m", "squad2", "human", "human", "sft", 0, 0, "squad2"),
    )
    scores = ([0.5, 0.0, 1.0, 0.25], [1.0, 1.0, 1.0, 0.4], [0.5, 0.0, 0.0, 0.0])
    return tuple(cell(name, each, spans()) for name, each in zip(names, scores, strict=True)), names


def of(found: list[dict[str, Any]]) -> dict[str, Any]:
    (one,) = found
    return one


def test_spans_are_scored_by_their_own_verifier() -> None:
    cells, names = graded_study()
    evaluated = [Evaluated(name, rows) for name, rows in zip(names, cells, strict=True)]
    items = answers(evaluated)
    found = of(baselines(items, evaluated, {"squad2": verifiers.find("span")}))
    assert found["judged_by"] == "verifier"
    assert found["base"] == pytest.approx(0.4375)
    assert found["majority_label"] == "unanswerable"
    assert found["majority"] == found["abstain"] == 0.5
    assert 0 < found["copy"] < 0.25, "a question shares words with its answer"


def test_references_are_scored_by_their_own_verifier() -> None:
    rows: list[Row] = [
        {"id": str(n), "question": f"cats sat {n}", "references": ["cats sat", "they sat down"], "gold": "cats sat"}
        for n in range(3)
    ]
    name = Cell("m", "", UNTRAINED, UNTRAINED, "", 0, 0, "ni")
    cells = (cell(name, [0.0, 0.5, 1.0], rows),)
    found = of(
        baselines(answers([Evaluated(name, cells[0])]), [Evaluated(name, cells[0])], {"ni": verifiers.find("rouge_l")})
    )
    assert found["majority"] == 1.0
    assert 0.7 < found["copy"] < 0.9
    assert found["abstain"] == 0.0


def test_labels_are_compared_as_text_whatever_the_verifier() -> None:
    rows: list[Row] = [{"id": str(n), "question": f"{n} or 7?", "gold": "7"} for n in range(4)]
    name = Cell("m", "", UNTRAINED, UNTRAINED, "", 0, 0, "x")
    cells = (cell(name, [0.0, 0.0, 1.0, 1.0], rows),)
    judges: dict[str, FunctionType] = {"x": verifiers.find("number")}
    found = of(baselines(answers([Evaluated(name, cells[0])]), [Evaluated(name, cells[0])], judges))
    assert (found["judged_by"], found["majority"], found["copy"], found["abstain"]) == ("text", 1.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graded")
    cells, names = graded_study()
    work = Work(folder, Runtime(Store(folder / "store")), "compare", {})
    judges = {"squad2": verifiers.find("span")}
    evaluated = tuple(Evaluated(name, rows) for name, rows in zip(names, cells, strict=True))
    compare.function(evaluated, judges=judges, work=work)
    return folder


def test_part_scores_are_averaged_and_split_by_whether_there_is_an_answer(folder: Path) -> None:
    summary = pd.read_csv(folder / "summary.csv").set_index("origin")
    assert summary.loc["self", "score"] == pytest.approx(0.85)
    graded = pd.read_csv(folder / "graded.csv", keep_default_na=False)
    own = graded[graded["origin"] == "self"].set_index("part")
    assert own.loc["all", ["exact", "score"]].tolist() == [0.75, 0.85]
    assert own.loc["with an answer", ["n", "exact", "score"]].tolist() == [2, 0.5, 0.7]
    assert own.loc["without an answer", ["n", "exact", "score"]].tolist() == [2, 1.0, 1.0]


def test_the_word_is_score_and_what_was_lost_is_found(folder: Path) -> None:
    found = json.loads((folder / "verdict.json").read_text())
    assert found["partly_right"] == ["squad2"]
    verdict = found["verdicts"][0]
    assert verdict["measure"] == "score"
    assert not any("accuracy" in claim["text"] for claim in verdict["claims"])
    shown = json.loads((folder / "examples.json").read_text())["evaluation"]
    assert {example["id"] for example in shown} <= {"s0", "s1", "s2"}, "in which scores are far apart"
    page = render(Results.read(folder), "graded", {})
    assert "<h2>Partly right answers</h2>" in page
    assert "score 50.0 %" in page
    assert "by the benchmark's own scoring" in page
    assert "accuracy" not in page.lower().replace("changes in accuracy", "")
