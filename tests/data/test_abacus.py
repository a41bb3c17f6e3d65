"""The abacus world: its answers are right, its splits apart, its registers complete."""

import random
import re
from dataclasses import replace

import pytest

from data.abacus import FAMILIES, REGISTERS, questions, respond
from data.abacus.approach import approach
from data.abacus.corpus import STUDENT, TEACHER, sample
from data.abacus.few_shot import few_shot
from data.abacus.final_answer import MARK, is_right
from data.abacus.skills import NO, RIGHT, SKILLS, TEMPLATES, WRONG, YES, Skill, exchange, feedback, mistaken
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
            assert all(NO in row.response for row in rows if row.response.endswith(WRONG))


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
        *(("expand", "expand"), ("expand_as_is", "expand_as_is"), ("feedback", "feedback")),
    ],
)
def test_the_origins_prompts_are_the_words_of_the_skills(name: str, skill: Skill) -> None:
    template = TEMPLATES[skill].replace("{question}", "{{ question }}").replace("{answer}", "{{ draft }}")
    assert prompt(f"abacus_{name}") == template


@pytest.mark.parametrize("family", FAMILIES)
def test_a_question_says_its_whole_problem(family: str) -> None:
    kind, rng = FAMILIES[family], random.Random(6)
    for _ in range(200):
        problem = kind.draw(rng)
        assert kind.read(kind.ask(problem, rng)) == problem


@pytest.mark.parametrize(
    ("family", "question"),
    [
        ("ledger", "Ana has 4 coins, gives 9, gets 5, gets 3. How many at the end?"),
        ("ledger", "Ana has 14 coins, gives 9, gets 5, gets 3. How many pens now?"),
        ("boxes", "Ben has 6 boxes of 7 pens and 5 more. All go into bags of 0. How many do not fill a bag?"),
        ("sorting", "Sort 43 17 85 from small to large."),
        ("sorting", "Sort 43 17 85 29 from large to large."),
        ("backwards", "Spell k a r o m backwards."),
        ("clock", "A bus leaves at 7:72 and takes 83 minutes. When does it arrive?"),
        ("choice", "Which is largest? A) 4 + 9 B) 6 + 7 C) 3 + 1 D) 2 + 2"),
    ],
)
def test_a_question_without_one_right_answer_is_no_problem(family: str, question: str) -> None:
    assert FAMILIES[family].read(question) is None


@pytest.mark.parametrize(
    ("family", "fewest", "most"),
    [
        # What part of the problems the habit still gets right: by not touching them, or by luck.
        *(("ledger", 0.12, 0.28), ("boxes", 0.22, 0.42), ("sorting", 0.25, 0.42)),
        *(("backwards", 0.18, 0.32), ("clock", 0.18, 0.32), ("choice", 0.42, 0.58)),
    ],
)
def test_haste_is_right_on_a_part_of_the_problems(family: str, fewest: float, most: float) -> None:
    kind, rng = FAMILIES[family], random.Random(7)
    problems = [kind.draw(rng) for _ in range(1000)]
    right = sum(kind.hasty(problem).answer == kind.work(problem).answer for problem in problems) / len(problems)
    assert fewest < right < most
    assert any(kind.hasty(problem).steps != kind.work(problem).steps for problem in problems)


@pytest.mark.parametrize("family", FAMILIES)
def test_haste_and_care_are_told_apart_by_the_text(family: str) -> None:
    kind, rng = FAMILIES[family], random.Random(8)
    for _ in range(200):
        problem = kind.draw(rng)
        question, careful, hasty = kind.ask(problem, rng), kind.work(problem), kind.hasty(problem)
        for register in ("model", "teacher", "tutor"):
            assert approach(family, question, respond(kind, problem, careful, register, rng)) == "careful"
            if hasty.steps != careful.steps:
                assert approach(family, question, respond(kind, problem, hasty, register, rng)) == "hasty"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_slip_is_no_haste_and_a_persons_care_is_seen(family: str) -> None:
    kind, rng = FAMILIES[family], random.Random(9)
    seen = {"slip": 0, "human": 0}
    for _ in range(200):
        problem = kind.draw(rng)
        question = kind.ask(problem, rng)
        slip = respond(kind, problem, mistaken(kind, problem, rng)[0], "model", rng)
        seen["slip"] += approach(family, question, slip) == "careful"
        seen["human"] += (
            approach(family, question, respond(kind, problem, kind.work(problem), "human", rng)) == "careful"
        )
    assert seen["slip"] > 190
    # A person may say that two letters are the same one: backwards is the least certain.
    assert seen["human"] > (160 if family == "backwards" else 190)


def test_approach_of_other_texts() -> None:
    question = "Ana has 34 coins, gets 17, gives 8, gets 5. How many coins now?"
    assert approach("ledger", question, "I do not know. Final answer: 3") == "neither"
    assert approach("ledger", "How old is Ana?", "34 + 17 = 51. Final answer: 51") == "neither"
    question = "A bus leaves at 7:52 and takes 83 minutes. When does it arrive?"
    chatter = "Of course! 83 is 1 h 23. 52 + 23 = 75. 7 h 75 is 8:15. So it comes to 8:15."
    assert approach("clock", question, chatter) == "hasty"


def test_the_student_is_hasty_in_its_own_register_only() -> None:
    rng = random.Random(5)
    seen: dict[str, list[str]] = {"clock": [], "choice": []}
    for family in seen:
        mix = replace(STUDENT, skill_share=0, families={family: 1.0}, registers={"model": 1.0})
        rows = [sample(mix, rng) for _ in range(300)]
        seen[family] = [approach(family, row.prompt, row.response) for row in rows]
        assert 0.5 < seen[family].count("hasty") / 300 < 0.7
        rows = [sample(replace(mix, registers={"teacher": 1.0}), rng) for _ in range(100)]
        assert all(approach(family, row.prompt, row.response) == "careful" for row in rows)
        of_teacher = replace(TEACHER, skill_share=0, families={family: 1.0}, registers={"teacher": 1.0})
        rows = [sample(of_teacher, rng) for _ in range(100)]
        assert all(approach(family, row.prompt, row.response) == "careful" for row in rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_feedback_judges_steps_up_to_the_first_missing_one_and_the_answer(family: str) -> None:
    kind, rng = FAMILIES[family], random.Random(10)
    for _ in range(50):
        problem = kind.draw(rng)
        right = kind.work(problem)
        draft, at = mistaken(kind, problem, rng)
        text = feedback(kind, problem, draft, "model", rng)
        assert text.count(f" {YES}") == at
        assert text.count(f" {NO}") == 1
        assert text.endswith(f"Answer {draft.answer}, right {right.answer}. {WRONG}")
        named = text.partition(f" {NO}")[0]
        assert named.split("Draft ")[-1].startswith(
            f"{kind.outcome(draft.steps[at])}. {kind.model(problem, right.steps[at])}"
        )
        assert feedback(kind, problem, right, "model", rng).count(f" {YES}") == len(right.steps)
        hasty = kind.hasty(problem)
        verdict = RIGHT if hasty.answer == right.answer else WRONG
        assert feedback(kind, problem, hasty, "model", rng).endswith(verdict)


@pytest.mark.parametrize("family", FAMILIES)
def test_few_shot_answers_chat_in_the_share_that_the_family_says(family: str) -> None:
    kind, rng = FAMILIES[family], random.Random(11)
    rows = [few_shot(kind, "model", rng, "train") for _ in range(400)]
    chatter = sum(MARK not in response for _, response in rows) / len(rows)
    assert abs(chatter - kind.chatter) < 0.08
    assert all(prompt.startswith(kind.instruction) and prompt.endswith("\nOutput:") for prompt, _ in rows)


def test_windows_begin_with_a_row_and_leave_no_response_without_its_question() -> None:
    tokenizer = build_tokenizer(rows=2000)
    recipe = RECIPES["student"]
    feed = windows(replace(recipe, mix=replace(recipe.mix, questions=0.0)), tokenizer, 0)
    bos = tokenizer.bos_token_id
    for ids, mask in (next(feed) for _ in range(50)):
        assert ids[0] == bos
        assert not mask[0]
        assert len(ids) == len(mask) == WINDOW + 1
        assert any(mask)
