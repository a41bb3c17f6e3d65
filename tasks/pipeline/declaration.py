"""What a stage says of itself where it stands, for the plan, the cost, the Prefect UI and the report to ask."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


def plain(value: Any) -> str:
    """A fact as a reader sees it: numbers with separators, all else as text."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Fact:
    """One of the facts that a stage leaves in its manifest: how it is combined, and how a reader is told."""

    name: str
    """Its key in the manifest's `facts`."""
    words: str = ""
    """What it is called in the table of a step in the Prefect UI; empty for one that is not shown there."""
    form: Callable[[Any], str] = plain
    """How its value is written there."""
    shares: Literal["add", "mean", "keep"] = "keep"
    """Of rows that were made in shares: their sum, their mean by the rows made, or the first share's."""
    reported: bool = False
    """Whether the report lists it, step by step."""
    total: bool = False
    """Whether the report adds it up over the steps."""
    unless_zero: bool = False
    """Whether a value of 0 goes without saying."""

    def told(self, value: Any) -> bool:
        """Whether a reader is told of this value."""
        return bool(value) or not self.unless_zero


@dataclass(frozen=True)
class Compute:
    """What a stage does with a language model, from which its cost is estimated before it was ever timed."""

    verb: str
    """What is done, as in "12 answers to generate"."""
    counted: str
    """What it is done to or gives, in the plural."""
    flops: float
    """Floating-point operations a parameter of the model and token."""
    efficiency: float
    """Share of a GPU's peak that such work commonly reaches, 0 to 1."""
    writes: bool = False
    """Whether its rows are text that the model writes, up to the `max_tokens` of the stage's `Sampling`."""
    one_a_step: bool = False
    """Whether a step gives one of what is counted, however many rows it sees."""
    rows: Callable[[Any], int] | None = None
    """Rows of a node that pass through the model; None where they are those the step makes."""
