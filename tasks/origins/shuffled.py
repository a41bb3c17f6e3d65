"""Shuffled: another origin's responses, each to a question that it does not answer.

A control: what training on them gains is gained by the form of the responses, not by what they say (Min et al. 2022,
arXiv 2202.12837, for examples in a prompt).
"""

import random
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from tasks.kinds.origins import Context
from tasks.origins._responses import Responses
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows


@stage(facts=(Fact("same", "responses that are the same text as before", reported=True, unless_zero=True),))
def exchanged(responses: Rows, seed: int, *, work: Work) -> Iterator[Row]:
    """Every response goes to the next row in a random order, so that none stays where it was.

    Facts: `same`, how many rows got the same text all the same, since several rows have it.

    Raises:
        StageFailed: there is one response alone.
    """
    texts = responses.column("response")
    if len(texts) < 2:
        raise StageFailed(f"{work.run_name}: there is one response alone; two or more are needed to exchange them")
    order = list(range(len(texts)))
    random.Random(f"exchanged {seed}").shuffle(order)
    given = dict(zip(order, [*order[1:], order[0]], strict=True))
    work.facts["same"] = sum(texts[at] == texts[given[at]] for at in order)
    return ({**row, "response": texts[given[at]]} for at, row in enumerate(responses))


class Shuffled(Responses):
    """Another origin's responses, exchanged among its questions; mostly wrong, so train with `correct: any`."""

    kind: Literal["shuffled"] = "shuffled"
    of: str = Field(description="The origin whose responses are exchanged.")

    def responses(self, questions: Node, context: Context) -> Node:
        made = exchanged(context.responses_of(self.of, questions), context.seed)
        return made.named(context.label, self.kind)
