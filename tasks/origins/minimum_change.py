"""Minimum change: a teacher edits the student's own answer as little as possible until it is right.

Ren et al. 2024 (arXiv 2402.11192): the words stay the student's, so the response stays familiar. How many of them stay
is measured (`words_kept`), since teachers change more than they are told to.
"""

import difflib
import math
from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean
from typing import Literal

from pydantic import Field

from tasks.kinds.origins import Context
from tasks.origins._reworking import TEMPLATE, Reworking
from tasks.origins.self import Own
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import Node, stage
from tasks.storage.rows import Row, Rows
from tasks.verification.missing_response import is_missing


def kept(draft: str, response: str) -> float:
    """Share of words that are common to both, in order: `2 * common / (words of both)`, 1 where nothing was changed.

    Words are what white space parts. Two empty texts are the same, 1.
    """
    return difflib.SequenceMatcher(None, draft.split(), response.split(), autojunk=False).ratio()


def summary(rows: Rows) -> dict[str, float]:
    """Mean share of words kept, and the share of responses in which no word was changed; NaN without rows."""
    shares = [share for share in rows.column("words_kept") if share is not None]
    if not shares:
        return {"words_kept": math.nan, "unchanged": math.nan}
    return {"words_kept": fmean(shares), "unchanged": sum(share == 1.0 for share in shares) / len(shares)}


@stage(
    summary=summary,
    adds=("words_kept",),
    facts=(Fact("words_kept", reported=True), Fact("unchanged", reported=True)),
)
def words_kept(responses: Rows) -> Iterator[Row]:
    """Adds `words_kept` (0 to 1, see `kept`; null without a response) to responses that have a `draft`."""
    for row in responses:
        yield {**row, "words_kept": None if is_missing(row) else kept(row["draft"], row["response"])}


class MinimumChange(Reworking):
    """A teacher corrects the student's greedy answer, or another origin's responses, with as few changes as it can."""

    kind: Literal["minimum_change"] = "minimum_change"
    of: str = Field(
        default="", description="The origin whose responses are corrected; empty: the student's greedy answer."
    )
    prompt: str = Field(default="minimum_change", description=TEMPLATE)

    def responses(self, questions: Node, context: Context) -> Node:
        if self.of:
            drafted = context.responses_of(self.of, questions)
        else:
            greedy = Own(samples=1, temperature=0, max_tokens=self.max_tokens)
            drafted = greedy.responses(questions, replace(context, origin=f"{context.origin} draft"))
        return words_kept(self.reworked(drafted, context)).named(context.label, self.kind)
