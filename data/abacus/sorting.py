"""Sorting: numbers put in order, one after the other.

{"question": "Sort 43 17 85 29 61 from small to large.", "gold": "17 29 43 61 85"}
"""

import random
import re
from dataclasses import dataclass

from data.abacus.family import Family, Slip, Step, Work, no_slip
from data.abacus.phrases import one

PICKED = 2
"""Numbers that the hasty habit picks before it writes the rest as they stand."""


@dataclass(frozen=True)
class Problem:
    """Distinct numbers, and whether the largest comes first."""

    numbers: tuple[int, ...]
    falling: bool


class Sorting(Family[Problem]):
    """Four or five distinct two-digit numbers, rising or falling."""

    name = "sorting"
    answer = "exact"
    description = "sorting: four or five two-digit numbers, rising or falling"
    instruction = "Put the numbers in the order that is asked for."
    chatter = 0.45

    def draw(self, rng: random.Random) -> Problem:
        return Problem(tuple(rng.sample(range(10, 100), rng.choice((4, 5)))), rng.random() < 0.5)

    def canonical(self, problem: Problem) -> str:
        return f"{sorted(problem.numbers)} {problem.falling}"

    def ask(self, problem: Problem, rng: random.Random) -> str:
        numbers = " ".join(map(str, problem.numbers))
        way = "from large to small" if problem.falling else "from small to large"
        return one(rng, f"Sort {numbers} {way}.", f"Put {numbers} in order {way}.")

    def read(self, question: str) -> Problem | None:
        match = re.fullmatch(
            r"(?:Sort ((?:\d\d ){4,5})|Put ((?:\d\d ){4,5})in order )from (small to large|large to small)\.", question
        )
        if not match:
            return None
        return Problem(tuple(map(int, (match[1] or match[2]).split())), match[3] == "large to small")

    def hasty(self, problem: Problem) -> Work:
        """Writes the rest as they stand after two picks; right where they stand in order already."""
        steps = self.work(problem).steps[:PICKED]
        picked = [pick for _, pick in steps]
        rest = [str(number) for number in problem.numbers]
        for pick in picked:
            rest.remove(pick)
        return Work((*steps, ("rest", " ".join(rest))), " ".join([*picked, *rest]))

    def work(self, problem: Problem, slip: Slip = no_slip) -> Work:
        left = sorted(problem.numbers, reverse=problem.falling)
        steps: list[Step] = []
        order: list[str] = []
        while left:
            pick = slip(len(order), str(left[0]), [str(n) for n in left[1:]])
            steps.append(("first" if not order else "last" if len(left) == 1 else "next", pick))
            left.remove(int(pick))
            order.append(pick)
        return Work(tuple(steps), " ".join(order))

    def model(self, problem: Problem, step: Step) -> str:
        kind, pick = step
        return {"first": "First is", "next": "Then", "last": "Last is", "rest": "The rest is"}[kind] + f" {pick}."

    def teacher(self, problem: Problem, step: Step, rng: random.Random) -> str:
        kind, pick = step
        if kind == "first":
            return f"{'Largest' if problem.falling else 'Smallest'} of all is {pick}."
        return {"next": "The next number is", "last": "The number left is", "rest": "The others are"}[
            kind
        ] + f" {pick}."

    def tutor(self, problem: Problem, step: Step, rng: random.Random) -> str:
        kind, pick = step
        if kind == "first":
            return f"Put {pick} at the front."
        return {"next": "Behind it goes", "last": "At the back stays", "rest": "Behind them go"}[kind] + f" {pick}."

    def human(self, problem: Problem, step: Step, rng: random.Random) -> str:
        kind, pick = step
        if kind == "first":
            end = one(rng, "biggest", "top", "highest") if problem.falling else one(rng, "lowest", "tiniest", "least")
            return one(
                rng,
                f"{one(rng, 'I start with', 'start at', 'begin with', 'first up', 'we open with')} {pick}",
                f"{pick} {one(rng, 'goes first', 'is the ' + end, 'leads', 'in front', 'to start')}",
                f"{end} {one(rng, 'is', 'one:', '=', 'I see is', 'must be')} {pick}",
            )
        if kind == "next":
            return one(
                rng,
                f"{pick} {one(rng, 'comes after', 'next', 'follows', 'is next up', 'behind it', 'after it', 'there')}",
                f"{one(rng, 'after that', 'I pick', 'next in line is', 'followed by', 'put', 'write', 'take')} {pick}",
                f"{one(rng, 'the next is', 'and', 'now', 'here', 'now we have', 'up comes')} {pick}",
            )
        if kind == "rest":
            return f"{one(rng, 'and then', 'the others are', 'followed by')} {pick}"
        return one(
            rng,
            f"{pick} {one(rng, 'is last', 'at the end', 'ends it', 'closes', 'remains', 'finishes the row')}",
            f"{one(rng, 'ending with', 'and finally', 'that leaves', 'the end is', 'only')} {pick}",
        )
