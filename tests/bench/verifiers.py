"""Verifier speed: `number` and `math` beside math-verify, called for one row after another.

    python -m tests.bench.verifiers                     # 10,000 rows of numbers, 4,000 of mathematics
    python -m tests.bench.verifiers --numbers 1000 --formulas 400

Rows are made here: solutions with a marked or boxed final answer that is a number, fraction, quantity, formula, pair or
interval, right and wrong, or unreadable. All read the same responses, block by block and in turns, so that other load
falls on each alike, and each in a process of its own, because sympy remembers what it has simplified. math-verify gets
the whole response, as it is usually called, and once more only the answer that our extraction found. `math` runs as the
stage runs it (`tasks.verify.judged_all`: one process a core).
"""

import argparse
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

from tasks.answer.final_answer import final_answer
from tasks.kinds.verifiers import find
from tasks.verification.parallel_verdicts import judged_all

Row = dict[str, Any]
Way = Callable[[list[Row]], list[str]]
"""One way to judge rows: a verdict for each, in order."""

BLOCKS = 8
WARM_UP: list[Row] = [{"id": str(n), "gold": f"x+{n}", "response": f"So it is $\\boxed{{{n}+x}}$."} for n in range(32)]
"""Rows that load math-verify and start the workers before any time is taken."""


def number_rows(count: int) -> list[Row]:
    """Word problems: seven in ten answered right, one without a readable answer."""
    rng = random.Random(0)
    made = []
    for index in range(count):
        each, many = rng.randint(2, 9999), rng.randint(2, 99)
        total = each * many
        said = total if rng.random() < 0.78 else total + rng.choice((-10, 1, 100))
        written = (f"{said}", f"{said:,}", f"${said}.00", f"{said} apples", f"**{said}**", f"\\boxed{{{said}}}")
        steps = f"Each of the {many} boxes holds {each} apples.\n{each} * {many} = {said}, so that is all of them.\n"
        end = f"Final answer: {rng.choice(written)}" if rng.random() < 0.9 else "I am not sure."
        made.append({"id": str(index), "gold": f"{total:,}", "response": steps * rng.randint(1, 4) + end})
    return made


def formula_rows(count: int) -> list[Row]:
    """Answers as MATH has them: over half plain numbers, the rest formulas; three in ten wrong or unreadable."""
    rng = random.Random(1)
    kinds = rng.choices(list(KINDS), [30, 15, 10, 10, 20, 10, 5], k=count)
    made = []
    for index, kind in enumerate(kinds):
        gold, right, wrong = KINDS[kind](rng)
        answer = right if rng.random() < 0.7 else wrong
        steps = f"We have $n = {rng.randint(2, 999)}$ and $k = {rng.randint(2, 99)}$, so that $n + k > {index}$.\n"
        response = steps * rng.randint(1, 4) + f"So the answer is $\\boxed{{{answer}}}$."
        made.append({"id": str(index), "gold": gold, "response": response, "kind": kind})
    return made


def _integer(rng: random.Random) -> tuple[str, str, str]:
    n = rng.randint(-9999, 99999)
    return str(n), rng.choice((f"{n}", f"{n:,}", f"x = {n}", f"{n}.0")), str(n + rng.randint(1, 9))


def _fraction(rng: random.Random) -> tuple[str, str, str]:
    a, b, k = rng.randint(1, 99), rng.randint(2, 99), rng.randint(1, 4)
    right = rng.choice((f"\\dfrac{{{a * k}}}{{{b * k}}}", f"{a}/{b}"))
    return f"\\frac{{{a}}}{{{b}}}", right, f"\\frac{{{b}}}{{{a + b}}}"


def _quantity(rng: random.Random) -> tuple[str, str, str]:
    n = rng.randint(1, 999)
    unit = rng.choice(("\\%", "^\\circ", "\\text{ cm}", "\\text{ apples}", "\\text{ square inches}"))
    return f"{n}{unit}", rng.choice((f"{n}", f"{n}{unit}")), f"{n + 1}{unit}"


def _list(rng: random.Random) -> tuple[str, str, str]:
    a, b = sorted(rng.sample(range(-50, 50), 2))
    start, end = rng.choice((("", ""), ("(", ")"), ("[", ")"), ("\\{", "\\}")))
    return f"{start}{a},{b}{end}", f"{start}{a}, {b}{end}", f"{start}{a}, {b + 1}{end}"


def _polynomial(rng: random.Random) -> tuple[str, str, str]:
    a, b = rng.randint(1, 30), rng.randint(1, 30)
    return f"x^2+{a + b}x+{a * b}", f"(x+{a})(x+{b})", f"(x+{a})(x+{b + 1})"


def _radical(rng: random.Random) -> tuple[str, str, str]:
    a, b = rng.randint(2, 30), rng.choice((2, 3, 5, 6, 7))
    return f"{a}\\sqrt{{{b}}}", f"\\sqrt{{{a * a * b}}}", f"{a + 1}\\sqrt{{{b}}}"


def _unreadable(rng: random.Random) -> tuple[str, str, str]:
    return str(rng.randint(1, 99)), "\\text{there is no such number}", f"\\frac{{{rng.randint(1, 99)}}}{{"


KINDS: dict[str, Callable[[random.Random], tuple[str, str, str]]] = {
    "integer": _integer,
    "fraction": _fraction,
    "quantity": _quantity,
    "list": _list,
    "polynomial": _polynomial,
    "radical": _radical,
    "unreadable": _unreadable,
}
"""Kinds of answers: each gives a gold answer, one that is right (but for the last) and one that is not."""


def one_after_another(name: str, rows: list[Row]) -> list[str]:
    judge = find(name)
    return [judge(row["response"], row).verdict for row in rows]


def in_parallel(name: str, rows: list[Row]) -> list[str]:
    return [verdict.verdict for _, verdict in judged_all(iter(rows), find(name))]


def math_verify(rows: list[Row]) -> list[str]:
    """Its own reading of gold answer and response, with its own time limits."""
    from math_verify import parse, verify

    pairs = ((parse(f"${row['gold']}$"), parse(row["response"])) for row in rows)
    return ["correct" if verify(gold, answer) else "wrong" for gold, answer in pairs]


def math_verify_extracted(rows: list[Row]) -> list[str]:
    return math_verify([{**row, "response": f"${final_answer(row['response']) or ''}$"} for row in rows])


NUMBER: dict[str, Way] = {
    "number": partial(one_after_another, "number"),
    "math-verify": math_verify,
    "math-verify on the extracted answer": math_verify_extracted,
}
MATH: dict[str, Way] = {
    "math in parallel": partial(in_parallel, "math"),
    "math-verify": math_verify,
    "math-verify on the extracted answer": math_verify_extracted,
    "math, one after another": partial(one_after_another, "math"),
}


def timed(way: Way, rows: list[Row]) -> tuple[float, list[str]]:
    begun = time.perf_counter()
    verdicts = way(rows)
    return time.perf_counter() - begun, verdicts


def side_by_side(title: str, rows: list[Row], ways: dict[str, Way], warm_up: list[Row]) -> None:
    """Run all ways over each block of rows before the next block, and print rows/s and ratios to the first."""
    spent = dict.fromkeys(ways, 0.0)
    verdicts: dict[str, list[str]] = {name: [] for name in ways}
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        homes = {name: stack.enter_context(ProcessPoolExecutor(1, mp_context=spawn)) for name in ways}
        for name, way in ways.items():
            homes[name].submit(timed, way, warm_up).result()
        for block in _blocks(rows):
            for name, way in ways.items():
                seconds, found = homes[name].submit(timed, way, block).result()
                spent[name] += seconds
                verdicts[name] += found
    first = next(iter(ways))
    print(f"\n{title}: {len(rows):,} rows")
    for name in ways:
        counted = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(Counter(verdicts[name]).items()))
        print(f"  {name:<36} {len(rows) / spent[name]:>10,.0f} rows/s   {counted}")
    for name in list(ways)[1:]:
        pairs = zip(verdicts[first], verdicts[name], strict=True)
        differ = sum((one == "correct") != (two == "correct") for one, two in pairs)
        print(f"  {first} is {spent[name] / spent[first]:.1f} x {name}; {differ:,} rows are judged differently")


def _blocks(rows: list[Row]) -> Iterator[list[Row]]:
    size = max(1, len(rows) // BLOCKS)
    return (rows[start : start + size] for start in range(0, len(rows), size))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--numbers", type=int, default=10_000)
    parser.add_argument("--formulas", type=int, default=4_000)
    given = parser.parse_args()
    numbers, formulas = number_rows(given.numbers), formula_rows(given.formulas)
    hard = [row for row in formulas if row["kind"] in ("polynomial", "radical")]
    side_by_side("numbers", numbers, NUMBER, numbers[:32])
    side_by_side("mathematics", formulas, MATH, WARM_UP)
    side_by_side("of these, what only sympy can decide", hard, MATH, WARM_UP)


if __name__ == "__main__":
    main()
