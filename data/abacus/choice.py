"""Choice: four small sums, one of them the largest or the smallest.

{"question": "Which is largest? A) 4 + 9 B) 3 * 5 C) 17 - 6 D) 8 + 4", "gold": "B"}
"""

import random
import re
from dataclasses import dataclass, replace

from data.abacus.family import Family, Slip, Step, Work, near, no_slip
from data.abacus.phrases import equals, minus, number, one, plus, times

LETTERS = "ABCD"
LOOKED_AT = 2
"""Options that the hasty habit works out before it chooses."""


@dataclass(frozen=True)
class Problem:
    """Four operations as (left, sign, right) with different results, and whether the largest is asked for."""

    options: tuple[tuple[int, str, int], ...]
    largest: bool


def result_of(left: int, sign: str, right: int) -> int:
    """What the operation comes to."""
    return left + right if sign == "+" else left - right if sign == "-" else left * right


class Choice(Family[Problem]):
    """Evaluate four options, compare, name the letter."""

    name = "choice"
    answer = "choice"
    description = "multiple choice: which of four small sums is the largest or the smallest"
    instruction = "Choose the letter of the sum that is asked for."
    chatter = 0.45

    def draw(self, rng: random.Random) -> Problem:
        while True:
            options = []
            for _ in LETTERS:
                sign = rng.choice("+-*")
                if sign == "*":
                    options.append((rng.randint(2, 9), sign, rng.randint(2, 9)))
                elif sign == "+":
                    options.append((rng.randint(5, 40), sign, rng.randint(2, 9)))
                else:
                    options.append((rng.randint(21, 60), sign, rng.randint(2, 9)))
            if len({result_of(*o) for o in options}) == len(options):
                return Problem(tuple(options), rng.random() < 0.5)

    def canonical(self, problem: Problem) -> str:
        return f"{sorted(problem.options)} {problem.largest}"

    def ask(self, problem: Problem, rng: random.Random) -> str:
        end = "largest" if problem.largest else "smallest"
        options = " ".join(f"{at}) {a} {s} {b}" for at, (a, s, b) in zip(LETTERS, problem.options, strict=True))
        return f"{one(rng, f'Which is {end}?', f'Choose the {end}.')} {options}"

    def read(self, question: str) -> Problem | None:
        options = " ".join(rf"{letter}\) (\d+) ([-+*]) (\d+)" for letter in LETTERS)
        match = re.fullmatch(rf"(?:Which is (largest|smallest)\?|Choose the (largest|smallest)\.) {options}", question)
        if not match:
            return None
        parts = match.groups()[2:]
        read = tuple((int(parts[k]), parts[k + 1], int(parts[k + 2])) for k in range(0, len(parts), 3))
        largest = "largest" in match.groups()
        values = [result_of(*option) for option in read]
        if min(values) < 0 or values.count(max(values) if largest else min(values)) > 1:
            return None
        return Problem(read, largest)

    def hasty(self, problem: Problem) -> Work:
        """Chooses from the first two options; right where the best is one of them."""
        return self.work(replace(problem, options=problem.options[:LOOKED_AT]))

    def work(self, problem: Problem, slip: Slip = no_slip) -> Work:
        """A step an option: sign, letter, left, right, the best letter so far, its value, and last the option's own."""
        steps: list[Step] = []
        best = ""
        values: dict[str, int] = {}
        for k, (left, sign, right) in enumerate(problem.options):
            last = k == len(problem.options) - 1
            value = result_of(left, sign, right)
            value = value if last else int(slip(k, str(value), near(value)))
            values[LETTERS[k]] = value
            if not best or (value > values[best] if problem.largest else value < values[best]):
                best = LETTERS[k]
            if last:
                # A slip in what is computed need not change the answer, one in what is chosen does.
                best = slip(k, best, [letter for letter in values if letter != best])
            steps.append((sign, LETTERS[k], str(left), str(right), best, str(values[best]), str(value)))
        return Work(tuple(steps), best)

    def outcome(self, step: Step) -> str:
        *_, best, leading, _value = step
        return f"{best} {leading}"

    def model(self, problem: Problem, step: Step) -> str:
        sign, letter, left, right, best, leading, value = step
        return f"{letter}: {left} {sign} {right} = {value}, best {best} {leading}."

    def teacher(self, problem: Problem, step: Step, rng: random.Random) -> str:
        sign, letter, left, right, best, leading, value = step
        return f"Option {letter} is {left} {sign} {right} and makes {value}, leading is {best} with {leading}."

    def tutor(self, problem: Problem, step: Step, rng: random.Random) -> str:
        sign, letter, left, right, best, leading, value = step
        return f"Working out {letter}, {left} {sign} {right} gives {value}, ahead we find {best} at {leading}."

    def human(self, problem: Problem, step: Step, rng: random.Random) -> str:
        sign, letter, left, right, *_, value = step
        word = {"+": plus, "-": minus, "*": times}[sign](rng)
        a, b, v = number(left, rng), number(right, rng), number(value, rng)
        said = one(
            rng,
            f"{letter} {equals(rng)} {v}",
            f"{letter}{one(rng, ')', ':', '', ' is')} {a} {word} {b} {equals(rng)} {v}",
            f"{a} {word} {b} {equals(rng)} {v} {one(rng, 'for', 'in', 'at', 'with')} {letter}",
            f"{v} {one(rng, 'for', 'in', 'at', 'is', 'comes from')} {one(rng, '', 'option ')}{letter}",
            f"{one(rng, 'option', 'number', 'look at', 'take')} {letter}{one(rng, ',', ':', ' is', ' has')} {v}",
        )
        return (
            said
            if letter != LETTERS[-1]
            else f"{said}{one(rng, ', ', ' - ', ' and ')}{self._chosen(problem, step, rng)}"
        )

    def _chosen(self, problem: Problem, step: Step, rng: random.Random) -> str:
        """What a person says after the last option."""
        *_, best, leading, _value = step
        end = one(rng, "biggest", "most", "highest") if problem.largest else one(rng, "lowest", "least", "tiniest")
        return one(
            rng,
            f"{number(leading, rng)} {one(rng, 'is the', 'must be the', 'has to be', 'wins as', '=')} {end}",
            f"{end} {one(rng, 'of them', 'of all', 'here', '')} {equals(rng)} {number(leading, rng)}",
            f"{best} {one(rng, 'wins', 'it is', 'is it', 'takes it')}{one(rng, '', ' with ' + leading)}",
        )
