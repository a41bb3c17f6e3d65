"""The leak check finds copies, near copies and embedded questions, and lets templates with other numbers pass."""

import os
import random
import time
from pathlib import Path

import pytest

from data.benchmark import find, questions_of
from data.errors import InputError
from tasks.leak import leak, overlaps
from tasks.storage.rows import Rows

REAL = Path(os.environ.get("MOTHERTONGUE_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data") / "gsm8k"
needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"no real GSM8K files in {REAL}; name their parent folder in MOTHERTONGUE_DATA"
)
LONG = (
    "A baker fills 3 trays with 12 rolls each, sells 30 rolls in the morning, bakes another 2 trays of the same size "
    "at noon, and gives 5 rolls to the school. How many rolls are left in the evening?"
)


def rows(name: str, *texts: str) -> Rows:
    return Rows.of([{"id": f"{name}/{number}", "question": text} for number, text in enumerate(texts)])


def found(train: str, evaluation: str) -> bool:
    try:
        leak.function({"a": rows("train", train)}, {"b": rows("test", evaluation)})
    except InputError:
        return True
    return False


@pytest.mark.parametrize(
    ("train", "evaluation", "leaks"),
    [
        ("What is 2 + 2?", "what is  2 + 2?", True),
        ("What is 2 + 2?", "What is 2 + 3?", False),
        ("What is 2 + 2?", "What is 2 - 2?", False),
        (LONG, LONG.upper(), True),
        (LONG, LONG.replace("baker", "cook"), True),
        (LONG, LONG.replace("How many rolls are left in the evening", "What is left"), True),
        (f"Example: {LONG} Work it out step by step.", LONG, True),
        (LONG, LONG.replace("12", "14"), False),
        (LONG.replace("12", "1,200"), LONG.replace("12", "1200"), True),
        (LONG, LONG.replace("2 trays", "4 trays").replace("5 rolls", "9 rolls"), False),
        (LONG, "A gardener plants 3 rows of 12 trees, 30 of them oaks, then 2 more rows, and gives 5 away.", False),
        ("Put 43 17 85 29 in order from large to small.", "Put 17 43 85 29 in order from large to small.", False),
        ("Please put 43 17 85 29 in order from large to small.", "Put 43 17 85 29 in order from large to small.", True),
        ("", "", True),
    ],
)
def test_pairs(train: str, evaluation: str, leaks: bool) -> None:
    assert found(train, evaluation) is leaks


def test_the_error_names_benchmarks_number_and_rows() -> None:
    texts = [f"What is {number} + 1?" for number in range(5)]
    message = (
        r"leak: 5 of 6 evaluation questions of mine stand among the training questions of theirs \(5 with the same "
        r"text\): test/0 = train/0 \(same text\); test/1 = train/1 \(same text\); .*; and 2 more. Allowed: none"
    )
    with pytest.raises(InputError, match=message):
        leak.function({"theirs": rows("train", *texts)}, {"mine": rows("test", *texts, "Another?")})


def test_every_pair_of_benchmarks_is_compared() -> None:
    made = leak.function(
        {"a": rows("train", "x y z"), "b": rows("train", LONG)},
        {"c": rows("test", "p q"), "d": rows("test", LONG.replace("12", "14"))},
    )
    assert [(row["train"], row["evaluation"]) for row in made] == [("a", "c"), ("b", "c"), ("a", "d"), ("b", "d")]
    assert made[3]["nearest"] > 0.5
    assert made[0]["nearest"] == 0


@pytest.mark.parametrize("family", ["ledger", "boxes", "sorting", "backwards", "clock", "choice"])
def test_generated_questions_of_one_template_are_no_leak(family: str) -> None:
    benchmark = find(f"abacus/{family}")
    for seed in range(3):
        train, test = (Rows.of(questions_of(benchmark, split, 300, seed)) for split in ("train", "test"))
        leak.function({family: train}, {family: test})


def test_ten_thousand_against_ten_thousand_takes_seconds() -> None:
    rng = random.Random(0)
    words = [f"word{number}" for number in range(2_000)]
    sides = [[(str(n), " ".join(rng.choices(words, k=40))) for n in range(10_000)] for _ in range(2)]
    sides[1][4321] = ("copy", sides[0][1234][1])
    started = time.process_time()
    assert [(hit.evaluation, hit.train) for hit in overlaps(*sides)] == [("copy", "1234")]
    assert time.process_time() - started < 30


@needs_real
def test_real_gsm8k_splits_do_not_leak_in_either_direction() -> None:
    sides = {}
    for split in ("train", "test"):
        sides[split] = Rows.of(questions_of(find("gsm8k").at(REAL).only(split), split, None, 0))
    (forward,) = leak.function({"gsm8k": sides["train"]}, {"gsm8k": sides["test"]})
    (swapped,) = leak.function({"gsm8k": sides["test"]}, {"gsm8k": sides["train"]})
    assert forward["nearest"] == pytest.approx(7 / 13)
    assert swapped["nearest"] < 0.6
