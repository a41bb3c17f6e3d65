"""Pairs of a correct and a wrong response, further responses to a question, and rows read side by side."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.leak_free import leak_free
from tasks.origins.pairs import any_pairs
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.selection.match import Match
from tasks.selection.more_responses import with_more
from tasks.storage.artifacts import Store
from tasks.storage.joined_rows import JoinedRows
from tasks.storage.rows import RowFile, Rows, in_tables
from tests.tasks.judged import response
from tests.tasks.selected import selected


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path, Runtime(Store(tmp_path / "store")), "any_pairs self", {})


MIXED = ("right a", "wrong a", "right b", "wrong b", "wrong c")
ROWS = [
    *(response("q1", n, text, "correct" if "right" in text else "wrong") for n, text in enumerate(MIXED)),
    *(response("q2", n, f"right {n}", "correct") for n in range(3)),
    *(response("q3", n, f"wrong {n}", "wrong") for n in range(3)),
    response("q4", 0, "right", "correct"),
    response("q4", 1, "no answer", "unparseable"),
    response("q4", 2, "cut", "wrong", finish="length"),
    response("q4", 3, "too long", "wrong", nll=math.nan),
    response("q5", 0, "right", "correct"),
    response("q5", 1, "right", "correct"),
    response("q5", 2, "same wrong", "wrong"),
    response("q5", 3, "same wrong", "wrong"),
]


def test_each_correct_response_is_paired_with_a_wrong_one_of_its_question(work: Work) -> None:
    pairs = list(any_pairs.function(Rows.of(ROWS), Rows.of(ROWS), 2, work=work))
    assert [(row["id"], row["sample"], row["response"], row["rejected"]) for row in pairs] == [
        ("q1", 0, "right a", "wrong a"),
        ("q1", 1, "right b", "wrong b"),
        ("q5", 0, "right", "same wrong"),
    ]
    assert all(row["rejected_ends"] and row["verdict"] == "correct" for row in pairs)
    assert work.facts == {
        "questions": 5,
        "paired": 2,
        "pairs": 3,
        "left_out": {"no wrong response": 2, "no correct response": 1},
    }
    one = list(any_pairs.function(Rows.of(ROWS), Rows.of(ROWS), 1, work=work))
    assert [row["id"] for row in one] == ["q1", "q5"]


def test_a_text_that_is_said_again_counts_where_it_comes_first(work: Work) -> None:
    texts = {"correct": ("a", "b", "a"), "wrong": ("x", "y", "x")}
    rows = Rows.of([response("q", n, text, verdict) for verdict, of in texts.items() for n, text in enumerate(of)])
    pairs = any_pairs.function(rows, rows, 9, work=work)
    assert [(row["response"], row["rejected"]) for row in pairs] == [("a", "x"), ("b", "y")]


def test_an_origin_that_gives_no_pair_says_what_is_lacking(work: Work) -> None:
    rows = Rows.of([row for row in ROWS if row["id"] in ("q2", "q3", "q4")])
    said = "no pair of a correct and a wrong response: of 3 questions 2 have no wrong response, 1 have no correct respo"
    with pytest.raises(StageFailed, match=said):
        list(any_pairs.function(rows, rows, 1, work=work))


def test_pairs_are_selected_like_responses(work: Work) -> None:
    pairs = Rows.of(list(any_pairs.function(Rows.of(ROWS), Rows.of(ROWS), 2, work=work)))
    taken = selected({"pairs": pairs}, Match(minimum=1), None, 0, keep={"pairs": 2}, work=work)
    assert [(row["id"], row["rejected"]) for row in taken] == [
        ("q1", "wrong a"),
        ("q1", "wrong b"),
        ("q5", "same wrong"),
    ]
    assert work.facts["origins"]["pairs"]["taken"] == 2
    assert work.facts["origins"]["pairs"]["rows"] == 3


def test_a_pair_whose_rejected_response_is_too_long_is_left_out(work: Work) -> None:
    rows = [response("q", 0, "right", "correct"), response("q", 1, "wrong " * 30, "wrong")]
    pairs = Rows.of(list(any_pairs.function(Rows.of(rows), Rows.of(rows), 1, work=work)))
    assert pairs[0]["rejected_tokens"] == 30
    assert len(selected({"pairs": pairs}, Match(minimum=1), None, 0, None, 34)) == 1
    with pytest.raises(StageFailed, match="1 too long for the student"):
        selected({"pairs": pairs}, Match(minimum=1), None, 0, None, 33)


def test_more_responses_to_a_question_are_taken_each_text_once() -> None:
    rows = Rows.of(ROWS)
    first = np.array([0, 5, 15])  # q1, q2 and q5

    def taken(keep: int, **match: Any) -> list[int]:
        return with_more(rows, first, keep, Match.model_validate(match), None, "s").tolist()

    assert taken(1) == [0, 5, 15]
    assert taken(2) == [0, 2, 5, 6, 15]
    assert taken(9) == [0, 2, 5, 6, 7, 15]
    assert taken(3, correct="any") == [0, 1, 2, 5, 6, 7, 15, 17]
    assert taken(2, pick="highest_perplexity") == [0, 2, 5, 7, 15]
    assert sorted(taken(9, pick="random")) == [0, 2, 5, 6, 7, 15]


def test_the_number_of_questions_is_matched_only_where_it_is_asked_for() -> None:
    many, few = [response(f"m{n}", 0, "a", "correct") for n in range(8)], [response("m1", 0, "b", "correct")]
    scored = {"few": Rows.of(few), "many": Rows.of(many)}

    def counts(**match: Any) -> dict[str, int]:
        taken = selected(scored, Match.model_validate({"questions": False, "minimum": 1, **match}), 5, 0)
        return {origin: sum(row["origin"] == origin for row in taken) for origin in scored}

    assert counts() == {"few": 1, "many": 1}
    assert counts(count=False) == {"few": 1, "many": 5}


@pytest.mark.parametrize("sizes", [(4, 4), (3, 5)])
def test_columns_are_read_side_by_side_however_the_files_are_cut(tmp_path: Path, sizes: tuple[int, int]) -> None:
    left = [{"id": f"q{n}", "text": str(n), "verdict": "correct"} for n in range(11)]
    right = [{"id": f"q{n}", "text": str(n), "nll": float(n)} for n in range(11)]
    for name, rows, size in (("left", left, sizes[0]), ("right", right, sizes[1])):
        with RowFile(tmp_path / name, group=size) as file:
            for table in in_tables(rows, size):
                file.add(table)
    joined = JoinedRows(Rows([tmp_path / "left"]), Rows([tmp_path / "right"]))
    assert list(joined) == [{**one, "nll": other["nll"]} for one, other in zip(left, right, strict=True)]
    assert joined.columns == ["id", "text", "verdict", "nll"]
    assert joined.column("nll") == [row["nll"] for row in right]
    assert [row for batch in joined.batches(["nll", "verdict"], start=9) for row in batch.to_pylist()] == [
        {"nll": float(n), "verdict": "correct"} for n in (9, 10)
    ]


def test_tables_of_other_rows_are_refused() -> None:
    rows = Rows.of([{"id": "a", "x": 1}, {"id": "b", "x": 2}])
    with pytest.raises(StageFailed, match="2 and 1 rows"):
        JoinedRows(rows, Rows.of([{"id": "a", "y": 1}]))
    with pytest.raises(StageFailed, match="different orders"):
        list(JoinedRows(rows, Rows.of([{"id": "b", "y": 1}, {"id": "a", "y": 2}])))


def test_posed_questions_that_give_an_evaluation_question_away_are_left_out(work: Work) -> None:
    asked = "Ana has 12 red and 30 blue marbles and gives 7 of them to her brother. How many marbles does she keep?"
    posed = [
        {"id": "p0", "question": asked.upper()},
        {"id": "p1", "question": asked.replace("Ana", "Eve")},
        {"id": "p2", "question": asked.replace("12", "15")},
        {"id": "p3", "question": "What is 3 and 4?"},
    ]
    kept = leak_free.function(Rows.of(posed), {"test": Rows.of([{"id": "e", "question": asked}])}, work=work)
    assert [row["id"] for row in kept] == ["p2", "p3"]
    assert work.facts == {"posed": 4, "leaked": 2}
