"""Splitting a response into steps: parts that join to it byte for byte, each of which ends where a token ends."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.models.rendering import Renderer
from tasks.resources.errors import StageFailed

WAYS = {"sentences": r"[.!?]['\")\]$]*(?=\s)|\n", "lines": r"\n"}
"""How a response is split, by name: a pattern that matches where a step ends. A sentence ends at a full stop with white
space after it (so not within 3.5), or with its line."""


@dataclass(frozen=True)
class Steps:
    """The steps of a response, at least one."""

    texts: list[str]
    ends: list[int]
    """Tokens of the response up to the end of each step."""

    def before(self, number: int) -> str:
        """The text of the first `number` steps."""
        return "".join(self.texts[:number])


def split(text: str, way: str, renderer: Renderer) -> Steps:
    """The steps of a response.

    White space between two steps belongs to the second, or where no token ends before it, to the first. A place at
    which no token ends is no end of a step, and what holds nothing but white space is no step. A token ends where the
    text before it is made of the same tokens when it stands alone: a model that goes on from there sees what it saw in
    the whole response.

    Args:
        way: one of `WAYS`, or a regular expression; a step ends where its match ends.

    Raises:
        StageFailed: the expression cannot be used.
    """
    whole = renderer.beginning(text)
    cuts, ends = [0], []
    for place in _ends(text, way):
        if not text[cuts[-1] : place].strip() or not text[place:].strip():
            continue
        blank = len(text[place:]) - len(text[place:].lstrip())
        for at in range(place, place + blank + 1):
            ids = renderer.beginning(text[:at])
            if ids == whole[: len(ids)]:
                cuts.append(at)
                ends.append(len(ids))
                break
    texts = [text[start:end] for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]
    return Steps(texts, [*ends, len(whole)])


def _ends(text: str, way: str) -> Iterator[int]:
    try:
        yield from (match.end() for match in re.finditer(WAYS.get(way, way), text))
    except re.error as error:
        raise StageFailed(f"steps: {way} is no regular expression: {error}") from error
