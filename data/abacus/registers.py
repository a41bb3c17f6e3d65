"""The registers an answer can be said in: `model` (the student's own), `teacher`, `tutor` (the second teacher's),
`human`, and `terse` (human, steps left out).

All of them end in the same words, `Final answer: X`, so that a verifier reads each of them the same way.
"""

import random
from collections.abc import Sequence
from typing import Any, Literal, get_args

from data.abacus.family import Family, Step, Work
from data.abacus.phrases import speak

Register = Literal["model", "teacher", "tutor", "human", "terse"]
REGISTERS: tuple[Register, ...] = get_args(Register)
KEPT_WHEN_TERSE = 0.4


def respond(family: Family[Any], problem: Any, work: Work, register: Register, rng: random.Random) -> str:
    """The worked solution as a response in the register; `terse` leaves out steps, at least one of them."""
    steps = terse(work.steps, rng) if register == "terse" else work.steps
    return say(family, problem, steps, work.answer, register, rng)


def say(
    family: Family[Any], problem: Any, steps: Sequence[Step], answer: str, register: Register, rng: random.Random
) -> str:
    """Just these steps and the answer, in the register."""
    if register in ("human", "terse"):
        return spoken([family.human(problem, step, rng) for step in steps], answer, rng)
    return " ".join([*steps_in(family, problem, steps, register, rng), _ending(answer)])


def steps_in(
    family: Family[Any], problem: Any, steps: Sequence[Step], register: Register, rng: random.Random
) -> list[str]:
    """The steps as a model says them."""
    return [step_in(family, problem, step, register, rng) for step in steps]


def step_in(family: Family[Any], problem: Any, step: Step, register: Register, rng: random.Random) -> str:
    """One step as a model says it."""
    if register == "model":
        return family.model(problem, step)
    return (family.tutor if register == "tutor" else family.teacher)(problem, step, rng)


def spoken(sentences: Sequence[str], answer: str, rng: random.Random) -> str:
    """A person's sentences strung together, and the answer."""
    return speak(sentences, rng) + _ending(answer)


def terse(steps: Sequence[Step], rng: random.Random) -> list[Step]:
    """Some of the steps, in order: at least one, never all."""
    return [steps[at] for at in some(len(steps), rng)]


def some(count: int, rng: random.Random) -> list[int]:
    """Which of `count` steps a terse person says, rising: at least one, never all."""
    kept = [at for at in range(count) if rng.random() < KEPT_WHEN_TERSE]
    if not kept:
        return [rng.randrange(count)]
    if len(kept) == count:
        kept.remove(rng.choice(kept))
    return kept


def _ending(answer: str) -> str:
    return f"Final answer: {answer}"
