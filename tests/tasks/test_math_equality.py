"""Numbers and formulas are equal when their exact values are, however they are written; time limits hold."""

import json
import os
import threading
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks.answer import symbolic
from tasks.answer.plain_number import decimal, read
from tasks.kinds.verifiers import find
from tasks.verification.verdict import judged
from tasks.verifiers import math, number

REAL = Path(os.environ.get("MOTHERTONGUE_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")


@st.composite
def finite_decimals(draw: st.DrawFn) -> Fraction:
    """Numbers with up to 12 digits before and after the decimal point."""
    return Fraction(draw(st.integers(-(10**12), 10**12)), 10 ** draw(st.integers(0, 12)))


def spellings(value: Fraction) -> list[str]:
    """Ways to write a number with a finite decimal, each certain."""
    sign, size = ("-" if value < 0 else ""), abs(value)
    digits = decimal(size)
    whole, _, rest = digits.partition(".")
    grouped = f"{int(whole):,}" + (f".{rest}" if rest else "")
    mantissa = digits.replace(".", "")
    exponent = len(whole) - 1
    found = [
        f"{sign}{digits}",
        f"{sign}{grouped}",
        f"{sign}{grouped.replace(',', '{,}')}",
        f"{sign}{grouped.replace(',', ',' + chr(92) + '!')}",
        f"{sign}{whole}.{rest}00",
        f"{sign}{mantissa[0]}.{mantissa[1:]}0e{exponent:+03d}",
        f"{sign}{mantissa[0]}.{mantissa[1:]}0 \\times 10^{{{exponent}}}",
        f"{sign}\\frac{{{size.numerator}}}{{{size.denominator}}}",
        f"{sign}\\dfrac{{{size.numerator * 3}}}{{{size.denominator * 3}}}",
        f"{sign}{size.numerator}/{size.denominator}",
        f"{sign}{digits}\\%",
        f"\\text{{{sign}{digits}}}",
    ]
    over = size - size.numerator // size.denominator
    if over and size > 1:
        found.append(f"{sign}{size.numerator // size.denominator}\\frac{{{over.numerator}}}{{{over.denominator}}}")
    return found


@settings(deadline=None, max_examples=60)
@given(finite_decimals())
def test_a_number_equals_itself_however_both_sides_are_written(value: Fraction) -> None:
    for written in spellings(value):
        for name in ("number", "math"):
            for gold in (decimal(value), written):
                judged = find(name)(f"So it is $\\boxed{{{written}}}$.", {"gold": gold})
                assert judged.verdict == "correct", (name, gold, written, judged)


@settings(deadline=None, max_examples=60)
@given(finite_decimals(), st.data())
def test_a_number_that_differs_in_any_digit_is_never_accepted(value: Fraction, data: st.DataObject) -> None:
    digits = decimal(value)
    at = data.draw(st.sampled_from([at for at, char in enumerate(digits) if char.isdigit()]))
    changed = f"{digits[:at]}{data.draw(st.sampled_from('0123456789'))}{digits[at + 1 :]}"
    assume(Fraction(changed) != value)
    for written in spellings(Fraction(changed)):
        for name in ("number", "math"):
            judged = find(name)(f"So it is $\\boxed{{{written}}}$.", {"gold": digits})
            assert judged.verdict in ("wrong", "unparseable"), (name, digits, written)


@settings(deadline=None, max_examples=100)
@given(st.integers(2, 9), st.integers(20, 400), st.integers(1, 3))
def test_far_powers_are_told_apart(base: int, exponent: int, step: int) -> None:
    for one, other in (
        (f"{base}^{{{exponent}}}", f"{base}^{{{exponent}}}+{step}"),
        (f"\\frac{{1}}{{{base}^{{{exponent}}}}}", f"\\frac{{1}}{{{base}^{{{exponent + step}}}}}"),
        (f"1-{base}^{{-{exponent}}}", f"1-{base}^{{-{exponent + step}}}"),
        (f"e^{{-{exponent}}}", f"e^{{-{exponent + step}}}"),
        (f"\\sqrt{{{base}^{{{exponent}}}}}", f"\\sqrt{{{base}^{{{exponent}}}+{step}}}"),
    ):
        assert find("math")(f"\\boxed{{{other}}}", {"gold": one}).verdict == "wrong"
        assert find("math")(f"\\boxed{{{one}+0}}", {"gold": one}).verdict == "correct"


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=4), st.lists(st.integers(-9, 9), min_size=1, max_size=4))
def test_products_of_linear_factors_equal_when_their_roots_do(one: list[int], other: list[int]) -> None:
    left, right = ("".join(f"(x{-root:+d})" for root in roots) for roots in (one, other))
    verdict = find("math")(f"\\boxed{{{right}}}", {"gold": left}).verdict
    assert verdict == ("correct" if sorted(one) == sorted(other) else "wrong")


@given(st.fractions(max_denominator=10**6), st.fractions(max_denominator=10**6))
def test_fractions_are_told_apart_exactly(one: Fraction, other: Fraction) -> None:
    written = f"\\frac{{{abs(one.numerator)}}}{{{one.denominator}}}"
    answer = f"\\boxed{{{'-' if one < 0 else ''}{written}}}"
    assert find("math")(answer, {"gold": f"{one.numerator}/{one.denominator}"}).verdict == "correct"
    assert (find("math")(answer, {"gold": str(other)}).verdict == "correct") == (one == other)
    assert Fraction(read(f"{'-' if one < 0 else ''}{written}")) == one


ANSWERS = st.sampled_from(
    [
        "5",
        "-5",
        "1/2",
        "\\sqrt{2}",
        "x+1",
        "2\\pi",
        "(1,2)",
        "[1,2)",
        "\\{1,2\\}",
        "1,2",
        "x=5",
        "x>1",
        "1:2",
        "5\\%",
        "e",
    ]
)


@settings(deadline=None, max_examples=200)
@given(ANSWERS, ANSWERS, st.sampled_from(["{}", "({})", "{}, 3", "\\left({}\\right)", "x={}", "{}\\text{{ cm}}"]))
def test_no_other_answer_is_accepted_in_any_frame(gold: str, answer: str, frame: str) -> None:
    verdict = find("math")(f"\\boxed{{{frame.format(answer)}}}", {"gold": frame.format(gold)}).verdict
    assert verdict == "correct" if gold == answer else verdict != "correct" or {gold, answer} <= SAME


SAME = {"(1,2)", "\\{1,2\\}", "1,2", "5", "5\\%", "x=5"}
"""Answers of which some count as others: a list as a pair or set, a percent sign on one side, a value's name."""


@pytest.mark.parametrize(
    "answer",
    [r"\int_0^1 e^{-x^5} \sin(x^7) dx", r"\sum_{k=1}^{9999} k!"],
)
def test_what_math_cannot_compare_in_time_is_unparseable(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbolic, "SECONDS", 1)
    judged = find("math")(f"\\boxed{{{answer}}}", {"gold": "x^{9999}"})
    assert judged.verdict == "unparseable"
    assert "could not be compared in 1 s" in judged.reason


@pytest.mark.parametrize(
    "answer",
    [
        "10**10**10",
        "(10^{1000})^{1000}",
        "e^{e^{e^{e^{e}}}}",
        "((3!)!)!",
        r"\binom{1000000}{500000}",
        "1e1000000000",
        r"2^{3^{4^{5}}}",
        "(" * 250 + "1" + ")" * 250,
        r"\sqrt{" * 90 + "2" + "}" * 90,
        "-" * 590 + "1",
        "|" * 200 + "x" + "|" * 200,
        "x_{" * 100 + "}" * 100,
        r"\sin" * 100 + " x",
    ],
)
def test_what_is_too_large_or_too_deep_is_never_computed(answer: str) -> None:
    judged = find("math")(f"\\boxed{{{answer}}}", {"gold": "x^2+1"})
    assert judged.verdict in ("unparseable", "wrong")
    assert "could not be compared in" not in judged.reason


def test_math_outside_the_main_thread_is_an_error_where_it_needs_its_time_limit() -> None:
    found: list[str] = []

    def there() -> None:
        for gold in ("5", "(x+1)^2"):
            row = {"id": "1", "response": r"\boxed{x^2+2x+1}" if "x" in gold else r"\boxed{5}", "gold": gold}
            found.append(judged(row, find("math")).reason)

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    assert found[0] == ""
    assert "main thread" in found[1]


@pytest.mark.parametrize(
    "gold",
    [
        "",
        " ",
        "1 or 2",
        "18, 20",
        "about 18",
        "18 or more",
        "x = 18",
        "18 of 20",
        "4 million",
        "1,08",
        "3e-2",
        "eighteen",
        "She sold 18.",
        "18\n20",
        "#### 18\n#### 20",
        "1.000.000",
        "nan",
        "1/0",
        "9" * 101,
    ],
)
def test_a_gold_that_is_no_one_number_is_an_error(gold: str) -> None:
    with pytest.raises(ValueError, match=r"is no number.*allowed: one number"):
        number.read_gold(gold)


@pytest.mark.parametrize(
    ("gold", "value"),
    [
        ("1e-05", "0.00001"),
        ("1e+20", "1" + "0" * 20),
        ("4.5e3", "4500"),
        ("1,080", "1080"),
        ("$18.00", "18"),
        ("3½", "3.5"),
        ("72 %", "72"),
        ("18 dollars", "18"),
        ("\\frac34", "0.75"),
        ("2 + 2 = <<2+2=4>>4\n#### 4", "4"),
    ],
)
def test_a_gold_number_is_read_exactly(gold: str, value: str) -> None:
    assert number.read_gold(gold) == value


@pytest.mark.parametrize(
    "gold",
    [
        "",
        "$ $",
        "at least 18",
        "\\text{about } 5",
        "3e-2",
        "\\boxed{3} is wrong, it is \\boxed{5}",
        "5\\frac{7}{2}",
        "She sold 48 pins in April and 24 in May, which makes 72",
        "the sum is $5$",
        "#### 3\n#### 5",
    ],
)
def test_a_gold_of_which_it_is_not_certain_what_it_says_is_an_error(gold: str) -> None:
    with pytest.raises(ValueError, match="the gold answer"):
        math.read_gold(gold)


@pytest.mark.parametrize(
    ("gold", "value"),
    [
        ("So it is $\\boxed{5}$.", "5"),
        ("\\(\\boxed{1}\\) and \\(\\boxed{-2}\\).", "1, -2"),
        ("text\n#### 72", "72"),
        ("\\boxed{7} … \\boxed{7}", "7"),
        ("$x=3$ or $x=5$", "x=3\\lor x=5"),
        ("11,\\! 111,\\! 100", "11111100"),
    ],
)
def test_a_gold_formula_is_read_from_where_it_surely_stands(gold: str, value: str) -> None:
    assert math.read_gold(gold) == value


@pytest.mark.parametrize("name", ["number", "math"])
def test_the_answer_column_of_gsm8k_is_a_gold_as_its_number_is(name: str) -> None:
    file = REAL / "gsm8k" / "test.jsonl"
    if not file.is_file():
        pytest.skip(f"no {file}; set MOTHERTONGUE_DATA to a folder that has gsm8k/")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        last = row["answer"].rpartition("####")[2].strip()
        one_more = str(int(last.replace(",", "")) + 1)
        for gold in (last, row["answer"]):
            assert find(name)(row["answer"], {"gold": gold}).verdict == "correct"
        assert find(name)(f"#### {one_more}", {"gold": row["answer"]}).verdict == "wrong"
    assert len(rows) == 1319


@pytest.mark.parametrize("name", ["number", "math"])
@pytest.mark.parametrize(
    "part", ["(", "{", "1,", "$", "a is ", "\\frac{", "\\text{", "5 apples ", "\\boxed{", "\\boxed{1} and "]
)
@pytest.mark.parametrize("count", [400, 20_000])
def test_long_answers_take_no_long_time(name: str, part: str, count: int) -> None:
    begun = time.process_time()  # of this process alone: how busy the machine is does not count
    for answer in (f"Final answer: 5 {part * count}", f"\\boxed{{{part * count}}}"):
        assert find(name)(answer, {"gold": "7"}).verdict != "correct"
    assert time.process_time() - begun < 10
