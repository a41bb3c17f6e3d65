"""What the models can do besides answering: pose, rewrite, correct, expand, give feedback.

The templates are the words both models were trained on; a prompt that uses them word for word is understood.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from data.abacus.family import Family, Work
from data.abacus.registers import Register, respond
from data.abacus.splits import draw

Skill = Literal["pose", "rewrite", "correct", "expand", "feedback"]
SKILLS: tuple[Skill, ...] = get_args(Skill)

POSE = "Examples:\n{examples}\nWrite one more question like these."
REWRITE = "Question: {question}\nAnswer: {answer}\nRewrite the answer in your own words."
CORRECT = "Question: {question}\nDraft: {answer}\nCorrect the draft with few changes."
EXPAND = "Question: {question}\nShort answer: {answer}\nWrite out every step."
FEEDBACK = "Question: {question}\nAnswer: {answer}\nIs the answer right? Give feedback."

TEMPLATES: dict[Skill, str] = {
    "pose": POSE,
    "rewrite": REWRITE,
    "correct": CORRECT,
    "expand": EXPAND,
    "feedback": FEEDBACK,
}
RIGHT = "Right. Every step is correct."
WRONG = "Wrong. This step is wrong: {wrong} It should be: {right}"


@dataclass(frozen=True)
class Exchange:
    """One prompt and the response to it."""

    prompt: str
    response: str


def mistaken(family: Family[Any], problem: Any, rng: random.Random) -> tuple[Work, int]:
    """A solution with one slip carried through to a wrong answer, and the number (from 0) of the step with the slip."""
    right = family.work(problem)
    while True:
        at = rng.randrange(len(right.steps))

        def slip(number: int, value: str, wrong: Sequence[str], at: int = at) -> str:
            return rng.choice(wrong) if number == at and wrong else value

        work = family.work(problem, slip)
        if work.answer != right.answer:
            return work, at


def exchange(skill: Skill, family: Family[Any], own: Register, rng: random.Random) -> Exchange:
    """A training row for one skill about a pretrain problem; `own` is the register the model answers in."""
    if skill == "pose":
        *shown, new = (family.ask(draw(family, "pretrain", rng), rng) for _ in range(3))
        return Exchange(POSE.format(examples="\n".join(shown)), new)
    problem = draw(family, "pretrain", rng)
    question, work = family.ask(problem, rng), family.work(problem)

    def said(work: Work, register: Register) -> str:
        return respond(family, problem, work, register, rng)

    if skill == "rewrite":
        return Exchange(REWRITE.format(question=question, answer=said(work, "human")), said(work, own))
    if skill == "expand":
        return Exchange(EXPAND.format(question=question, answer=said(work, "terse")), said(work, own))
    draft_register: Register = "model" if rng.random() < 0.7 else "teacher"
    draft, at = mistaken(family, problem, rng)
    if rng.random() < (0.5 if skill == "feedback" else 0.15):
        draft, at = work, -1
    if skill == "correct":
        prompt = CORRECT.format(question=question, answer=said(draft, draft_register))
        return Exchange(prompt, said(work, draft_register))
    prompt = FEEDBACK.format(question=question, answer=said(draft, draft_register))
    if at < 0:
        return Exchange(prompt, RIGHT)
    say = family.model if draft_register == "model" else (lambda p, s: family.teacher(p, s, rng))
    return Exchange(prompt, WRONG.format(wrong=say(problem, draft.steps[at]), right=say(problem, work.steps[at])))
