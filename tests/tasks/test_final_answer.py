"""Where a response's final answer stands (cases in tests/cases/final_answer.jsonl), and that no text makes it slow."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.answer.final_answer import final_answer, final_passage, find
from tasks.answer.turn import ended, turn

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "cases" / "final_answer.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=range(1, len(CASES) + 1))
def test_case(case: dict[str, Any]) -> None:
    assert final_answer(case["response"]) == case["answer"], case["source"]


@pytest.mark.parametrize(
    ("response", "boxes"),
    [
        (r"So $\boxed{(2, 2)} \quad \text{and} \quad \boxed{(6, 2)}$", ("(2, 2)", "(6, 2)")),
        (r"\boxed{3}, \boxed{5} and \boxed{7}.", ("3", "5", "7")),
        ("$$\\boxed{3}$$\n or\n$$\\boxed{5}$$", ("3", "5")),
        (r"\boxed{18}, no: \boxed{20}", ("20",)),
        (r"First \boxed{3}. The answer is \boxed{5}.", ("5",)),
        (r"\boxed{5} and so \boxed{5}", ("5",)),
        (r"\boxed{5}, \boxed{5}", ("5",)),
        (r"\boxed{\{1, 2\}}", (r"\{1, 2\}",)),
        (r"\boxed {\frac{3}{4}}", (r"\frac{3}{4}",)),
        (r"$\boxed \frac{3}{4}$", (r"\frac{3}{4}",)),
        ("\x08oxed{7}", ("7",)),
        (r"\boxed{18", ("",)),
        ("The answer is 5.", ()),
    ],
)
def test_boxes_that_only_a_comma_or_a_word_parts_are_one_answer(response: str, boxes: tuple[str, ...]) -> None:
    found = find(response)
    assert (() if found is None else found.boxes) == boxes


@pytest.mark.parametrize(
    ("text", "kept", "had_end"),
    [
        ("7<|end|>", "7", True),
        ("7 <|im_end|>\n", "7", True),
        ("7</s>", "7", True),
        ("7<|eot_id|><|eot_id|>", "7", True),
        ("7<end_of_turn>", "7", True),
        ("7<\uff5cend\u2581of\u2581sentence\uff5c>", "7", True),
        ("7</s>Question: 8", "7", True),
        ("<s>4</s> is struck out", "4", True),
        ("it was <s>4</s> 5", "it was <s>4</s> 5", False),
        ('print("</s>")', 'print("</s>")', False),
        ("if a <b and c> d", "if a <b and c> d", False),
        ("", "", False),
    ],
)
def test_a_text_ends_where_its_turn_does(text: str, kept: str, had_end: bool) -> None:
    found, had = ended(text)
    assert (found.removeprefix("<s>"), had) == (kept, had_end)


def test_reasoning_is_no_part_of_the_turn() -> None:
    assert turn("<think>The answer is 5</think>The answer is 6").strip() == "The answer is 6"
    assert turn("The answer is 5</think>The answer is 6").strip() == "The answer is 6"
    assert turn("<think>The answer is 5") == ""
    assert turn('text.split("<think>")') == 'text.split("<think>")'
    assert turn("\ufeff7") == "7"


def test_a_passage_ends_where_the_next_question_begins() -> None:
    text = "Final answer: one\ntwo\n\nQuestion: Who?\nFinal answer: three"
    assert final_passage(text) == "one\ntwo"
    assert final_passage("Final answer: one\nFinal answer: two\nthree") == "two\nthree"


@pytest.mark.parametrize(
    "text",
    [
        *("\n" * 40_000, " " * 40_000 + ">", "<think>" * 9_000, r"\boxed{" * 9_000, r"\boxed" + " " * 40_000),
        *("<answer>" * 5_000 + "</answer>" * 5_000, "\nQ:" * 10_000, "\nA: " * 10_000, "</s>" * 10_000),
        *("answer " + "_" * 40_000, "answer" + " " * 40_000, "answer to " + "a " * 20_000, '"answer": "' * 4_000),
    ],
    ids=range(13),
)
def test_no_long_text_takes_long(text: str) -> None:
    started = time.process_time()
    final_answer(text)
    final_passage(text)
    assert time.process_time() - started < 5
