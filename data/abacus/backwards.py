"""Backwards: the letters of a word from last to first.

{"question": "Spell k a r o m backwards.", "gold": "m o r a k"}
"""

import random
import re
from dataclasses import dataclass

from data.abacus.family import Family, Slip, Step, Work, no_slip
from data.abacus.phrases import one
from data.abacus.words import CONSONANTS, VOWELS

HASTY = 6
"""Letters after which the hasty habit stops."""


@dataclass(frozen=True)
class Problem:
    """A made-up word of consonants and vowels in turn."""

    word: str


class Backwards(Family[Problem]):
    """Six to nine letters, of which one may come twice."""

    name = "backwards"
    answer = "exact"
    description = "spelling backwards: six to nine letters from last to first"
    instruction = "Write the letters in the opposite order."
    chatter = 0.6

    def draw(self, rng: random.Random) -> Problem:
        turn = rng.randrange(2)
        length = rng.randint(6, 9)
        return Problem("".join(rng.choice(VOWELS if (k + turn) % 2 else CONSONANTS) for k in range(length)))

    def canonical(self, problem: Problem) -> str:
        return problem.word

    def ask(self, problem: Problem, rng: random.Random) -> str:
        letters = " ".join(problem.word)
        return one(rng, f"Spell {letters} backwards.", f"Write {letters} from back to front.")

    def read(self, question: str) -> Problem | None:
        match = re.fullmatch(r"(?:Spell ((?:\w )+)backwards|Write ((?:\w )+)from back to front)\.", question)
        word = (match[1] or match[2]).replace(" ", "") if match else ""
        return Problem(word) if 6 <= len(word) <= 9 and set(word) <= set(VOWELS + CONSONANTS) else None

    def hasty(self, problem: Problem) -> Work:
        """Stops after six letters."""
        work = self.work(problem)
        return Work(work.steps[:HASTY], " ".join(letter for _, letter in work.steps[:HASTY]))

    def work(self, problem: Problem, slip: Slip = no_slip) -> Work:
        steps: list[Step] = []
        letters: list[str] = []
        for k, right in enumerate(reversed(problem.word)):
            wrong = sorted(set(problem.word) - {right})
            letters.append(slip(k, right, wrong))
            steps.append((str(len(problem.word) - k), letters[-1]))
        return Work(tuple(steps), " ".join(letters))

    def model(self, problem: Problem, step: Step) -> str:
        place, letter = step
        return f"{place} is {letter}."

    def teacher(self, problem: Problem, step: Step, rng: random.Random) -> str:
        place, letter = step
        return f"Letter {place} of it: {letter}."

    def tutor(self, problem: Problem, step: Step, rng: random.Random) -> str:
        place, letter = step
        return f"From place {place} we read {letter}."

    def human(self, problem: Problem, step: Step, rng: random.Random) -> str:
        place, letter = step
        if int(place) == len(problem.word):
            return one(
                rng,
                f"{one(rng, 'it ends in', 'last one is', 'the back letter:')} {letter}",
                f"{letter} {one(rng, 'is at the end', 'sits last', 'ends the word')}",
            )
        if place == "1":
            return one(
                rng,
                f"{one(rng, 'it begins with', 'finish with', 'lastly')} {letter}",
                f"{letter} {one(rng, 'was the first', 'at the front', 'to finish')}",
            )
        return one(
            rng,
            f"{letter}{one(rng, '', ' next', ' before it', ' at place ' + place)}",
            f"{one(rng, 'before that', 'one back', f'place {place} has', 'write')} {letter}",
        )
