"""The abacus world: its answers are right, its splits apart, its registers complete."""

import random
import re
from dataclasses import replace

import pytest

from data.abacus import FAMILIES, REGISTERS, questions, respond
from data.abacus.corpus import STUDENT, TEACHER, sample
from data.abacus.final_answer import is_right
from data.abacus.skill_card import shape
from data.abacus.skills import NO, RIGHT, SKILLS, TEMPLATES, WRONG, Skill, exchange, mistaken
from data.abacus.splits import SPLITS, draw
from data.abacus.tokenizer import build_tokenizer
from data.prompt import prompt
from flows.pretrain import RECIPES, WINDOW, windows


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_same_rows_and_no_duplicates(family: str) -> None:
    rows = questions(family, "train", 300, 7)
    assert rows == questions(family, "train", 300, 7)
    assert len({row["question"] for row in rows}) == 300
    assert rows[17]["id"] == f"{family}/train/000017"


@pytest.mark.parametrize("family", FAMILIES)
def test_splits_never_meet_whatever_the_seed(family: str) -> None:
    kind = FAMILIES[family]
    drawn = {split: {kind.canonical(draw(kind, split, random.Random(seed))) for seed in range(400)} for split in SPLITS}
    assert not drawn["pretrain"] & drawn["train"]
    assert not drawn["pretrain"] & drawn["test"]
    assert not drawn["train"] & drawn["test"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_register_ends_in_the_gold_answer(family: str) -> None:
    kind, rng = FAMILIES[family], random.Random(0)
    for _ in range(100):
        problem = kind.draw(rng)
        work = kind.work(problem)
        for register in REGISTERS:
            assert is_right(respond(kind, problem, work, register, rng), work.answer)


@pytest.mark.parametrize("family", FAMILIES)
def test_references_are_right_and_terse_ones_shorter(family: str) -> None:
    rows = questions(family, "test", 200, 0)
    assert all(is_right(row["reference"], row["gold"]) for row in rows)
    assert all(is_right(row["reference_terse"], row["gold"]) for row in rows)
    assert sum(len(row["reference_terse"]) for row in rows) < 0.7 * sum(len(row["reference"]) for row in rows)


@pytest.mark.parametrize("family", ["ledger", "boxes", "choice"])
def test_the_model_register_does_correct_sums(family: str) -> None:
    kind, rng = FAMILIES[family], random.Random(3)
    for _ in range(200):
        problem = kind.draw(rng)
        text = respond(kind, problem, kind.work(problem), "model", rng)
        for left, sign, right, result in re.findall(r"(\d+) ([-+*]) (\d+) = (\d+)", text):
            assert {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}[sign] == int(
                result
            )


def test_known_answers() -> None:
    from data.abacus.boxes import Problem as BoxesProblem
    from data.abacus.clock import Problem as ClockProblem

    assert FAMILIES["boxes"].work(BoxesProblem("Ben", "pens", 6, 7, 5, 8)).answer == "7"
    assert FAMILIES["clock"].work(ClockProblem("bus", 12, 50, 85)).answer == "2:15"
    assert FAMILIES["clock"].work(ClockProblem("bus", 7, 0, 60)).answer == "8:00"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_slip_makes_the_answer_wrong_and_names_its_step(family: str) -> None:
    kind, rng = FAMILIES[family], random.Random(1)
    for _ in range(50):
        problem = kind.draw(rng)
        right = kind.work(problem)
        work, at = mistaken(kind, problem, rng)
        assert work.answer != right.answer
        assert work.steps[:at] == right.steps[:at]
        assert work.steps[at] != right.steps[at]


@pytest.mark.parametrize("skill", SKILLS)
def test_every_skill_is_trained_in_every_family(skill: str) -> None:
    rng = random.Random(2)
    for kind in FAMILIES.values():
        rows = [exchange(skill, kind, "teacher", rng) for _ in range(20)]  # type: ignore[arg-type]
        assert all(row.response for row in rows)
        if skill == "feedback":
            assert any(row.response.endswith(RIGHT) for row in rows)
            assert any(row.response.endswith(WRONG) for row in rows)
            assert all((NO in row.response) == row.response.endswith(WRONG) for row in rows)


def test_wrong_names_and_exhausted_splits_say_so() -> None:
    with pytest.raises(ValueError, match="no family 'leger'"):
        questions("leger", "train", 1, 0)
    with pytest.raises(ValueError, match="no split 'dev'"):
        questions("ledger", "dev", 1, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="boxes/test has about"):
        questions("boxes", "test", 50_000, 0)


@pytest.mark.parametrize(
    ("name", "skill"),
    [
        *(("correct", "correct"), ("rewrite", "rewrite"), ("paraphrase", "paraphrase")),
        *(("expand", "expand"), ("expand_as_is", "expand_as_is")),
    ],
)
def test_the_origins_prompts_are_the_words_of_the_skills(name: str, skill: Skill) -> None:
    template = TEMPLATES[skill].replace("{question}", "{{ question }}").replace("{answer}", "{{ draft }}")
    assert prompt(f"abacus_{name}") == template


@pytest.mark.parametrize("family", FAMILIES)
def test_every_question_of_a_family_has_one_of_its_shapes(family: str) -> None:
    kind, rng = FAMILIES[family], random.Random(4)
    shapes = {shape(kind.ask(kind.draw(rng), rng)) for _ in range(300)}
    assert len(shapes) <= 8
    assert all(shape(kind.ask(kind.draw(rng), rng)) in shapes for _ in range(300))
    assert shape("Which is it? 3 and 4") not in shapes


def test_the_student_never_meets_hard_problems() -> None:
    rng = random.Random(5)
    asked = [sample(replace(STUDENT, skill_share=0, families={"backwards": 1.0}), rng).prompt for _ in range(300)]
    lengths = {len(re.findall(r"\b[a-z]\b", text)) for text in asked}
    assert lengths == {6, 7, 8}
    asked = [sample(replace(TEACHER, skill_share=0, families={"backwards": 1.0}), rng).prompt for _ in range(300)]
    assert max(len(re.findall(r"\b[a-z]\b", text)) for text in asked) == 10


def test_windows_begin_with_a_row_and_leave_no_response_without_its_question() -> None:
    tokenizer = build_tokenizer(rows=2000)
    feed = windows(RECIPES["student"], tokenizer, 0)
    bos = tokenizer.bos_token_id
    for ids, mask in (next(feed) for _ in range(50)):
        assert ids[0] == bos
        assert not mask[0]
        assert len(ids) == len(mask) == WINDOW + 1
        assert any(mask)
