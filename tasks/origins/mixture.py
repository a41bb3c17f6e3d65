"""Mixture: responses of several origins, by share."""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from data.bounds import Real
from tasks.kinds.origins import Context
from tasks.origins._responses import Responses
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.storage.rows import Row, Rows
from tasks.verification.missing_response import is_missing


@stage()
def mix(sources: dict[str, Rows], shares: Mapping[str, float], seed: int, *, work: Work) -> list[Row]:
    """Each question's responses, all of one origin drawn by share.

    A question that the origin drawn has no response to is left out, so that a mixture is never filled up with whoever
    answers most.

    Args:
        sources: responses by origin; `shares` has a number above 0 for each.

    Facts: `questions` by origin.
    """
    names = sorted(sources)
    weights = [shares[name] for name in names]
    drawn: dict[str, str] = {}
    taken: Counter[str] = Counter()
    rows: list[Row] = []
    for name in names:
        answered = set()
        for row in sources[name]:
            # Drawn by the id alone: the same whichever origins have a response to it.
            if row["id"] not in drawn:
                drawn[row["id"]] = random.Random(f"mixture {seed} {row['id']}").choices(names, weights)[0]
            if drawn[row["id"]] == name:
                rows.append(row)
                if not is_missing(row):
                    answered.add(row["id"])
        taken[name] = len(answered)
    work.facts["questions"] = dict(taken)
    return sorted(rows, key=lambda row: (str(row["id"]), row["sample"]))


Portion = Annotated[Real, Field(gt=0, le=1_000_000)]
"""A part in proportion to the others: they need not sum to 1."""


class Mixture(Responses):
    """Each question gets the responses of one of several origins; how often which one is given by shares."""

    kind: Literal["mixture"] = "mixture"
    of: dict[str, Portion] = Field(
        min_length=2, description="Share of the questions by origin, as {human: 1, self: 3}."
    )

    def responses(self, questions: Node, context: Context) -> Node:
        sources = {name: context.responses_of(name, questions) for name in self.of}
        return mix(sources, self.of, context.seed).named(context.label, self.kind)
