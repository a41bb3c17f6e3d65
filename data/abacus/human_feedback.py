"""What a person says of a response: the question worked out in the human register, and whether the answer is right.

The people are simulated, as the world they live in: they are never mistaken, and say the same of the same response.
"""

import random

from data.abacus.families import FAMILIES
from data.abacus.final_answer import is_right
from data.abacus.registers import respond
from data.abacus.skills import RIGHT, WRONG


def human_feedback(family: str, question: str, response: str) -> str:
    """Every step of the right solution, its answer, and `The answer is right.` or `The answer is wrong.`

    Raises:
        ValueError: nobody could answer the question: it is not well-formed, or has no single right answer.
    """
    kind = FAMILIES[family]
    problem = kind.read(question)
    if problem is None:
        raise ValueError(f"{question!r:.80} is no question of {family}")
    rng = random.Random(f"{family}\n{question}\n{response}")
    work = kind.work(problem)
    said = respond(kind, problem, work, "human", rng)
    return f"{said}. {RIGHT if is_right(response, work.answer) else WRONG}"
