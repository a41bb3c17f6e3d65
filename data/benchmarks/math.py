r"""MATH: competition problems in LaTeX with solutions written by people, of seven subjects and five levels.

    {"problem": "If $3x + 4 = 25$, what is $x^2$?", "level": "Level 2", "type": "Algebra",
     "solution": "Subtracting $4$ gives $3x = 21$, so $x = 7$ and $x^2 = \\boxed{49}$."}

The gold answer is what stands in the solution's last box, read as the authors do (`last_boxed_only_string` in
modeling/dataset/util.py, github.com/hendrycks/math; Hendrycks et al. 2021, arXiv 2103.03874). They call an answer right
when its text is the gold text after normalising (`is_equiv` in modeling/math_equivalence.py); here the verifier `math`
also takes another way to write the same value. The reference is the solution with the last line `Final answer: 49`.

`math` has all subjects, but for the 2 training problems whose box is empty. `math/algebra` is the subset of Ren et al.
2024 (arXiv 2402.11192): algebra problems whose gold answer is one number in digits, in training with a sign or a
decimal point where it has one (`-?\d+(\.\d+)?`: 1,255 of 1,744; they have 1,254, of which 1,253 are the same), in the
test without (`\d+`: 752 of 1,187, the same as theirs).

Licence MIT (github.com/hendrycks/math); the first copy on the hub was taken down in January 2025 after a complaint
about the problems' origin. Hub DigitalLearningGmbH/MATH-lighteval, 7,500 training and 5,000 test problems; or the
authors' folder MATH with a JSON file for each problem (train/algebra/1.json).
"""

import re
from collections.abc import Iterable
from typing import Any

from data.benchmark import Benchmark
from data.prompt import prompt
from data.row_values import Row
from data.source import Hub

_ONE_NUMBER = {"train": re.compile(r"-?\d+(\.\d+)?"), "test": re.compile(r"\d+")}


def row(raw: Row) -> Row:
    gold = last_box(str(raw["solution"]))
    solution = str(raw["solution"]).strip()
    return {
        "question": raw["problem"],
        "gold": gold,
        "reference": f"{solution}\nFinal answer: {gold}",
        "level": raw["level"],
        "type": raw["type"],
    }


def last_box(solution: str) -> str:
    r"""What stands in the last `\boxed{…}` or `\fbox{…}`, or after one without braces up to the formula's end."""
    start = max(solution.rfind("\\boxed"), solution.rfind("\\fbox"))
    if start < 0:
        raise ValueError(f"column 'solution' has no box: {solution[-40:]!r}")
    rest = re.sub(r"^\\(boxed|fbox)\s*", "", solution[start:])
    if not rest.startswith("{"):
        return rest.split("$")[0].strip()
    depth = 0
    for at, sign in enumerate(rest):
        depth += (sign == "{") - (sign == "}")
        if depth == 0:
            return rest[1:at].strip()
    raise ValueError(f"column 'solution' has a box that does not end: {solution[start:][:40]!r}")


def answered(row: Row, split: str) -> bool:
    return bool(row["gold"])


def one_number(row: Row, split: str) -> bool:
    """Whether the problem is in the subset of Ren et al."""
    return row["type"] == "Algebra" and _ONE_NUMBER[split].fullmatch(row["gold"]) is not None


def problem(document: Any) -> Iterable[Row]:
    """The one problem of a file of the authors' folder."""
    if not isinstance(document, dict):
        raise ValueError("allowed: one JSON object with problem, level, type and solution")
    return [document]


_HUB = Hub("DigitalLearningGmbH/MATH-lighteval", "default", revision="0530c78699ea5e8eb5530600900e1f328b48acad")

BENCHMARKS = (
    Benchmark(
        name="math",
        source=_HUB,
        row=row,
        keep=answered,
        prompt=prompt("solve_math"),
        verifier="math",
        licence="MIT",
        layouts={"train": ("train/*/*.json",), "test": ("test/*/*.json",)},
        document=problem,
    ),
    Benchmark(
        name="math/algebra",
        source=_HUB,
        row=row,
        keep=one_number,
        prompt=prompt("solve"),
        verifier="number",
        licence="MIT",
        layouts={"train": ("train/algebra/*.json",), "test": ("test/algebra/*.json",)},
        document=problem,
    ),
)
