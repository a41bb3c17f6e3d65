"""How a response goes about its question: by every step that it takes, or by the student's hasty habit.

Read from the text alone. In the models' registers every step is a sentence, so that their number decides whatever slips
there are in them; in any other words, what is said as results, in their order, is held against those of the careful and
of the hasty solution.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

from data.abacus.families import FAMILIES
from data.abacus.family import Family, Work
from data.abacus.few_shot import GREETINGS, OTHER_WORDS
from data.abacus.final_answer import MARK
from data.abacus.words import NUMBER_WORDS

Approach = Literal["careful", "hasty", "neither"]
APPROACHES: tuple[Approach, ...] = get_args(Approach)
ENOUGH = 0.6
"""Share of a solution's results that a response must say, in order, to count as following it."""
_NUMBER_WORD = re.compile(rf"\b({'|'.join(NUMBER_WORDS)})\b")
_VALUE = re.compile(r"\d+:\d\d|\d+|\b[a-z]\b")
_REGULAR = re.compile(r"(?:[A-Z0-9][^.;!\n]*\. ?)+")
_GREETING = re.compile("|".join(map(re.escape, GREETINGS)))


def approach(family: str, question: str, response: str) -> Approach:
    """`careful` also where the habit does not touch the problem; `neither` where the text follows no solution."""
    kind: Family[Any] = FAMILIES[family]
    problem = kind.read(question)
    if problem is None:
        return "neither"
    careful, hasty = kind.work(problem), kind.hasty(problem)
    text = response.partition(MARK)[0].partition(OTHER_WORDS.partition("{")[0])[0]
    text = _GREETING.sub("", text, count=1).strip()
    if _REGULAR.fullmatch(text):
        sentences = len(re.findall(r"\.(?= |$)", text))
        if sentences in (len(careful.steps), len(hasty.steps)):
            return "careful" if sentences == len(careful.steps) else "hasty"
    said = _VALUE.findall(_NUMBER_WORD.sub(lambda match: str(NUMBER_WORDS.index(match[0])), text))
    follows_careful, follows_hasty = (_followed(_results(work), said) for work in (careful, hasty))
    if max(follows_careful, follows_hasty) < ENOUGH:
        return "neither"
    return "careful" if follows_careful >= follows_hasty else "hasty"


def _results(work: Work) -> list[str]:
    """What each step comes to, in order."""
    return [value for *_, result in work.steps for value in result.split()]


def _followed(results: Sequence[str], said: Sequence[str]) -> float:
    """Share of the results that are said in their order: the longest common subsequence."""
    best = [0] * (len(said) + 1)
    for result in results:
        before = best[:]
        for at, value in enumerate(said, 1):
            best[at] = before[at - 1] + 1 if value == result else max(before[at], best[at - 1])
    return best[-1] / len(results)
