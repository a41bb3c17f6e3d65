"""Correct responses that differ from each other: by the equations in their calculator marks, or by their text."""

import math
from pathlib import Path
from typing import Any

import pytest

from data.benchmark import find as find_benchmark
from data.calculator_marks import calculations
from tasks.answer.calculation import is_true
from tasks.kinds import verifiers
from tasks.kinds.origins import Context, parse
from tasks.models.model import Model
from tasks.origins.diverse import different, unjudged
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.questions import questions
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Store
from tasks.storage.rows import Rows
from tests.tasks.judged import response

APPLES = (
    "<<2+3=5>>5 apples",
    "<<3+2=5>>5 apples",  # 2 edits from the first
    "<<2 + 3 = 5>>5 red apples",  # the equations of the first; 8 edits from it, 10 from the second
    "<<2+3=6>>5 apples",  # 1 edit from the first, 3 from the second
    "five fruits are what she has",
    "five fruits are what she has!",
)
MINE = {"kind": "diverse", "of": "own", "keep": 3, "differ": "text", "apart": 0.5}


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path, Runtime(Store(tmp_path / "store")), "different self", {})


def chosen(
    texts: dict[str, tuple[str, ...]],
    work: Work,
    most: int = 9,
    differ: str = "auto",
    apart: float = 0.2,
    seed: int = 0,
) -> list[dict[str, Any]]:
    rows = Rows.of([response(id, n, text, "correct") for id, of in texts.items() for n, text in enumerate(of)])
    return list(different.function(rows, rows, most, differ, apart, seed, work=work))


@pytest.mark.parametrize(
    ("differ", "one_of_each", "false"),
    [
        ("equations", [{1}, {2}, {5}], 1),  # without marks both have no equations, and the longer one is farther
        ("text", [{0, 1, 3}, {2}, {4, 5}], 0),  # of 17 characters 3.4 edits are 0.2
        ("auto", [{1}, {2}, {4, 5}], 1),
    ],
)
def test_one_response_of_each_list_of_equations_or_of_each_text(
    differ: str, one_of_each: list[set[int]], false: int, work: Work
) -> None:
    found = {row["sample"] for row in chosen({"q": APPLES}, work, differ=differ)}
    assert [len(found & alike) for alike in one_of_each] == [1, 1, 1]
    assert work.facts == {
        "questions": 1,
        "without_correct": 0,
        "correct": 6,
        "false_equations": false,
        "duplicates": 3 - false,
        "kept": 3,
    }


def test_equations_come_before_texts_and_the_first_lists_of_them_count(work: Work) -> None:
    assert [row["sample"] for row in chosen({"q": APPLES}, work, most=1)] == [2]
    assert [row["sample"] for row in chosen({"q": APPLES[::-1]}, work, most=2)] == [3, 4]


@pytest.mark.parametrize(
    ("one", "two", "apart", "kept"),
    [
        ("a" * 10, "a" * 8 + "b" * 2, 0.2, 1),  # 2 edits, mean length 10: 0.2 is not above 0.2
        ("a" * 10, "a" * 7 + "b" * 3, 0.2, 2),
        ("a" * 10, "a" * 7 + "b" * 3, 0.3, 1),
        ("a" * 10, "a" * 14, 0.33, 2),  # 4 edits, mean length 12: a third
        ("a" * 10, "a" * 14, 0.34, 1),
        ("a" * 10, "a" * 9 + "b", 0, 2),
        ("a" * 10, "a" * 10, 0, 1),
    ],
)
def test_texts_differ_by_edits_over_their_mean_length(one: str, two: str, apart: float, kept: int, work: Work) -> None:
    assert len(chosen({"q": (one, two)}, work, apart=apart)) == kept
    assert (work.facts["correct"], work.facts["duplicates"]) == (2, 2 - kept)


def test_which_texts_are_kept_is_drawn_by_the_seed_for_each_question(work: Work) -> None:
    texts = {f"q{n}": ("one", "another", "something else") for n in range(20)}

    def samples(seed: int) -> list[int]:
        return [row["sample"] for row in chosen(texts, work, most=1, seed=seed)]

    assert samples(0) == samples(0) != samples(1)
    assert set(samples(0)) == {0, 1, 2}


def test_rows_stay_as_they_are_and_in_order(work: Work) -> None:
    texts = ("one", "another", "something else")
    rows = [response("q", n, text, "correct", score=1.0, answer="1") for n, text in enumerate(texts)]
    kept = list(different.function(Rows.of(rows), Rows.of(rows), 4, "auto", 0.2, 0, work=work))
    assert kept == rows
    bare = {"id": "q", "sample": 1, "question": "q", "response": "another", "finish": "stop"}
    assert list(unjudged.function(Rows.of(kept)))[1] == bare


@pytest.mark.parametrize(
    "other",
    [
        {"finish": "length"},
        {"nll": math.nan},
        {"nll": None},
        {"verdict": "wrong"},
        {"verdict": "unparseable"},
        {"verdict": "error"},
        {"response": ""},
        {"response": None, "verdict": "missing"},
        {"response": "<<2+3=6>>6"},
    ],
)
def test_nothing_but_whole_scored_correct_responses_with_true_equations(other: dict[str, Any], work: Work) -> None:
    rows = [{**response("q", 0, "left out", "correct"), **other}, response("r", 0, "kept", "correct")]
    kept = list(different.function(Rows.of(rows), Rows.of(rows), 4, "auto", 0.2, 0, work=work))
    assert [row["id"] for row in kept] == ["r"]


def test_where_nothing_is_left_it_says_why(work: Work) -> None:
    rows = Rows.of(
        [
            response("q1", 0, "<<2+3=6>>6", "correct"),
            response("q1", 1, "<<2*3=5>>5", "correct"),
            response("q2", 0, "cut", "correct", finish="length"),
            response("q3", 0, "5", "wrong"),
        ]
    )
    said = "no correct response is left: of 3 questions 2 have none, and 2 responses have a false equation"
    with pytest.raises(StageFailed, match=f"^{said}$"):
        list(different.function(rows, rows, 4, "auto", 0.2, 0, work=work))
    assert work.facts["kept"] == 0


@pytest.mark.parametrize(
    ("calculation", "true"),
    [
        ("48/2=24", True),
        ("48/2=23", False),
        ("(3+4)*.5=3.5", True),
        ("1,000*3=3,000", True),
        ("10/3=3.3333", True),  # 0.00003 from it
        ("10/3=3.33", False),  # 0.003 from it
        ("2*3=6=6", True),
        ("2*3=6=7", False),
        ("48/2", False),
        ("", False),
        ("=", False),
        ("x=x", False),
        ("1/0=1/0", False),
        ("9^9^9^9=1", False),
        ("apples*2=4", False),
    ],
)
def test_a_calculation_is_true_where_its_sides_are_one_number(calculation: str, true: bool) -> None:
    assert is_true(calculation) is true


def test_calculations_are_read_from_marks() -> None:
    assert calculations("48/2 = <<48/2=24>>24, 24 + 1 = << 24 + 1 = 25 >>25 and <<") == ["48/2=24", "24+1=25"]
    assert calculations("48/2 = 24") == []


def test_the_origin_chooses_among_another_ones_rows() -> None:
    origins = {name: parse(options, name) for name, options in {"own": "self", "mine": MINE}.items()}
    student = Model("student", "/nowhere", "", "content of the student")
    asked = questions(find_benchmark("abacus/ledger"), "train", 6, 0)
    told = Context(
        *("mine", "abacus/ledger", student, "{{ question }}", 5), verifier=verifiers.find("number"), origins=origins
    )
    made = origins["mine"].rows(asked, told)
    assert made.verdicts is made.perplexities
    assert made.verdicts.run_name == "different mine/abacus/ledger"
    assert [node.stage.name for node in made.verdicts.upstream] == ["verify", "score"]
    assert dict(made.verdicts.values) == {"most": 3, "differ": "text", "apart": 0.5, "seed": 5}
    assert made.verdicts.expected_rows == 3 * 6
    assert origins["mine"].kept == 3
    assert origins["mine"].responses(asked, told).upstream[0].recipe == made.verdicts.recipe
