"""What the models can do besides answering: pose, rewrite, paraphrase, correct, expand, give feedback, follow examples.

The templates are the words the models were trained on; a prompt that uses them word for word is understood. The prompts
of the origins that need these skills (`data/prompts/abacus_*.jinja`) are these words.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from data.abacus.family import Family, Work
from data.abacus.few_shot import few_shot
from data.abacus.registers import Register, respond, say, some, spoken, step_in, terse
from data.abacus.splits import Split, draw

Skill = Literal["pose", "rewrite", "paraphrase", "correct", "expand", "expand_as_is", "feedback", "few_shot"]
SKILLS: tuple[Skill, ...] = get_args(Skill)

POSE = "Examples:\n{examples}\nWrite one more question like these."
REWRITE = "Question: {question}\nAnswer: {answer}\nRewrite the answer in your own words."
PARAPHRASE = "Question: {question}\nAnswer: {answer}\nSay the same in other words."
CORRECT = "Question: {question}\nDraft: {answer}\nCorrect the draft with few changes."
EXPAND = "Question: {question}\nShort answer: {answer}\nWrite out every step."
EXPAND_AS_IS = "Question: {question}\nShort answer: {answer}\nAdd the missing steps in the same style."
FEEDBACK = "Question: {question}\nAnswer: {answer}\nIs the answer right? Give feedback."

TEMPLATES: dict[Skill, str] = {
    "rewrite": REWRITE,
    "paraphrase": PARAPHRASE,
    "correct": CORRECT,
    "expand": EXPAND,
    "expand_as_is": EXPAND_AS_IS,
    "feedback": FEEDBACK,
}
YES, NO = "Yes.", "No."
RIGHT, WRONG = "The answer is right.", "The answer is wrong."
"""How feedback judges each step of a draft, up to the first wrong one, and its answer."""
STOPS = "stops"
"""What feedback says in place of a step where the draft has no more."""
POSE_SHOWN = (2, 3, 4)


@dataclass(frozen=True)
class Exchange:
    """One prompt and the response to it."""

    prompt: str
    response: str
    whole: bool = False
    """Whether the prompt is learnt too, as the response is."""


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


def flawed(family: Family[Any], problem: Any, rng: random.Random) -> Work:
    """A solution with something wrong in it: a slip, or as often the hasty habit where it touches the problem."""
    hasty = family.hasty(problem)
    if hasty.steps != family.work(problem).steps and rng.random() < 0.5:
        return hasty
    return mistaken(family, problem, rng)[0]


def feedback(family: Family[Any], problem: Any, draft: Work, register: Register, rng: random.Random) -> str:
    """Each right step after what the draft has in its place, until the first that differs, and last the two answers.

    Draft 51. 34 + 17 = 51. 51 - 51 = 0. Yes. Draft 45. 51 - 8 = 43. 43 - 45 = -2. No. 43 + 5 = 48. Answer 50, right
    48. The answer is wrong.

    Two steps are compared by the differences of their numbers, since so small a model works out that a difference is 0,
    and does not learn to see that two numbers are the same. The draft comes first, or it would be misread as right.
    """
    right = family.work(problem)
    said: list[str] = []
    agree = True
    for number, step in enumerate(right.steps):
        given = family.outcome(draft.steps[number]) if number < len(draft.steps) else STOPS
        said += [f"Draft {given}."] if agree else []
        said.append(step_in(family, problem, step, register, rng))
        if agree:
            agree = given == family.outcome(step)
            said += [*_differences(given, family.outcome(step)), YES if agree else NO]
    said.append(f"Answer {draft.answer}, right {right.answer}.")
    return " ".join([*said, RIGHT if draft.answer == right.answer else WRONG])


def _differences(given: str, right: str) -> list[str]:
    """The differences of two outcomes, number by number, a letter by its place in the alphabet."""
    one, other = (_numbers(text) for text in (right, given))
    if not other or len(one) != len(other):
        return []
    return [", ".join(f"{a} - {b} = {a - b}" for a, b in zip(one, other, strict=True)) + "."]


def _numbers(outcome: str) -> list[int]:
    parts = re.findall(r"\d+|\b[A-Za-z]\b", outcome)
    return [int(part) if part.isdecimal() else ord(part.lower()) - ord("a") + 1 for part in parts]


def correction(family: Family[Any], problem: Any, draft: Work, rng: random.Random) -> Exchange:
    """The draft in one of the models' registers, and the right solution in the same."""
    register = _draft_register(rng)
    question = family.ask(problem, rng)
    given, right = (respond(family, problem, work, register, rng) for work in (draft, family.work(problem)))
    return Exchange(CORRECT.format(question=question, answer=given), right)


def _draft_register(rng: random.Random) -> Register:
    return rng.choices(("model", "teacher", "tutor"), (0.7, 0.2, 0.1))[0]


def exchange(
    skill: Skill, family: Family[Any], own: Register, rng: random.Random, split: Split = "pretrain"
) -> Exchange:
    """A row for one skill about a problem of the split; `own` is the register the model answers in."""
    if skill == "few_shot":
        return Exchange(*few_shot(family, own, rng, split))
    if skill == "pose":
        shown = [family.ask(draw(family, split, rng), rng) for _ in range(rng.choice(POSE_SHOWN))]
        return Exchange(POSE.format(examples="\n".join(shown)), family.ask(draw(family, split, rng), rng))
    problem = draw(family, split, rng)
    question, work = family.ask(problem, rng), family.work(problem)
    template = TEMPLATES[skill]

    def pair(answer: str, response: str) -> Exchange:
        return Exchange(template.format(question=question, answer=answer), response)

    def said(work: Work, register: Register) -> str:
        return respond(family, problem, work, register, rng)

    match skill:
        case "rewrite":
            # The same steps in other words: what a terse person left out stays out.
            steps = terse(work.steps, rng) if rng.random() < 0.4 else work.steps
            return pair(*(say(family, problem, steps, work.answer, as_, rng) for as_ in ("human", own)))
        case "paraphrase":
            register: Register = "model" if own == "teacher" and rng.random() < 0.3 else "teacher"
            return pair(said(work, register), said(work, "tutor"))
        case "expand":
            return pair(said(work, "terse" if rng.random() < 0.7 else "human"), said(work, own))
        case "expand_as_is":
            sentences = [family.human(problem, step, rng) for step in work.steps]
            short = spoken([sentences[at] for at in some(len(sentences), rng)], work.answer, rng)
            return pair(short, spoken(sentences, work.answer, rng))
    given = work if rng.random() < (0.35 if skill == "feedback" else 0.15) else flawed(family, problem, rng)
    if skill == "correct":
        return correction(family, problem, given, rng)
    register = _draft_register(rng)
    return pair(said(given, register), feedback(family, problem, given, register, rng))
