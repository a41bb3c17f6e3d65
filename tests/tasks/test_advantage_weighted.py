"""Responses whose steps are weighted by their advantage: which responses, and what each token counts."""

import math
from pathlib import Path
from typing import Any

import pytest

from tasks.methods.sft import Sft
from tasks.models.model import Model, resolve
from tasks.models.rendering import renderer
from tasks.origins.advantage_weighted import complete, weighted
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.steps.splitting import split
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows

TEXT = "34 + 17 = 51. 51 - 8 = 43. Final answer: 43"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path, Runtime(Store(tmp_path / "store")), "weighted resampled", {})


@pytest.fixture(scope="module")
def student() -> Model:
    return resolve("abacus-student")


def valued(student: Model, correct: list[int], verdict: str, **other: Any) -> Row:
    steps = split(TEXT, "sentences", renderer(student))
    known: Row = {"id": "q1", "sample": 2, "question": "?", "gold": "43", "response": TEXT, "verdict": verdict}
    rolled = {"steps": steps.texts, "step_ends": steps.ends, "rollouts": [5] * 3, "rollouts_correct": correct}
    return {**known, **rolled, "pit": None, "rescue": None, **other}


def test_each_token_weighs_what_its_step_adds(work: Work, student: Model) -> None:
    # Values 0, 1, 1 and then 1: the first step gains it, the others keep it.
    (row,) = weighted.function(Rows.of([valued(student, [0, 5, 5], "correct")]), student, 0.5, 1000.0, work=work)
    first, *_, last = split(TEXT, "sentences", renderer(student)).ends
    weights = row["token_weights"]
    assert weights == pytest.approx([math.exp(2.0)] * first + [1.0] * (last - first + len(renderer(student).end_ids)))
    assert set(row) == {"id", "sample", "question", "gold", "response", "token_weights"}
    (example,) = Sft().examples([row], renderer(student), "{{ question }}")
    assert example.weights is not None
    assert list(example.weights[0]) == weights


def test_a_step_that_loses_the_answer_counts_little_and_no_weight_is_above_the_largest(
    work: Work, student: Model
) -> None:
    rows = Rows.of([valued(student, [5, 5, 0], "wrong"), valued(student, [0, 0, 5], "correct", id="q2")])
    lost, won = (row["token_weights"] for row in weighted.function(rows, student, 0.25, 20.0, work=work))
    ends = split(TEXT, "sentences", renderer(student)).ends
    assert lost[ends[0] : ends[1]] == pytest.approx([math.exp(-4.0)] * (ends[1] - ends[0]))
    assert won[ends[0] : ends[1]] == pytest.approx([20.0] * (ends[1] - ends[0]))
    assert work.facts == {"responses": 2, "left_out": 0, "capped": 1}


def test_without_a_response_with_steps_it_is_one_line(work: Work, student: Model) -> None:
    rows = Rows.of([valued(student, [0, 5, 5], "correct", steps=None)])
    with pytest.raises(StageFailed, match="weighted resampled: all 1 responses are too long to go on from"):
        list(weighted.function(rows, student, 0.5, 20.0, work=work))


def test_right_and_wrong_responses_in_the_order_of_their_samples(work: Work) -> None:
    verdicts = ["wrong", "correct", "unparseable", "wrong", "correct"]
    texts = ["a", "b", "c", "a", "d"]
    scored = {"nll": 1.0, "tokens": 1, "finish": "stop"}
    rows = Rows.of(
        [
            {"id": "q", "sample": k, "response": text, "verdict": verdict, **scored}
            for k, (text, verdict) in enumerate(zip(texts, verdicts, strict=True))
        ]
    )
    assert [row["sample"] for row in complete.function(rows, rows, 8, work=work)] == [0, 1, 4]
    assert [row["sample"] for row in complete.function(rows, rows, 2, work=work)] == [0, 1]
