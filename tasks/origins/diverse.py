"""Diverse: of another origin's responses, correct ones that differ from each other.

Rejection sampling as in Yuan et al. 2023 (arXiv 2308.01825) and Self-Explore (arXiv 2404.10346, gen/get_rft_data.py),
on whose rules for GSM8K (equations) and for MATH (text) Setlur et al. 2024 (arXiv 2406.14532) build.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from data.bounds import Real, Whole
from data.calculator_marks import calculations
from tasks.answer.calculation import is_true
from tasks.kinds.origins import Context, Origin, OriginRows
from tasks.origins._edit_distance import edit_distance
from tasks.origins._judged import by_question, each_text_once, most_of_each, usable
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.score import PERPLEXITY
from tasks.storage.rows import Row, Rows
from tasks.verification.verdict import VERDICT

Differ = Literal["auto", "equations", "text"]


@stage(
    rows=most_of_each,
    facts=(
        Fact("correct", "correct responses"),
        Fact("false_equations", "with a false equation", unless_zero=True),
        Fact("duplicates", "too like another"),
        Fact("kept", "kept"),
        Fact("without_correct", "questions without a correct response", unless_zero=True),
    ),
)
def different(
    verdicts: Rows, perplexities: Rows, most: int, differ: Differ, apart: float, seed: int, *, work: Work
) -> Iterator[Row]:
    """Up to `most` correct responses a question that differ from each other: their rows as they are.

    By equations: a response with a false one is left out; of those with the same equations in the same order, the one
    with the larger total edit distance to the others stays. By text: in an order drawn by `seed`, a response stays
    where it is apart from all that do, its edit distance to each above `apart` times the mean of both lengths. `auto`
    goes by equations for responses with calculator marks and then by text for the others. A response that was cut off
    or could not be scored is not among them.

    Facts: `questions` (asked), `without_correct` (such questions), `correct` (responses), and of these
    `false_equations`, `duplicates` (too like another) and `kept`; all others were more than `most`.

    Raises:
        StageFailed: no response stays; says why.
    """
    facts: Counter[str] = Counter(questions=0, without_correct=0, correct=0, false_equations=0, duplicates=0, kept=0)
    for rows in by_question(verdicts, perplexities):
        correct = usable(rows, "correct")
        true = [row for row in correct if differ == "text" or all(map(is_true, calculations(row["response"])))]
        by_equations: list[Row] = []
        by_text: list[Row] = []
        for row in each_text_once(true):
            marked = differ == "equations" or (differ == "auto" and calculations(row["response"]))
            (by_equations if marked else by_text).append(row)
        random.Random(f"diverse {seed} {rows[0]['id']}").shuffle(by_text)
        found = _of_other_text(by_text, _of_other_equations(by_equations), apart)
        facts.update(
            questions=1,
            without_correct=not correct,
            correct=len(correct),
            false_equations=len(correct) - len(true),
            duplicates=len(true) - len(found),
            kept=len(found[:most]),
        )
        yield from sorted(found[:most], key=lambda row: row["sample"])
    work.facts.update(facts)
    if not facts["kept"]:
        raise StageFailed(
            f"no correct response is left: of {facts['questions']:,} questions {facts['without_correct']:,} have none, "
            f"and {facts['false_equations']:,} responses have a false equation"
        )


def _of_other_equations(rows: Sequence[Row]) -> list[Row]:
    """One response of each list of equations, in the order in which the lists come first."""
    kept: dict[tuple[str, ...], Row] = {}
    for row in rows:
        equations = tuple(calculations(row["response"]))
        others = [other["response"] for key, other in kept.items() if key != equations]
        if equations not in kept or _total(row, others) > _total(kept[equations], others):
            kept[equations] = row
    return list(kept.values())


def _total(row: Row, others: Sequence[str]) -> int:
    return sum(edit_distance(row["response"], other) for other in others)


def _of_other_text(rows: Sequence[Row], kept: Sequence[Row], apart: float) -> list[Row]:
    """Those kept already, and each response that is apart from all kept before it."""
    found = list(kept)
    for row in rows:
        text = row["response"]
        others = (other["response"] for other in found)
        if all(edit_distance(text, other) > apart * (len(text) + len(other)) / 2 for other in others):
            found.append(row)
    return found


@stage()
def unjudged(kept: Rows) -> Iterator[Row]:
    """The responses that were kept without verdict and perplexity, which steps after this one add anew."""
    for row in kept:
        yield {column: value for column, value in row.items() if column not in (*VERDICT, *PERPLEXITY)}


class Diverse(Origin):
    """Of another origin's responses, correct ones that differ from each other."""

    kind: Literal["diverse"] = "diverse"
    of: str = Field(description="The origin whose responses are chosen from; it needs several samples a question.")
    keep: Whole = Field(default=4, ge=1, le=1000, description="Responses to each question, at most.")
    differ: Differ = Field(
        default="auto",
        description="What must differ: equations in calculator marks, or text; auto: equations where there are marks.",
    )
    apart: Real = Field(
        default=0.2, ge=0, le=1, description="Edit distance above which texts differ, as a share of their mean length."
    )

    def rows(self, questions: Node, context: Context) -> OriginRows:
        of = context.rows_of(self.of, questions)
        kept = different(of.verdicts, of.perplexities, self.keep, self.differ, self.apart, context.seed)
        named = kept.named(context.label, self.kind)
        return OriginRows(named, named)

    def responses(self, questions: Node, context: Context) -> Node:
        return unjudged(self.rows(questions, context).verdicts).named(context.label, self.kind)
