"""The registers an answer can be said in: `model`, `teacher`, `human` and `terse` (human, steps left out).

All of them end in the same words, `Final answer: X`, so that a verifier reads each of them the same way.
"""

import random
from typing import Any, Literal, get_args

from data.abacus.family import Family, Step, Work
from data.abacus.phrases import speak

Register = Literal["model", "teacher", "human", "terse"]
REGISTERS: tuple[Register, ...] = get_args(Register)
KEPT_WHEN_TERSE = 0.4


def respond(family: Family[Any], problem: Any, work: Work, register: Register, rng: random.Random) -> str:
    """The worked solution as a response in the register; `terse` leaves out steps, at least one of them."""
    ending = f"Final answer: {work.answer}"
    if register == "model":
        return " ".join([*(family.model(problem, step) for step in work.steps), ending])
    if register == "teacher":
        return " ".join([*(family.teacher(problem, step, rng) for step in work.steps), ending])
    steps = terse(work.steps, rng) if register == "terse" else list(work.steps)
    return speak([family.human(problem, step, rng) for step in steps], rng) + ending


def terse(steps: tuple[Step, ...], rng: random.Random) -> list[Step]:
    """Some of the steps, in order: at least one, never all."""
    kept = [step for step in steps if rng.random() < KEPT_WHEN_TERSE]
    if not kept:
        return [rng.choice(steps)]
    if len(kept) == len(steps):
        kept.remove(rng.choice(kept))
    return kept
