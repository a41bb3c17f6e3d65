"""Advantage-weighted: a model's own responses, right and wrong, each step learnt the more the more it helps.

Setlur et al. 2024 (arXiv 2406.14532), section 6: per-step DPO and supervised learning weighted by the exponential of a
step's advantage have the same optimum (Peng et al. 2019, arXiv 1910.00177, for the latter).
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from data.bounds import Real, Whole
from tasks.kinds.origins import Context, OriginRows
from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.origins._judged import by_question, each_text_once, most_of_each, usable
from tasks.origins._responses import judged_and_scored
from tasks.origins._rolled_out import RolledOut
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.score import PERPLEXITY
from tasks.step_values import STEP_VALUES
from tasks.steps.values import BEST_OF, advantages
from tasks.storage.rows import Row, Rows
from tasks.verification.verdict import VERDICT

LATER = frozenset((*VERDICT, *PERPLEXITY, *STEP_VALUES))
"""Columns that the steps after this one add anew, or that nothing needs any more."""


@stage(rows=most_of_each)
def complete(verdicts: Rows, perplexities: Rows, most: int, *, work: Work) -> Iterator[Row]:
    """The first `most` complete, correct or wrong responses to each question, each text once.

    Raises:
        StageFailed: there is none.
    """
    found = 0
    for rows in by_question(verdicts, perplexities):
        judged = sorted([*usable(rows, "correct"), *usable(rows, "wrong")], key=lambda row: row["sample"])
        for row in each_text_once(judged)[:most]:
            found += 1
            yield row
    work.facts.update(responses=found)
    if not found:
        raise StageFailed(f"{work.run_name}: no response is complete and judged")


@stage(adds=("token_weights",))
def weighted(values: Rows, student: Model, beta: float, largest: float, *, work: Work) -> Iterator[Row]:
    """Each response with `token_weights`: for each token, those that end its turn included, exp(A / beta) of its step.

    Facts: `responses`, `left_out` (too long to go on from) and `capped` (steps whose weight is `largest`).

    Raises:
        StageFailed: no response is left.
    """
    ending = len(renderer(student).end_ids)
    counts: Counter[str] = Counter(responses=0, left_out=0, capped=0)
    for row in values:
        if row["steps"] is None:
            counts["left_out"] += 1
            continue
        each = advantages(row["rollouts"], row["rollouts_correct"], row["verdict"] == "correct")
        weights = [min(largest, math.exp(min(advantage / beta, 700.0))) for advantage in each]
        lengths = [after - before for before, after in itertools.pairwise([0, *row["step_ends"]])]
        lengths[-1] += ending
        counts.update(responses=1, capped=sum(weight >= largest for weight in weights))
        spread = [weight for weight, length in zip(weights, lengths, strict=True) for _ in range(length)]
        yield {**{name: value for name, value in row.items() if name not in LATER}, "token_weights": spread}
    work.facts.update(counts)
    if not counts["responses"]:
        raise StageFailed(f"{work.run_name}: all {counts['left_out']:,} responses are too long to go on from")


class AdvantageWeighted(RolledOut):
    """Right and wrong responses, whose steps count by how much they raise the chance of a right answer."""

    kind: Literal["advantage_weighted"] = "advantage_weighted"
    rollouts: Whole = Field(default=BEST_OF, ge=BEST_OF, le=1000, description="Tries from each step.")
    beta: Real = Field(default=0.5, gt=0, le=100, description="The smaller, the more a step's advantage counts.")
    largest: Real = Field(default=20.0, ge=1, le=1e6, description="The weight above which none rises.")
    keep: Whole = Field(default=4, ge=1, le=1000, description="Responses to each question, at most.")

    def rows(self, questions: Node, context: Context) -> OriginRows:
        named = (context.label, self.kind)
        of = context.rows_of(self.of, questions)
        whole = complete(of.verdicts, of.perplexities, self.keep).named(*named)
        values = self.values(whole, "all", 0, context)
        made = weighted(values, context.student, self.beta, self.largest).named(*named)
        return judged_and_scored(made, self, context)
