"""How well a bundled model has learnt its skills, measured on problems it never saw."""

import random
import re
from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any

from data.abacus.families import FAMILIES
from data.abacus.family import Family
from data.abacus.final_answer import MARK, is_right
from data.abacus.registers import Register
from data.abacus.skills import SKILLS, Exchange, Skill, exchange
from data.abacus.words import NAMES, NOUNS, VEHICLES

MEASURES: dict[Skill, str] = {
    "pose": "a question of the family's form",
    "rewrite": "word for word the same steps in its own register",
    "paraphrase": "word for word the same steps in the other register",
    "correct": "word for word the draft with its wrong step, and what follows from it, put right",
    "expand": "ends in the gold answer",
    "expand_as_is": "ends in the gold answer and is longer than what it was given",
    "feedback": "word for word the right feedback",
}
"""What counts as a success."""
_WORD = re.compile(rf"\b(?:{'|'.join((*NAMES, *NOUNS, *VEHICLES))})\b")


def shape(question: str) -> str:
    """A question without its numbers, names and things: `Dan has 6 boxes` and `Ana has 12 boxes` have one shape."""
    text = _WORD.sub("~", re.sub(r"\d+", "0", question))
    text = re.sub(r"(?:\b[a-z] )+[a-z]\b", "x", text)
    text = re.sub(r"0 [-+*] 0", "0 + 0", text)
    text = re.sub(r"0(?: 0)+", "0", text)
    return re.sub(r"(?:, (?:gets|gives) 0)+", ", gets 0", text)


def skill_rates(
    answers: Callable[[Sequence[str]], Sequence[str]], own: Register, rows: int
) -> dict[str, dict[str, float]]:
    """Share of successes (`MEASURES`), greedy, by skill and family, on `rows` exchanges about test problems each.

    Args:
        answers: gives a response to each prompt.
        own: the register the model rewrites and expands into.
    """
    found: dict[str, dict[str, float]] = {}
    for skill in SKILLS:
        found[skill] = {}
        for name, family in FAMILIES.items():
            rng = random.Random(f"skill card {skill} {name}")
            asked = [exchange(skill, family, own, rng, "test") for _ in range(rows)]
            replies = answers([one.prompt for one in asked])
            succeeded = _judge(skill, family)
            found[skill][name] = mean(succeeded(one, reply) for one, reply in zip(asked, replies, strict=True))
    return found


def _judge(skill: Skill, family: Family[Any]) -> Callable[[Exchange, str], bool]:
    if skill == "pose":
        rng = random.Random("shapes")
        shapes = {shape(family.ask(family.draw(rng), rng)) for _ in range(300)}
        return lambda asked, reply: shape(reply) in shapes
    if skill == "expand":
        return lambda asked, reply: is_right(reply, gold_of(asked))
    if skill == "expand_as_is":
        return lambda asked, reply: is_right(reply, gold_of(asked)) and len(reply) > len(given(asked))
    return lambda asked, reply: reply == asked.response


def gold_of(asked: Exchange) -> str:
    """The answer that the response ends in."""
    return asked.response.rpartition(MARK)[2]


def given(asked: Exchange) -> str:
    """The response that the prompt shows."""
    return asked.prompt.partition("answer: ")[2].rpartition("\n")[0]
