"""Questions that a model poses: after which examples, which of its responses are questions, and what their gold is."""

from pathlib import Path
from typing import Any

import pytest

from data.abacus.skills import POSE
from data.benchmark import find as find_benchmark
from data.errors import InputError
from data.prompt import prompt
from tasks.examples import examples
from tasks.first_questions import first_questions
from tasks.kinds import verifiers
from tasks.kinds.origins import Context, parse
from tasks.leak_free import leak_free
from tasks.majority import Vote, majority, vote
from tasks.models.filling import fill
from tasks.models.model import resolve
from tasks.origins.posed import Posed
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.pose import pose
from tasks.questions import questions
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows

BENCHMARK = Rows.of(
    [
        {"id": "b0", "question": "What is 1 + 1?", "gold": "2", "labels": ["odd", "even"], "hint": "one"},
        {"id": "b1", "question": "What is 10 + 10?", "gold": "20", "labels": ["odd", "even"], "hint": "ten"},
        {"id": "b2", "question": "What is 3 + 4?", "gold": "7", "labels": ["odd", "even"], "hint": "three"},
    ]
)
"""Texts of 14 to 16 characters: a posed question has 7 to 32."""


ASKED = "{{ question }} ({{ labels[0] }}?)"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path, Runtime(Store(tmp_path / "store")), "a test", {})


def response(number: int, text: str | None, finish: str = "stop", sample: int = 0) -> Row:
    made = {"sample": sample, "model": "m", "response": text, "finish": finish}
    return {"id": f"posed/{number:06d}", "labels": ["odd", "even"], "examples": ["a", "b"], **made}


def solutions(*texts: str | None, id: str = "p", **columns: Any) -> list[Row]:
    """Solutions of one question; a text that ends in "…" was cut off."""
    return [
        {"id": id, "question": "?", "sample": n, "model": "m", "response": text, **columns}
        | {"finish": "error" if text is None else "length" if text.endswith("…") else "stop"}
        for n, text in enumerate(texts)
    ]


def test_examples_are_other_groups_each_time_and_fewer_are_the_first_of_more(work: Work) -> None:
    def drawn(count: int, seed: int = 0) -> list[Row]:
        return list(examples.function(BENCHMARK, 2, count, ASKED, seed, work=work))

    groups = drawn(3)
    texts = BENCHMARK.column("question")
    assert {frozenset(row["examples"]) for row in groups} == {
        frozenset(pair) for pair in (texts[:2], texts[1:], (texts[0], texts[2]))
    }
    assert [row["id"] for row in groups] == ["posed/000000", "posed/000001", "posed/000002"]
    assert all(set(row) == {"id", "examples", "labels"} for row in groups)  # golds and hints differ
    assert drawn(2) == groups[:2]
    assert any(drawn(3, seed) != groups for seed in (1, 2, 3))
    with pytest.raises(StageFailed, match="3 questions make 3 different groups of 2, 4 are wanted"):
        drawn(4)
    with pytest.raises(StageFailed, match="3 questions make 0 different groups of 4, 1 are wanted"):
        list(examples.function(BENCHMARK, 4, 1, ASKED, 0, work=work))


def test_what_a_posed_question_would_lack_is_said_before_any_is_posed(work: Work) -> None:
    with pytest.raises(
        InputError, match=r"a test: a posed question could not be asked: .* needs hint, which row posed l"
    ):
        list(examples.function(BENCHMARK, 2, 1, "{{ question }} ({{ hint }})", 0, work=work))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (response(1, "What is 5 + 6?"), None),
        (response(1, "\n What is 5 + 6? \n"), None),
        (response(1, "7 signs"), None),
        (response(1, "x" * 32), None),
        (response(1, None, "error"), "missing"),
        (response(1, " \n"), "empty"),
        (response(1, "What is 5 + 6?", "length"), "cut_off"),
        (response(1, "5 + 6?"), "short"),
        (response(1, "x" * 33), "long"),
        (response(1, "what is  3 + 4?"), "copied"),
        (response(1, "WHAT IS 8 + 1?"), "repeated"),
    ],
)
def test_a_response_is_a_question_or_left_out_for_a_reason(given: Row, reason: str | None, work: Work) -> None:
    made = list(pose.function(Rows.of([response(0, "What is 8 + 1?"), given]), BENCHMARK, work=work))
    assert made[0] == {"id": "posed/000000", "question": "What is 8 + 1?", "labels": ["odd", "even"]}
    assert [row["question"] for row in made[1:]] == ([] if reason else [given["response"].strip()])
    assert work.facts == {"asked": 2, "posed": len(made), "left_out": {reason: 1} if reason else {}}


def test_several_responses_to_one_group_are_several_questions(work: Work) -> None:
    given = Rows.of([response(0, "What is 8 + 1?"), response(0, "What is 8 + 2?", sample=1)])
    made = list(pose.function(given, BENCHMARK, work=work))
    assert [row["id"] for row in made] == ["posed/000000", "posed/000000/1"]


def test_no_question_is_a_failure_that_says_why(work: Work) -> None:
    given = Rows.of([response(0, ""), response(1, ""), response(2, "Hm.")])
    said = "none of 3 responses is a new question: 2 empty, 1 shorter than 0.5 of the benchmark's shortest question"
    with pytest.raises(StageFailed, match=said):
        list(pose.function(given, BENCHMARK, work=work))


def final(*answers: str) -> tuple[str, ...]:
    return tuple(f"So it is.\nFinal answer: {answer}" for answer in answers)


@pytest.mark.parametrize(
    ("verifier", "texts", "found"),
    [
        ("number", final("7", "8", "7 apples", "7.0", "9"), Vote("7", 0.6)),
        ("number", final("7", "7", "7"), Vote("7", 1.0)),
        ("number", (*final("7", "7"), "I do not know.", None), Vote("7", 0.5)),
        ("number", (*final("7", "8", "8"), "Final answer: 7…"), Vote("8", 0.5)),
        ("number", final("7", "7", "8", "8"), "tie"),
        ("number", final("7", "8", "9"), "tie"),
        ("number", ("Seven?", "I do not know.", None), "no_answer"),
        ("number", ("Final answer: 7…",) * 3, "no_answer"),
        ("choice", final("B", "(b)", "C"), Vote("B", 2 / 3)),
        ("label", final("even", "Even", "odd"), Vote("even", 2 / 3)),
        ("exact", final("17 29", "29 17", "17 29."), Vote("17 29", 2 / 3)),
        ("rouge_l", final("the cats sat", "dogs", "the cat sat"), Vote("the cats sat", 2 / 3)),
    ],
)
def test_the_answer_that_most_solutions_agree_on(verifier: str, texts: tuple[str | None, ...], found: Any) -> None:
    gold = {"label": "odd", "choice": "A"}.get(verifier, "99")
    rows = solutions(*texts, labels=["odd", "even"])
    assert vote(rows, verifiers.find(verifier), [gold]) == found


def test_an_answer_that_one_gold_answer_hides_is_read_with_the_next() -> None:
    rows = solutions(*final("the black cat", "the black cat", "a dog"))
    judge = verifiers.find("exact")
    assert judge(rows[0]["response"], {"gold": "cat"}).answer is None
    assert vote(rows, judge, ["cat"]) == Vote("a dog", 1 / 3)
    assert vote(rows, judge, ["cat", "bird"]) == Vote("the black cat", 2 / 3)


def test_questions_without_a_majority_are_left_out_and_counted(work: Work) -> None:
    given = Rows.of(
        [
            *solutions(*final("7", "7", "7", "8", "9"), id="p0"),
            *solutions(*final("7", "7", "8", "9", "10"), id="p1"),
            *solutions(*final("7", "7", "8", "8", "9"), id="p2"),
            *solutions("?", "?", "?", "?", "?", id="p3"),
            *solutions(*final("5", "5", "5", "5", "5"), id="p4"),
        ]
    )
    judge = verifiers.find("number")
    made = list(majority.function(given, BENCHMARK, judge, 0.5, work=work))
    assert made == [
        {"id": "p0", "question": "?", "gold": "7", "agreement": 0.6, "solutions": 5},
        {"id": "p4", "question": "?", "gold": "5", "agreement": 1.0, "solutions": 5},
    ]
    assert work.facts == {
        "posed": 5,
        "kept": 2,
        "left_out": {"agreement": 1, "tie": 1, "no_answer": 1},
        "agreement": pytest.approx(0.8),
    }
    assert majority.step_table(work.facts) == {
        "questions posed": "5",
        "kept": "2",
        "left out": "1 no solution has an answer that can be read, 1 several answers are as frequent, 1 too few "
        "solutions agree",
        "solutions that agree, %": "80.0",
    }
    strict = [row["id"] for row in majority.function(given, BENCHMARK, judge, 1.0, work=work)]
    assert strict == ["p4"]
    with pytest.raises(StageFailed, match="none of 1 posed questions has a gold answer: 1 several answers are as freq"):
        list(majority.function(Rows.of(given[10:15]), BENCHMARK, judge, 0.5, work=work))


def test_a_posed_question_with_its_gold_can_leak(work: Work) -> None:
    text = "Ana has 12 red and 30 blue marbles and gives 7 of them to her brother. How many marbles does she keep?"
    given = Rows.of([{**row, "question": text} for row in solutions(*final("35", "35", "36"))])
    kept = list(majority.function(given, BENCHMARK, verifiers.find("number"), 0.5, work=work))
    asked = Rows.of([{"id": "e", "question": text.upper()}, {"id": "f", "question": "What is 2 + 2?"}])
    assert list(leak_free.function(Rows.of(kept), {"test": asked}, work=work)) == []
    assert work.facts["leaked"] == 1


def test_a_size_takes_the_first_questions(work: Work) -> None:
    assert [row["id"] for row in first_questions.function(BENCHMARK, 2, work=work)] == ["b0", "b1"]
    with pytest.raises(StageFailed, match="3 of the questions posed are left, 4 are needed"):
        first_questions.function(BENCHMARK, 4, work=work)


def context(benchmark: str, verifier: str) -> Context:
    return Context("mine", benchmark, resolve("abacus-student"), "{{ question }}", 5, verifier=verifiers.find(verifier))


@pytest.mark.parametrize("model", ["", "abacus-teacher"])
def test_one_model_poses_solves_and_answers(model: str) -> None:
    options = {"kind": "posed", "model": model, "count": 40, "solutions": 4, "samples": 2, "prompt": "abacus_pose"}
    origin = parse(options, "origins.mine")
    asked = questions(find_benchmark("abacus/ledger"), "train", 12, 0)
    told = context("abacus/ledger", "number")
    posed = origin.questions(asked, told)
    solved, _ = posed.upstream
    written = solved.upstream[0].upstream[0]
    answered = origin.responses(posed, told)
    assert [node.stage.name for node in (posed, solved, solved.upstream[0], written, written.upstream[0])] == [
        *("majority", "generate", "pose", "generate", "examples")
    ]
    named = model or "abacus-student"
    assert {node.values["model"] for node in (written, solved, answered)} == {resolve(named)}
    assert [
        (node.values["sampling"].n, node.values["sampling"].temperature) for node in (written, solved, answered)
    ] == [*((1, 1.0), (4, 0.7), (2, 0.0))]
    assert [node.expected_rows for node in (written, solved, posed, answered)] == [40, 160, 40, 80]
    assert origin.models_asked == ((model,) if model else ())


def test_questions_whose_gold_answers_are_tests_are_not_posed() -> None:
    asked = questions(find_benchmark("abacus/ledger"), "train", 12, 0)
    with pytest.raises(
        InputError, match=r"origins\.mine: nothing can pose questions of mbpp, whose gold answers are tests"
    ):
        Posed().questions(asked, context("mbpp", "code"))


def test_the_abacus_models_are_asked_in_the_words_they_know() -> None:
    shown = ["Ana has 3 coins.", "Ben has 4 coins."]
    assert fill(prompt("abacus_pose"), {"examples": shown}) == POSE.format(examples="\n".join(shown))
    asked = fill(prompt("pose"), {"examples": shown})
    assert "Example 2:\nBen has 4 coins.\n\nOne more question:" in asked
    assert fill(prompt("pose"), {"examples": shown, "context": "Count."}).count("Count.\n\nExample 1:") == 1
