"""Pairs that part at the first pit: what is chosen and rejected, how many, and what is left out."""

from pathlib import Path
from typing import Any

import pytest

from tasks.origins.first_pit import Kind, negatives, pit_pairs
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path, Runtime(Store(tmp_path / "store")), "pit_pairs resampled", {})


def response(id: str, sample: int, text: str, verdict: str, **other: Any) -> Row:
    known = {"finish": "stop", "prompt_tokens": 4, "tokens": len(text.split()), "nll": 1.0, "perplexity": 2.0}
    judged = {"verdict": verdict, "answer": text.split()[-1] if text else None, "score": float(verdict == "correct")}
    return {"id": id, "sample": sample, "question": id, "gold": "9", "response": text, **judged, **known, **other}


JUDGED = [
    response("q1", 0, "good. 9", "correct"),
    response("q1", 1, "a. b. 7", "wrong"),
    response("q1", 2, "better. 9", "correct"),
    response("q1", 3, "a. c. 8", "wrong"),
    response("q1", 4, "a. b. 7", "wrong"),
    response("q1", 5, "a. cut", "wrong", finish="length"),
    response("q1", 6, "hm", "unparseable"),
    response("q2", 0, "right. 9", "correct"),
    response("q3", 0, "wrong. 1", "wrong"),
    response("q4", 0, "yes. 9", "correct"),
    response("q4", 1, "no. 4", "wrong"),
]


def valued(row: Row, steps: list[str], pit: int | None, rescue: str | None) -> Row:
    ends = [sum(len(step.split()) for step in steps[: k + 1]) for k in range(len(steps))]
    rolled = {"rollouts": [5] * len(steps), "rollouts_correct": [0] * len(steps)}
    return {**row, "steps": steps, "step_ends": ends, **rolled, "pit": pit, "rescue": rescue}


def values() -> list[Row]:
    return [
        valued(JUDGED[1], ["a.", " b.", " 7"], 1, "a. then. 9"),
        valued(JUDGED[3], ["a.", " c.", " 8"], 0, "well. 9"),
        valued(JUDGED[10], ["no.", " 4"], None, None),
    ]


def test_negatives_are_complete_wrong_responses_of_questions_with_a_correct_one(work: Work) -> None:
    rows = Rows.of(JUDGED)
    found = list(negatives.function(rows, rows, 8, work=work))
    assert [(row["id"], row["sample"]) for row in found] == [("q1", 1), ("q1", 3), ("q4", 1)]
    lacks = {"have no wrong response": 1, "have no correct response": 1}
    assert work.facts == {"questions": 4, "negatives": 3, "left_out": lacks}
    assert [row["sample"] for row in negatives.function(rows, rows, 1, work=work)] == [1, 1]


@pytest.mark.parametrize(
    ("kind", "most", "expected"),
    [
        ("paper", 8, [("good. 9", "a. b."), ("better. 9", "a.")]),
        ("shared_prefix", 8, [("a. then. 9", "a. b."), ("well. 9", "a.")]),
        ("paper", 1, [("good. 9", "a. b.")]),
    ],
)
def test_pairs(work: Work, kind: Kind, most: int, expected: list[tuple[str, str]]) -> None:
    rows = Rows.of(JUDGED)
    pairs = list(pit_pairs.function(Rows.of(values()), rows, rows, kind, most, work=work))
    assert [(row["response"], row["rejected"]) for row in pairs] == expected
    assert [(row["id"], row["sample"]) for row in pairs] == [("q1", number) for number in range(len(expected))]
    assert all(row["rejected_ends"] is False for row in pairs)
    assert [row["rejected_tokens"] for row in pairs] == [2, 1][: len(expected)]
    columns = {"id", "sample", "question", "gold", "response", "rejected", "rejected_ends", "rejected_tokens"}
    assert all(set(row) == columns for row in pairs)
    over = {"more than are kept": 1} if most == 1 else {}
    assert work.facts == {
        "questions": 2,
        "pairs": len(expected),
        "left_out": over | {"never right, from the start on": 1},
    }


def test_a_pair_is_made_once(work: Work) -> None:
    same = [valued(row, ["a.", " b.", " 7"], 1, "a. then. 9") for row in (JUDGED[1], JUDGED[4])]
    rows = Rows.of(JUDGED)
    assert len(list(pit_pairs.function(Rows.of(same), rows, rows, "shared_prefix", 8, work=work))) == 1
    assert work.facts["left_out"] == {"the same as another": 1}


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ([7], "no wrong response to learn from: of 1 questions 1 have no wrong response"),
        ([8], "no wrong response to learn from: of 1 questions 1 have no correct response"),
    ],
)
def test_no_negatives_are_one_line(work: Work, kept: list[int], said: str) -> None:
    rows = Rows.of([JUDGED[number] for number in kept])
    with pytest.raises(StageFailed, match=said):
        list(negatives.function(rows, rows, 8, work=work))


def test_no_pit_is_one_line(work: Work) -> None:
    rows = Rows.of(JUDGED)
    said = "no step loses the answer in any wrong response: 1 never right, from the start on"
    with pytest.raises(StageFailed, match=said):
        list(pit_pairs.function(Rows.of(values()[2:]), rows, rows, "paper", 8, work=work))
