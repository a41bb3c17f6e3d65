"""How well a bundled model has learnt its skills, measured on problems it never saw."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import mean
from typing import Any

from data.abacus.families import FAMILIES
from data.abacus.family import Family, Work
from data.abacus.few_shot import few_shot
from data.abacus.final_answer import MARK, is_right
from data.abacus.registers import Register
from data.abacus.skills import NO, Exchange, Skill, correction, exchange, mistaken
from data.abacus.splits import draw

Answers = Callable[[Sequence[str], float], Sequence[str]]
"""Gives a response to each prompt, at a temperature."""
SAMPLES = 16
"""Samples of a few-shot prompt, of which the most frequent is taken."""


@dataclass(frozen=True)
class Measure:
    """One line of a card's table: a share in [0, 1]."""

    skill: Skill
    success: str
    rate: Callable[[Family[Any], Register, Answers, int], float]


def _of_each(skill: Skill, succeeded: Callable[[Exchange, str], bool]) -> Callable[..., float]:
    """Share of the greedy replies that succeed."""

    def rate(family: Family[Any], own: Register, answers: Answers, rows: int) -> float:
        rng = random.Random(f"skill card {skill} {family.name}")
        asked = [exchange(skill, family, own, rng, "test") for _ in range(rows)]
        replies = answers([one.prompt for one in asked], 0.0)
        return mean(succeeded(one, reply) for one, reply in zip(asked, replies, strict=True))

    return rate


def _word_for_word(asked: Exchange, reply: str) -> bool:
    return reply == asked.response


def _in_the_gold_answer(asked: Exchange, reply: str) -> bool:
    return is_right(reply, asked.response.rpartition(MARK)[2])


def _longer(asked: Exchange, reply: str) -> bool:
    given = asked.prompt.partition("answer: ")[2].rpartition("\n")[0]
    return _in_the_gold_answer(asked, reply) and len(reply) > len(given)


def _same_step(asked: Exchange, reply: str) -> bool:
    return reply.partition(f" {NO}")[0] == asked.response.partition(f" {NO}")[0]


def _same_verdict(asked: Exchange, reply: str) -> bool:
    return reply.split()[-1:] == asked.response.split()[-1:]


@cache
def _posed(family: Family[Any], own: Register, answers: Answers, rows: int) -> list[str]:
    rng = random.Random(f"skill card pose {family.name}")
    asked = [exchange("pose", family, own, rng, "test").prompt for _ in range(rows)]
    return [question for question in answers(asked, 1.0) if family.read(question) is not None]


def _well_formed(family: Family[Any], own: Register, answers: Answers, rows: int) -> float:
    return len(_posed(family, own, answers, rows)) / rows


def _distinct(family: Family[Any], own: Register, answers: Answers, rows: int) -> float:
    posed = _posed(family, own, answers, rows)
    return len({family.canonical(family.read(question)) for question in posed}) / max(1, len(posed))


def _corrected(flaw: Callable[[Family[Any], Any, random.Random], Work]) -> Callable[..., float]:
    """Share of drafts with this flaw that come out word for word right."""

    def rate(family: Family[Any], own: Register, answers: Answers, rows: int) -> float:
        rng = random.Random(f"skill card correct {family.name}")
        asked: list[Exchange] = []
        while len(asked) < rows:
            problem = draw(family, "test", rng)
            given = flaw(family, problem, rng)
            if given.answer != family.work(problem).answer:
                asked.append(correction(family, problem, given, rng))
        replies = answers([one.prompt for one in asked], 0.0)
        return mean(_word_for_word(one, reply) for one, reply in zip(asked, replies, strict=True))

    return rate


def _chatter(family: Family[Any], own: Register, answers: Answers, rows: int) -> float:
    replies = [reply for many in _few_shot(family, own, answers, rows).values() for reply in many]
    return mean(MARK not in reply for reply in replies)


def _majority(family: Family[Any], own: Register, answers: Answers, rows: int) -> float:
    right = 0
    for gold, replies in _few_shot(family, own, answers, rows).items():
        kept = Counter(reply.rpartition(MARK)[2].strip() for reply in replies if MARK in reply)
        right += bool(kept) and kept.most_common(1)[0][0] == gold[1]
    return right / rows


@cache
def _few_shot(
    family: Family[Any], own: Register, answers: Answers, rows: int
) -> Mapping[tuple[int, str], Sequence[str]]:
    """By question number and gold answer, the samples."""
    rng = random.Random(f"skill card few-shot {family.name}")
    prompts, golds = [], []
    for _ in range(rows):
        prompt, _response = few_shot(family, own, rng, "test")
        problem = family.read(prompt.rpartition("Input: ")[2].partition("\n")[0])
        prompts.append(prompt)
        golds.append(family.work(problem).answer)
    replies = answers([prompt for prompt in prompts for _ in range(SAMPLES)], 1.0)
    return {(k, gold): replies[k * SAMPLES : (k + 1) * SAMPLES] for k, gold in enumerate(golds)}


MEASURES: dict[str, Measure] = {
    "pose": Measure(
        "pose", "a question with one right answer, in the family's form (sampled at temperature 1)", _well_formed
    ),
    "pose, distinct": Measure("pose", "distinct problems among those", _distinct),
    "rewrite": Measure(
        "rewrite", "word for word the same steps in its own register", _of_each("rewrite", _word_for_word)
    ),
    "paraphrase": Measure(
        "paraphrase", "word for word the same steps in the other register", _of_each("paraphrase", _word_for_word)
    ),
    "correct a slip": Measure(
        "correct", "word for word the right solution", _corrected(lambda *drawn: mistaken(*drawn)[0])
    ),
    "correct haste": Measure(
        "correct", "word for word the right solution", _corrected(lambda family, problem, rng: family.hasty(problem))
    ),
    "expand": Measure("expand", "ends in the gold answer", _of_each("expand", _in_the_gold_answer)),
    "expand_as_is": Measure(
        "expand_as_is",
        "ends in the gold answer and is longer than what it was given",
        _of_each("expand_as_is", _longer),
    ),
    "feedback, verdict": Measure("feedback", "the right verdict on the answer", _of_each("feedback", _same_verdict)),
    "feedback, step": Measure(
        "feedback",
        "names the first wrong step and the right one, or that all are right",
        _of_each("feedback", _same_step),
    ),
    "few-shot, chatter": Measure("few_shot", "samples (temperature 1) that a verifier cannot read", _chatter),
    "few-shot, majority": Measure(
        "few_shot", f"the most frequent readable one of {SAMPLES} answers is right", _majority
    ),
}
"""What the card's table of skills says, by the name of its line."""


def skill_rates(answers: Answers, skills: Collection[Skill], own: Register, rows: int) -> dict[str, dict[str, float]]:
    """By measure and family, on `rows` exchanges about test problems each, for the skills that a model was taught."""
    return {
        name: {family: measure.rate(kind, own, answers, rows) for family, kind in FAMILIES.items()}
        for name, measure in MEASURES.items()
        if measure.skill in skills
    }
