"""First pit: pairs that part at the step at which a wrong response of the student loses the answer.

Setlur et al. 2024 (arXiv 2406.14532): a correct response against a wrong one up to its first pit, the step from which
the student does not get the question right any more. Self-Explore (Hwang et al. 2024, arXiv 2404.10346) pairs what
follows the steps before the pit: the shortest correct way on against the pit alone.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from data.bounds import Whole
from tasks.kinds.origins import Context, Gives, OriginRows
from tasks.origins._judged import by_question, each_text_once, most_of_each, usable
from tasks.origins._responses import judged_and_scored
from tasks.origins._rolled_out import RolledOut
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.score import PERPLEXITY
from tasks.step_values import STEP_VALUES
from tasks.storage.rows import Row, Rows
from tasks.verification.verdict import VERDICT

Kind = Literal["paper", "shared_prefix"]
OF_THE_WRONG = frozenset((*VERDICT, *PERPLEXITY, *STEP_VALUES, "finish"))
"""Columns of a wrong response that are none of its pair's."""


@stage(rows=most_of_each, facts=(Fact("questions", "questions"), Fact("negatives", "wrong responses")))
def negatives(verdicts: Rows, perplexities: Rows, most: int, *, work: Work) -> Iterator[Row]:
    """Up to `most` wrong responses to each question that has a correct one too, complete ones, each text once.

    Facts: `questions`, `negatives`, and `left_out` by what a question lacks.

    Raises:
        StageFailed: there is none; says what the questions lack.
    """
    left_out: Counter[str] = Counter()
    questions = found = 0
    for rows in by_question(verdicts, perplexities):
        questions += 1
        wrong = each_text_once(usable(rows, "wrong"))[:most]
        if lacks := _lacks(usable(rows, "correct"), wrong):
            left_out[lacks] += 1
            continue
        found += len(wrong)
        yield from wrong
    work.facts.update(questions=questions, negatives=found, left_out=dict(left_out))
    if not found:
        raise StageFailed(f"no wrong response to learn from: of {questions:,} questions {_counted(left_out)}")


@stage(rows=most_of_each, facts=(Fact("questions", "questions"), Fact("pairs", "pairs")))
def pit_pairs(values: Rows, verdicts: Rows, perplexities: Rows, kind: Kind, most: int, *, work: Work) -> Iterator[Row]:
    """Up to `most` pairs of each question, made of its wrong responses that have a pit.

    Adds `rejected`, the wrong response up to and with its pit; `rejected_ends` (false: nothing ends it) and
    `rejected_tokens`. `response` is a correct one to the question, the first for the first pair and so on ("paper"); or
    the steps before the pit and the shortest correct way on from there ("shared_prefix"), where what both have in
    common cancels out of the loss. No pair is made twice.

    Facts: `questions` (with a wrong response that was looked at), `pairs`, and `left_out`: wrong responses by why they
    are in no pair.

    Raises:
        StageFailed: there is no pair.
    """
    left_out: Counter[str] = Counter()
    questions = pairs = 0
    judged = by_question(verdicts, perplexities)
    for name, group in itertools.groupby(values, key=lambda row: row["id"]):
        questions += 1
        rows = next(rows for rows in judged if rows[0]["id"] == name)
        correct = each_text_once(usable(rows, "correct"))
        texts: set[tuple[str, str]] = set()
        for wrong in group:
            pit, number = wrong["pit"], len(texts)
            if pit is None:
                left_out["too long to go on from" if wrong["steps"] is None else "never right, from the start on"] += 1
                continue
            chosen = wrong["rescue"] if kind == "shared_prefix" else correct[number % len(correct)]["response"]
            rejected = "".join(wrong["steps"][: pit + 1])
            if number == most or (chosen, rejected) in texts:
                left_out["more than are kept" if number == most else "the same as another"] += 1
                continue
            texts.add((chosen, rejected))
            yield {
                **{column: value for column, value in wrong.items() if column not in OF_THE_WRONG},
                "sample": number,
                "response": chosen,
                "rejected": rejected,
                "rejected_ends": False,
                "rejected_tokens": wrong["step_ends"][pit],
            }
        pairs += len(texts)
    work.facts.update(questions=questions, pairs=pairs, left_out=dict(left_out))
    if not pairs:
        raise StageFailed(f"no step loses the answer in any wrong response: {_counted(left_out)}")


def _lacks(correct: list[Row], wrong: list[Row]) -> str:
    if not correct:
        return "have no correct response"
    return "" if wrong else "have no wrong response"


def _counted(left_out: Counter[str]) -> str:
    return ", ".join(f"{count:,} {why}" for why, count in left_out.most_common())


class FirstPit(RolledOut):
    """Pairs that part at the first step of a wrong response from which the student is never right again."""

    gives: ClassVar[Gives] = "pairs"
    kind: Literal["first_pit"] = "first_pit"
    pairs: Kind = Field(
        default="paper",
        description="paper: a correct response against the wrong one up to its pit. shared_prefix: the steps before "
        "the pit and a correct way on, against the same steps and the pit.",
    )
    negatives: Whole = Field(default=8, ge=1, le=1000, description="Wrong responses of each question, at most.")
    again: Whole = Field(default=15, ge=0, le=1000, description="More tries from a step before it counts as a pit.")
    keep: Whole = Field(default=1, ge=1, le=1000, description="Pairs of each question, at most.")

    def rows(self, questions: Node, context: Context) -> OriginRows:
        named = (context.label, self.kind)
        of = context.rows_of(self.of, questions)
        wrong = negatives(of.verdicts, of.perplexities, self.negatives).named(*named)
        values = self.values(wrong, "pit", self.again, context)
        pairs = pit_pairs(values, of.verdicts, of.perplexities, self.pairs, self.keep).named(*named)
        return judged_and_scored(pairs, self, context)
