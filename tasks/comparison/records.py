"""What a comparison is given, as records: nodes when it is planned, rows when it runs."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from tasks.comparison.cell import Arm, Cell, ResponsesOf

Source = TypeVar("Source")
"""A node of a plan, or the rows of its artifact."""


@dataclass(frozen=True)
class Evaluated(Generic[Source]):
    """The judged answers of one cell."""

    cell: Cell
    answers: Source


@dataclass(frozen=True)
class Offered(Generic[Source]):
    """The responses that an arm chose from, and its choices."""

    of: ResponsesOf
    pool: str
    """The name under which `choices` has those of this arm."""
    verdicts: Source
    perplexities: Source
    """The same rows in the same order, with other columns."""
    choices: Source | None = None
    """`select`'s rows; None where nothing was chosen."""
    predictors: Source | None = None
    """`predict`'s rows; None where there are none."""
    training: str = ""
    """How the arm is trained, the same text for arms that differ in nothing but their rows."""


@dataclass(frozen=True)
class Moved(Generic[Source]):
    """Responses that the untrained student wrote to training questions, scored before an arm's training and after it
    with one of its seeds."""

    of: Arm
    seed: int
    before: Source
    after: Source
    """The same rows in the same order."""


@dataclass(frozen=True)
class MissingCell:
    """A cell that was planned and could not be made, and why."""

    cell: Cell
    why: str = ""
