"""How an answer is judged: one file a verifier, each with a function `judge(response, row) -> Verdict`.

A verifier reads the gold answer from `row["gold"]` and whatever else of the row it needs. It fails closed: what cannot
be read with certainty is unparseable, never wrong, and what breaks is an error, never wrong.
"""

import sys
from types import FunctionType
from typing import Literal, NamedTuple

from data import kinds

Outcome = Literal["correct", "wrong", "unparseable", "error"]


class Verdict(NamedTuple):
    """What a verifier says of one response."""

    verdict: Outcome
    answer: str | None = None
    """The answer as it was read, in its normal form; None where none could be read."""
    reason: str = ""
    """Why it is unparseable or an error."""


def names() -> tuple[str, ...]:
    """The verifiers there are."""
    return kinds.names(sys.modules[__name__])


def find(name: str) -> FunctionType:
    """The `judge` function of a verifier; as a stage's argument its code is part of the key.

    Raises:
        InputError: there is no verifier of that name.
    """
    judge = kinds.load(sys.modules[__name__], name, "verifier").judge
    assert isinstance(judge, FunctionType)
    return judge
