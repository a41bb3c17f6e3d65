"""Steps that help nothing: how they are put into responses, and how well their advantage finds them."""

import math
import random
from pathlib import Path
from typing import Any

import pytest

from tasks.models.model import Model, resolve
from tasks.models.rendering import renderer
from tasks.origins.spurious import Step, found_by_advantage, spurious_steps, with_step
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.steps.detection import Found, detection
from tasks.steps.splitting import split
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows

TEXT = "34 + 17 = 51. 51 - 8 = 43. Final answer: 43"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path, Runtime(Store(tmp_path / "store")), "spurious", {})


@pytest.fixture(scope="module")
def student() -> Model:
    return resolve("abacus-student")


def response(id: str, text: str, verdict: str = "correct", **other: Any) -> Row:
    known = {"finish": "stop", "prompt_tokens": 4, "tokens": 9, "nll": 1.0, "perplexity": 2.0}
    judged = {"verdict": verdict, "answer": "43", "score": 1.0}
    return {"id": id, "sample": 0, "question": id, "gold": "43", "response": text, **judged, **known, **other}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (
            "useless",
            {"By the way, {} + {} = {}. 34 + 17 = 51.", "34 + 17 = 51. By the way, {} + {} = {}. 51 - 8 = 43."},
        ),
        (
            "mended",
            {"34 + 17 = {}. No, that is wrong. 34 + 17 = 51.", "51 - 8 = {}. No, that is wrong. 51 - 8 = 43."},
        ),
    ],
)
def test_a_step_is_put_before_one_of_the_others(student: Model, step: Step, expected: set[str]) -> None:
    steps = split(TEXT, "sentences", renderer(student))
    seen: set[str] = set()
    for seed in range(20):
        made = with_step(steps, step, random.Random(seed))
        assert made is not None
        text, at = made
        added = len(text) - len(TEXT)
        assert text[:at] + text[at + added :] == TEXT, "what was put in is all that differs"
        inside = text[at : at + added].split()
        if step == "useless":
            a, b, total = (int(word.strip(".")) for word in inside if word.strip(".").isdigit())
            assert a + b == total
        else:
            assert int(inside[4].strip(".")) not in (51, 43)
        words = [
            "{}" + ("." if word.endswith(".") else "") if k > 2 and word.strip(".").isdigit() else word
            for k, word in enumerate(inside)
        ]
        seen.add(" ".join(words))
    assert len({text.split()[0] for text in seen}) == (1 if step == "useless" else 2)
    assert all(any(text in one for one in expected) for text in seen)


@pytest.mark.parametrize(("text", "step"), [("one step", "useless"), ("none. Final answer: 4", "mended")])
def test_where_no_step_can_be_put_in_there_is_none(student: Model, text: str, step: Step) -> None:
    assert with_step(split(text, "sentences", renderer(student)), step, random.Random(0)) is None


def test_a_share_of_the_correct_responses_gets_a_step(work: Work, student: Model) -> None:
    rows = Rows.of([*(response(f"q{k}", TEXT) for k in range(200)), response("wrong", TEXT, "wrong")])
    made = list(spurious_steps.function(rows, rows, student, "sentences", "useless", 0.25, 4, 0, work=work))
    inserted = [row for row in made if row["spurious_at"] is not None]
    assert len(made) == 200
    assert 30 <= len(inserted) <= 70
    assert work.facts == {"responses": 200, "inserted": len(inserted)}
    assert all((row["response"] == TEXT) == (row["spurious_at"] is None) for row in made)
    assert not {"verdict", "nll", "perplexity"} & set(made[0])


def test_responses_that_take_no_step_are_one_line(work: Work, student: Model) -> None:
    rows = Rows.of([response("q", "one step")])
    with pytest.raises(StageFailed, match="spurious: none of 1 correct responses could be given a step"):
        list(spurious_steps.function(rows, rows, student, "sentences", "useless", 1.0, 4, 0, work=work))


@pytest.mark.parametrize(
    ("found", "auc"),
    [
        ([Found(0.0, [0.5, 1.0]), Found(-0.5, [0.0])], 5.5 / 6),  # all but one tie: 0.0 against 0.0
        ([Found(1.0, [0.5]), Found(0.5, [0.0])], 1 / 8),  # of four pairs one tie: 0.5 against 0.5
        ([Found(0.0, [0.0, 0.0])], 0.5),
    ],
)
def test_the_area_counts_pairs_and_halves_ties(found: list[Found], auc: float) -> None:
    assert detection(found)[0] == pytest.approx(auc)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    # Normal advantages a standard deviation apart: the area is Phi(1 / sqrt(2)) = 0.760.
    rng, held = random.Random(3), 0
    for _ in range(200):
        found = [Found(rng.gauss(-1, 1), [rng.gauss(0, 1) for _ in range(3)]) for _ in range(60)]
        _, low, high = detection(found)
        held += low <= 0.760 <= high
    assert held / 200 >= 0.90
    assert all(map(math.isnan, detection([])))


def test_what_was_put_in_is_found_where_it_stands(work: Work, student: Model) -> None:
    made = with_step(split(TEXT, "sentences", renderer(student)), "useless", random.Random(1))
    assert made is not None
    text, at = made
    steps = split(text, "sentences", renderer(student)).texts
    place = next(k for k, step in enumerate(steps) if "By the way" in step)
    # The values 0, 1, 1, 1 and then 1, the one after the step put in the same as before it.
    correct = [0 if k == 0 else 5 for k in range(len(steps))]
    if place == 0:
        correct[1] = 0
    values = {"steps": steps, "step_ends": [1] * len(steps), "rollouts": [5] * len(steps), "rollouts_correct": correct}
    row = {**response("q", text, spurious_at=at), **values, "pit": None, "rescue": None}
    (kept,) = found_by_advantage.function(Rows.of([row]), work=work)
    # One of the other steps gains the answer, the others gain nothing, as the one put in.
    assert work.facts["auc"] == pytest.approx((1 + (len(steps) - 2) / 2) / (len(steps) - 1))
    assert work.facts["steps"] == len(steps)
    assert "steps" not in kept
    assert kept["response"] == text
