"""Spurious: correct responses of another origin, of which a share gets a step that helps nothing.

Setlur et al. 2024 (arXiv 2406.14532), section 6.3.1: a student picks up steps of its own right responses that are not
what made them right, and their estimated advantage finds them. How the paper puts such steps in is not known; here one
is a calculation that has nothing to do with the question, or a step gone wrong that is taken back at once.
"""

import itertools
import random
import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from data.bounds import Share, Whole
from tasks.kinds.origins import Context, OriginRows
from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.origins._judged import by_question, each_text_once, most_of_each, usable
from tasks.origins._responses import judged_and_scored
from tasks.origins._rolled_out import RolledOut
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.reporting.formatting import ratio
from tasks.resources.errors import StageFailed
from tasks.score import PERPLEXITY
from tasks.step_values import STEP_VALUES
from tasks.steps.detection import Found, detection
from tasks.steps.splitting import Steps, split
from tasks.steps.values import BEST_OF, advantages
from tasks.storage.rows import Row, Rows
from tasks.verification.verdict import VERDICT

Step = Literal["useless", "mended"]
USELESS = "By the way, {a} + {b} = {sum}."
MENDED = "No, that is wrong."
"""What is said of a step that went wrong, before the right one."""
NUMBER = re.compile(r"\d+(?=\D*$)")


@stage(
    rows=most_of_each, adds=("spurious_at",), facts=(Fact("responses", "responses"), Fact("inserted", "with a step"))
)
def spurious_steps(
    verdicts: Rows,
    perplexities: Rows,
    student: Model,
    way: str,
    step: Step,
    share: float,
    most: int,
    seed: int,
    *,
    work: Work,
) -> Iterator[Row]:
    """Up to `most` correct responses to each question, each text once; `share` of them get a step before one of theirs.

    Adds `spurious_at`: from which character on it stands, null for a response without one. A response of one step, or
    for "mended" without a number in any step but the last, gets none.

    Facts: `responses`, `inserted`.

    Raises:
        StageFailed: there is no correct response, or none gets a step.
    """
    rendering = renderer(student)
    responses = inserted = 0
    for rows in by_question(verdicts, perplexities):
        for row in each_text_once(usable(rows, "correct"))[:most]:
            rng = random.Random(f"spurious {seed} {row['id']} {row['sample']}")
            made = None
            if rng.random() < share:
                made = with_step(split(row["response"], way, rendering), step, rng)
            responses += 1
            inserted += made is not None
            text, at = made or (row["response"], None)
            kept = {name: value for name, value in row.items() if name not in (*VERDICT, *PERPLEXITY)}
            yield {**kept, "response": text, "spurious_at": at}
    work.facts.update(responses=responses, inserted=inserted)
    if share and not inserted:
        raise StageFailed(f"{work.run_name}: none of {responses:,} correct responses could be given a step")


def with_step(steps: Steps, step: Step, rng: random.Random) -> tuple[str, int] | None:
    """The response with a spurious step, and from which character on that stands; None where none can be put in."""
    places = [k for k in range(len(steps.texts) - 1) if step == "useless" or NUMBER.search(steps.texts[k])]
    if not places:
        return None
    place = rng.choice(places)
    before, own = steps.before(place), steps.texts[place]
    blank = own[: len(own) - len(own.lstrip())]
    if step == "useless":
        a, b = rng.randint(1, 9), rng.randint(1, 9)
        added = USELESS.format(a=a, b=b, sum=a + b)
    else:
        wrong = NUMBER.sub(lambda found: str(int(found[0]) + rng.choice((1, 2, 10))), own.strip())
        added = f"{wrong} {MENDED}"
    text = f"{before}{blank}{added}{blank or ' '}{own.lstrip()}{''.join(steps.texts[place + 1 :])}"
    return text, len(before)


@stage(
    facts=(
        Fact("auc", "spurious steps by their advantage, AUC", form=ratio, reported=True),
        Fact("auc_low", "95 % interval from", form=ratio, reported=True),
        Fact("auc_high", "to", form=ratio, reported=True),
    )
)
def found_by_advantage(values: Rows, *, work: Work) -> Iterator[Row]:
    """The responses as they were, and how well a low advantage tells their spurious steps from their others.

    Facts: `auc`, the chance that a spurious step has a lower advantage than another one (0.5: it tells nothing), with
    its 95 % interval `auc_low` to `auc_high` over responses; of `steps` steps in the responses that have one.
    """
    found: list[Found] = []
    for row in values:
        if row["spurious_at"] is not None and row["steps"] is not None:
            each = advantages(row["rollouts"], row["rollouts_correct"], right=True)
            starts = [0, *itertools.accumulate(map(len, row["steps"]))]
            at = max(k for k in range(len(each)) if starts[k] <= row["spurious_at"])
            found.append(Found(each[at], [value for k, value in enumerate(each) if k != at]))
        yield {name: value for name, value in row.items() if name not in (*STEP_VALUES, "verdict")}
    auc, low, high = detection(found)
    work.facts.update(auc=auc, auc_low=low, auc_high=high, steps=sum(1 + len(one.others) for one in found))


@stage()
def as_correct(responses: Rows) -> Iterator[Row]:
    """The responses with the verdict that they came with: correct, whatever step was put in."""
    for row in responses:
        yield {**row, "verdict": "correct"}


class Spurious(RolledOut):
    """Correct responses, a share of which has a step that helps nothing."""

    kind: Literal["spurious"] = "spurious"
    share: Share = Field(default=0.5, description="Share of the responses that get such a step.")
    step: Step = Field(
        default="useless",
        description="useless: a calculation that has nothing to do with the question. mended: a step that went wrong "
        "and is taken back.",
    )
    rollouts: Whole = Field(default=BEST_OF, ge=BEST_OF, le=1000, description="Tries from each step.")
    detect: bool = Field(default=True, description="Measure how well the steps' advantages find what was put in.")
    keep: Whole = Field(default=4, ge=1, le=1000, description="Responses to each question, at most.")

    def rows(self, questions: Node, context: Context) -> OriginRows:
        named = (context.label, self.kind)
        of = context.rows_of(self.of, questions)
        options = (self.steps, self.step, self.share, self.keep, context.seed)
        made = spurious_steps(of.verdicts, of.perplexities, context.student, *options).named(*named)
        if self.detect:
            values = self.values(as_correct(made).named(*named), "all", 0, context)
            made = found_by_advantage(values).named(*named)
        return judged_and_scored(made, self, context)
