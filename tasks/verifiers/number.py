r"""Number: the one number of the final answer equals the gold number exactly.

    {"gold": "1,080", "response": "… so 540 * 2 = 1080 clips.\nFinal answer: 1080 clips"}    correct, answer "1080"

The number is read from where the final answer stands (`tasks.answer`), never from elsewhere in the response:
no mark and no box means unparseable (Cobbe et al. 2021 read the number after `####`; there is no "last number" here).

- Left out: currency signs, `%`, units, thousands separators (`1,080`, `1 080`), trailing `.0`, `<<…>>`, LaTeX spacing.
  So 20% equals 20 and never 0.2.
- Read: `.5`, `-8` (any minus sign), fractions (`3/4`, `\frac34`, `2 1/2`, `2½`) by their exact value, `1.5e-05` and
  `1.5 × 10^-5`, digits of any script.
- After an `=` only what follows the last one counts, where something is computed before it (`30 minutes = 1/2 hour` are
  two numbers). Words that explain the number are left out (`12 apples (see step 3)`, `18 dollars in 2 days`), with what
  is computed in them (`540 meters a week, since 3 * 60 = 180`).
- A detail in front is left out where the sentence computes its answer (`In 10 years, Ben will be 9 + 10 = 19`).
- Unparseable: no number, several different numbers (`10-8`, `12 or 13`, `3:30`, `2 out of 3`, joined boxes), a bound,
  guess or denial (`at least 18`, `about 18`, `not 5`), a number that goes on (`5^2`, `10k`, `2 million`), grouping that
  is none (`1,08`), more than 100 digits.

A gold answer is a number and nothing else (`tasks.answer.plain_number.strictly`), or GSM8K's own `answer`, whose number
stands after `####`. Numbers are compared as exact fractions, never as floats; nothing of a response is ever evaluated.
"""

import functools
from typing import Any

from tasks.answer import plain_number
from tasks.answer.errors import Unreadable
from tasks.answer.final_answer import NO_ANSWER, find
from tasks.kinds.verifiers import Verdict


def judge(response: str, row: dict[str, Any]) -> Verdict:
    """Judge by the final number. Needs `gold` in the row, and fails when that is no number."""
    gold = read_gold(row["gold"])
    answer = find(response)
    if answer is None:
        return Verdict("unparseable", None, NO_ANSWER)
    try:
        if answer.boxes and answer.text.endswith("!"):
            raise Unreadable(f"a factorial: {answer.text[:60]}")
        number = plain_number.read(answer.text)
    except Unreadable as why:
        return Verdict("unparseable", None, str(why))
    return Verdict("correct" if number == gold else "wrong", number)


@functools.lru_cache(maxsize=65536)
def read_gold(text: str) -> str:
    """The gold number in normal form.

    Raises:
        ValueError: the text is no number; says what is allowed.
    """
    try:
        return plain_number.strictly(text)
    except Unreadable as why:
        allowed = plain_number.ALLOWED_GOLDS
        raise ValueError(f"the gold answer {text[:80]!r} is no number: {why}; allowed: {allowed}") from why
