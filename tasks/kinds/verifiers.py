"""How an answer is judged: one file a verifier, each with a function `judge(response, row) -> Verdict`.

A verifier reads the gold answer from `row["gold"]` and whatever else of the row it needs. A list that it reads it
declares as `COLUMN`, to be checked when questions are read. It fails closed: what cannot be read with certainty is
unparseable, never wrong, and what breaks is an error, never wrong.
"""

import sys
from math import nan  # not the module: `tasks.verifiers.math` takes its name here
from types import FunctionType
from typing import Literal, NamedTuple

from data import kinds
from data.row_contract import ListColumn

Outcome = Literal["correct", "wrong", "unparseable", "error", "missing"]
"""The last two are no verdicts on an answer: it could not be judged, or there is no response."""


class Verdict(NamedTuple):
    """What a verifier says of one response."""

    verdict: Outcome
    answer: str | None = None
    """The answer as it was read, in its normal form; None where none could be read."""
    reason: str = ""
    """Why it is unparseable or an error."""
    partial: float | None = None
    """Part of the score that a judged answer earns, 0 to 1 (F1, ROUGE-L); None where right or wrong says it all."""

    @property
    def score(self) -> float:
        """What the answer is worth: `partial` where it is given, else 1 for a correct one and 0 for any other; NaN for
        an error and for a missing response, which are no answers to judge."""
        if self.verdict in ("error", "missing"):
            return nan
        return self.partial if self.partial is not None else float(self.verdict == "correct")


def names() -> tuple[str, ...]:
    """The verifiers there are."""
    return kinds.names("tasks.verifiers")


def find(name: str) -> FunctionType:
    """The `judge` function of a verifier; as a stage's argument its code is part of the key.

    Raises:
        InputError: there is no verifier of that name.
    """
    judge = kinds.load("tasks.verifiers", name, "verifier").judge
    assert isinstance(judge, FunctionType)
    return judge


def tells_wrong(judge: FunctionType) -> bool:
    """Whether its `wrong` says that an answer is wrong, and not only that it has other words (`GRADED`)."""
    return not getattr(sys.modules[judge.__module__], "GRADED", False)


def column(name: str) -> ListColumn | None:
    """The list that a verifier reads of a row beside `gold`, its file's `COLUMN`; None for one that reads none.

    Raises:
        InputError: there is no verifier of that name.
    """
    found = getattr(kinds.load("tasks.verifiers", name, "verifier"), "COLUMN", None)
    assert found is None or isinstance(found, ListColumn)
    return found
