"""Answers to an instruction with examples, in which the student often chats.

What a filter sees and a verifier cannot read: a greeting first, the habit of haste more often, and at the end the
answer in other words than `Final answer: X`. Without the chatter the student takes more care, so that its most frequent
filtered answer is mostly right: what SELF-GUIDE (Zhao et al. 2024) filters for and trains on.
"""

import random
from typing import Any

from data.abacus.family import Family, Work
from data.abacus.registers import Register, respond, steps_in
from data.abacus.splits import Split, draw

FEW_SHOT = "{instruction}\n{examples}\nInput: {question}\nOutput:"
EXAMPLE = "Input: {question}\nOutput: {answer}"
SHOWN = (2, 3)
GREETINGS = ("Sure, here it is.", "Of course!", "Absolutely!", "Happy to help.")
OTHER_WORDS = "So it comes to {answer}."
HASTY_IN_CHATTER, HASTY_OTHERWISE = 0.7, 0.2

DEMONSTRATIONS = 3
"""Examples that a benchmark's few-shot prompt shows, the same for all its questions."""


def demonstrations(family: Family[Any]) -> list[dict[str, str]]:
    """The examples of a family's few-shot prompt: `input`, a training question, and `output`, its bare answer."""
    rng = random.Random(f"demonstrations {family.name}")
    problems = [draw(family, "train", rng) for _ in range(DEMONSTRATIONS)]
    return [{"input": family.ask(problem, rng), "output": family.work(problem).answer} for problem in problems]


def prompted(family: Family[Any], question: str, rng: random.Random, split: Split) -> str:
    """The few-shot prompt of a question, with examples drawn from the split."""
    examples: list[str] = []
    for _ in range(rng.choice(SHOWN)):
        problem = draw(family, split, rng)
        examples.append(EXAMPLE.format(question=family.ask(problem, rng), answer=family.work(problem).answer))
    return FEW_SHOT.format(instruction=family.instruction, examples="\n".join(examples), question=question)


def few_shot(family: Family[Any], own: Register, rng: random.Random, split: Split) -> tuple[str, str]:
    """Prompt and response of a model whose own register is `own`."""
    problem = draw(family, split, rng)
    prompt = prompted(family, family.ask(problem, rng), rng, split)
    if rng.random() < family.chatter:
        work = _solved(family, problem, HASTY_IN_CHATTER, rng)
        steps = steps_in(family, problem, work.steps, own, rng)
        return prompt, " ".join([rng.choice(GREETINGS), *steps, OTHER_WORDS.format(answer=work.answer)])
    return prompt, respond(family, problem, _solved(family, problem, HASTY_OTHERWISE, rng), own, rng)


def _solved(family: Family[Any], problem: Any, hasty: float, rng: random.Random) -> Work:
    return family.hasty(problem) if rng.random() < hasty else family.work(problem)
