"""Boxes: multiply, add, and see what does not fill a bag.

{"question": "Ben has 6 boxes of 7 pens and 5 more. They fill bags of 8. How many are left over?", "gold": "7"}
"""

import random
import re
from dataclasses import dataclass

from data.abacus.family import Family, Slip, Step, Work, near, no_slip
from data.abacus.phrases import equals, minus, number, one, plus, times
from data.abacus.words import NAMES, NOUNS

FEW = 12
"""Loose things up to which the hasty habit passes over them."""


@dataclass(frozen=True)
class Problem:
    """`boxes` of `each` things and `extra` loose ones, packed into bags of `bag`."""

    name: str
    noun: str
    boxes: int
    each: int
    extra: int
    bag: int


class Boxes(Family[Problem]):
    """A product, a sum, the largest multiple below it, a remainder."""

    name = "boxes"
    answer = "number"
    description = "multiplication and remainder: boxes of things packed again into bags"
    instruction = "Work out how many things do not fill a bag."
    chatter = 0.6

    def draw(self, rng: random.Random) -> Problem:
        return Problem(
            rng.choice(NAMES),
            rng.choice(NOUNS),
            rng.randint(3, 9),
            rng.randint(3, 9),
            rng.randint(1, 15),
            rng.randint(3, 9),
        )

    def canonical(self, problem: Problem) -> str:
        return f"{problem.boxes} {problem.each} {problem.extra} {problem.bag}"

    def ask(self, problem: Problem, rng: random.Random) -> str:
        p = problem
        return (
            f"{p.name} has {p.boxes} boxes of {p.each} {p.noun} and {p.extra} more. "
            f"{one(rng, f'All go into bags of {p.bag}.', f'They fill bags of {p.bag}.')} "
            f"{one(rng, 'How many are left over?', 'How many do not fill a bag?')}"
        )

    def read(self, question: str) -> Problem | None:
        match = re.fullmatch(
            r"(\w+) has (\d+) boxes of (\d+) (\w+) and (\d+) more\. (?:All go into|They fill) bags of (\d+)\. "
            r"How many (?:are left over|do not fill a bag)\?",
            question,
        )
        if not match or "0" in (match[2], match[3], match[6]):
            return None
        return Problem(match[1], match[4], int(match[2]), int(match[3]), int(match[5]), int(match[6]))

    def hasty(self, problem: Problem) -> Work:
        """Passes over the loose things where they are few; right where they fill bags of their own."""
        p = problem
        if p.extra > FEW:
            return self.work(p)
        product = p.boxes * p.each
        bags = product // p.bag
        full, left = bags * p.bag, str(product % p.bag)
        steps = (
            ("*", str(p.boxes), str(p.each), str(product)),
            ("bags", str(bags), str(p.bag), str(full)),
            ("-", str(product), str(full), left),
        )
        return Work(steps, left)

    def work(self, problem: Problem, slip: Slip = no_slip) -> Work:
        p = problem
        product = int(slip(0, str(p.boxes * p.each), near(p.boxes * p.each)))
        total = int(slip(1, str(product + p.extra), near(product + p.extra)))
        bags = total // p.bag
        full = int(slip(2, str(bags * p.bag), [str(bags * p.bag + off) for off in (-2, -1) if bags]))
        left = slip(3, str(total - full), near(total - full))
        steps = (
            ("*", str(p.boxes), str(p.each), str(product)),
            ("+", str(product), str(p.extra), str(total)),
            ("bags", str(bags), str(p.bag), str(full)),
            ("-", str(total), str(full), left),
        )
        return Work(steps, left)

    def model(self, problem: Problem, step: Step) -> str:
        kind, left, right, result = step
        return f"{left} {'*' if kind == 'bags' else kind} {right} = {result}."

    def teacher(self, problem: Problem, step: Step, rng: random.Random) -> str:
        kind, left, right, result = step
        if kind == "*":
            return f"Together the boxes hold {left} times {right}, which is {result}."
        if kind == "+":
            return f"With {right} more than {left} there are {result}."
        if kind == "bags":
            return f"We fill {left} bags of {right}, using {result}."
        return f"Out of {left}, {right} are packed and {result} are not."

    def tutor(self, problem: Problem, step: Step, rng: random.Random) -> str:
        kind, left, right, result = step
        if kind == "*":
            return f"Packing: {left} boxes times {right} each gives {result}."
        if kind == "+":
            return f"Loose: {left} and {right} gives {result}."
        if kind == "bags":
            return f"Bags: {left} of {right} holds {result}."
        return f"Rest: {left} less {right} gives {result}."

    def human(self, problem: Problem, step: Step, rng: random.Random) -> str:
        kind, left, right, result = step
        a, b, r, what = number(left, rng), number(right, rng), number(result, rng), problem.noun
        if kind == "*":
            return one(
                rng,
                f"{a} {times(rng)} {b} {equals(rng)} {r}",
                f"{a} boxes {one(rng, 'with', 'of', 'holding', 'at')} {b}{one(rng, ' each', '', ' ' + what)} "
                f"{equals(rng)} {r}",
                f"{r} {one(rng, what, 'things', 'of them')} {one(rng, 'in the boxes', 'boxed', 'in all boxes')}, "
                f"{one(rng, 'being', 'from', 'as')} {a} {times(rng)} {b}",
                f"{one(rng, 'the boxes', problem.name, 'that')} {one(rng, 'give', 'have', 'hold')} {r} "
                f"({a} {times(rng)} {b})",
            )
        if kind == "+":
            return one(
                rng,
                f"{a} {plus(rng)} {b} {equals(rng)} {r}",
                f"{b} {one(rng, 'more', 'loose', 'extra', 'others')} {one(rng, 'makes', 'so', 'and we have')} {r} "
                f"{one(rng, 'in all', 'total', 'altogether', what)}{one(rng, '', ' up from ' + a)}",
                f"{one(rng, 'total', 'all', 'everything')}{one(rng, ':', ' is', ' =')} {a} {plus(rng)} {b}"
                f"{one(rng, ',', ' ->', ' or', ' so')} {r}",
                f"{r} {one(rng, 'with', 'after', 'counting')} the {b} {one(rng, 'added', 'more', 'loose ones')}",
            )
        if kind == "bags":
            return one(
                rng,
                f"{a} {one(rng, 'bags', 'full bags', 'packs')} {one(rng, 'take', 'use', 'hold', 'need')} {r}",
                f"{b} {one(rng, 'goes', 'fits')} {one(rng, 'in', 'into it')} {a} times{one(rng, ',', ' ->')} {r}",
                f"{a} {times(rng)} {b} {equals(rng)} {r}",
                f"{one(rng, 'closest', 'biggest', 'nearest')} {one(rng, 'is', 'I get', 'below')} {r}, "
                f"{one(rng, 'being', 'from', 'as')} {a} {times(rng)} {b}",
            )
        return one(
            rng,
            f"{a} {minus(rng)} {b} {equals(rng)} {r}",
            f"{r} {one(rng, 'left', 'over', 'remain', 'spare', 'stay out')}"
            f"{one(rng, '', f', {a} {minus(rng)} {b}', f' of {a}', f' when {b} are packed')}",
            f"{one(rng, 'leaves', 'left with', 'leftover', 'rest')}{one(rng, ':', ' is', ' =', '')} {r}",
            f"{one(rng, 'from', 'out of')} {a} {one(rng, 'take', 'pack', 'use')} {b}"
            f"{one(rng, ',', ' and', ':')} {one(rng, 'get', 'keep', 'have')} {r}",
        )
