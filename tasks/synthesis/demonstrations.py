"""A task's examples: what the column `demos` of its questions holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data.errors import InputError, shown

COLUMN = "demos"


@dataclass(frozen=True)
class Demonstration:
    """One example of a task: an input and its right output."""

    input: str
    output: str


def demonstrations(row: Mapping[str, Any], where: str) -> list[Demonstration]:
    """The examples that a question's prompt shows.

    Args:
        where: begins an error.

    Raises:
        InputError: there are none, or one of them lacks its input or output.
    """
    given = row.get(COLUMN)
    if not given:
        raise InputError(
            f"{where}: the questions have no examples (column {COLUMN!r}); allowed are benchmarks with a list of "
            "{input, output}, which is the same for all questions"
        )
    for number, one in enumerate(given, 1):
        for key in ("input", "output"):
            text = one.get(key) if isinstance(one, Mapping) else None
            if not isinstance(text, str) or not text.strip():
                raise InputError(
                    f"{where}: example {number} (column {COLUMN!r}) has {key} {shown(text)}; allowed is a text"
                )
    return [Demonstration(one["input"], one["output"]) for one in given]
