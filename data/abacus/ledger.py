"""Ledger: what someone holds after a few gains and losses.

{"question": "Ana has 34 coins, gets 17, gives 8, gets 5. How many now?", "gold": "48"}
"""

import random
import re
from dataclasses import dataclass, replace

from data.abacus.family import Family, Slip, Step, Work, near, no_slip
from data.abacus.phrases import equals, minus, number, one, plus
from data.abacus.words import NAMES, NOUNS

ENDS = ("How many now?", "How many are left?", "How many at the end?")
"""What is asked; the thing is named once only, before it."""


@dataclass(frozen=True)
class Problem:
    """Who holds how many of what, and the gains (positive) and losses (negative) in order."""

    name: str
    noun: str
    start: int
    moves: tuple[int, ...]


class Ledger(Family[Problem]):
    """Additions and subtractions below 100, three or four in a row."""

    name = "ledger"
    answer = "number"
    description = "word arithmetic: three or four gains and losses, one after the other"
    instruction = "Work out how many things someone has at the end."
    chatter = 0.45

    def draw(self, rng: random.Random) -> Problem:
        start = held = rng.randint(10, 60)
        moves: list[int] = []
        for _ in range(rng.choice((3, 4))):
            size = rng.randint(2, 9)
            gain = held - size < 0 or (held + size < 100 and rng.random() < 0.5)
            moves.append(size if gain else -size)
            held += moves[-1]
        return Problem(rng.choice(NAMES), rng.choice(NOUNS), start, tuple(moves))

    def canonical(self, problem: Problem) -> str:
        return f"{problem.start} {problem.moves}"

    def ask(self, problem: Problem, rng: random.Random) -> str:
        moves = ", ".join(f"gets {m}" if m > 0 else f"gives {-m}" for m in problem.moves)
        return f"{problem.name} has {problem.start} {problem.noun}, {moves}. {one(rng, *ENDS)}"

    def read(self, question: str) -> Problem | None:
        match = re.fullmatch(r"(\w+) has (\d+) (\w+)((?:, (?:gets|gives) \d+){3,4})\. (.+)", question)
        if not match or match[5] not in ENDS:
            return None
        moves = tuple(int(size) * (1 if verb == "gets" else -1) for verb, size in re.findall(r"(\w+) (\d+)", match[4]))
        held = [int(match[2]) + sum(moves[: k + 1]) for k in range(len(moves))]
        return None if min(held) < 0 else Problem(match[1], match[3], int(match[2]), moves)

    def hasty(self, problem: Problem) -> Work:
        """Passes over the first loss after the first move."""
        moves = list(problem.moves)
        at = next((k for k in range(1, len(moves)) if moves[k] < 0), None)
        return self.work(replace(problem, moves=tuple(move for k, move in enumerate(moves) if k != at)))

    def work(self, problem: Problem, slip: Slip = no_slip) -> Work:
        held = problem.start
        steps: list[Step] = []
        for k, move in enumerate(problem.moves):
            result = int(slip(k, str(held + move), near(held + move)))
            steps.append(("+" if move > 0 else "-", str(held), str(abs(move)), str(result)))
            held = result
        return Work(tuple(steps), str(held))

    def model(self, problem: Problem, step: Step) -> str:
        sign, held, size, result = step
        return f"{held} {sign} {size} = {result}."

    def teacher(self, problem: Problem, step: Step, rng: random.Random) -> str:
        sign, held, size, result = step
        return f"Add {size} to {held} to get {result}." if sign == "+" else f"Take {size} from {held} to get {result}."

    def tutor(self, problem: Problem, step: Step, rng: random.Random) -> str:
        sign, held, size, result = step
        return f"Start from {held}, {'up' if sign == '+' else 'down'} {size}: we reach {result}."

    def human(self, problem: Problem, step: Step, rng: random.Random) -> str:
        sign, held, size, result = step
        h, s, r = number(held, rng), number(size, rng), number(result, rng)
        who, what = one(rng, problem.name, "they", "she", "he"), problem.noun
        if sign == "+":
            return one(
                rng,
                f"{h} {plus(rng)} {s} {equals(rng)} {r}",
                f"{who} {one(rng, 'gets', 'finds', 'picks up', 'earns', 'receives')} {s}{one(rng, ' more', '')}"
                f"{one(rng, ', so', ' and', ',', ' ->')} {one(rng, '', h + ' goes to ', 'from ' + h + ' to ')}{r}",
                f"{s} {one(rng, 'more', 'extra', 'on top')} {one(rng, 'makes', 'brings')} {h} "
                f"{one(rng, 'into', 'up to')} {r}{one(rng, '', ' ' + what)}",
                f"{r} {one(rng, 'because', 'since', 'as')} {h} {plus(rng)} {s}",
                f"{one(rng, 'add', 'put in', 'count on')} {s} {one(rng, 'to', 'with', 'onto')} {h}"
                f"{one(rng, ',', ':', ' and')} {one(rng, 'it is', 'you have', 'that leaves us at', 'get')} {r}",
            )
        return one(
            rng,
            f"{h} {minus(rng)} {s} {equals(rng)} {r}",
            f"{who} {one(rng, 'gives', 'loses', 'hands out', 'drops', 'spends')} {s}"
            f"{one(rng, ', so', ' and', ',', ' ->')} {one(rng, '', h + ' goes to ', 'from ' + h + ' to ')}{r}",
            f"{s} {one(rng, 'less', 'fewer', 'gone')} {one(rng, 'makes', 'brings')} {h} "
            f"{one(rng, 'into', 'down to')} {r}{one(rng, '', ' ' + what)}",
            f"{r} {one(rng, 'because', 'since', 'as')} {h} {minus(rng)} {s}",
            f"{one(rng, 'take', 'drop', 'remove')} {s} {one(rng, 'from', 'off', 'out of')} {h}"
            f"{one(rng, ',', ':', ' and')} {one(rng, 'it is', 'you have', 'that leaves', 'get')} {r}",
        )
