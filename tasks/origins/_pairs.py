"""Origins of pairs: which correct response stands beside which wrong one is all that one of them says."""

from abc import ABC
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from pydantic import Field

from data.bounds import Whole
from tasks.kinds.origins import Gives, Origin
from tasks.origins._judged import by_question, each_text_once, usable
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows

Choice = Callable[[list[Row], list[Row]], Iterable[tuple[Row, Row]]]
"""Pairs of a question's correct and wrong responses; there is at least one of each."""


def paired(verdicts: Rows, perplexities: Rows, choose: Choice, work: Work) -> Iterator[Row]:
    """The pairs of each question.

    The row is the correct response's, with its verdict and perplexity; `sample` is the pair's number. Adds `rejected`
    (the wrong response), `rejected_ends` (true: it ends its turn) and `rejected_tokens`. A response that was cut off,
    repeats one of its side, or could not be scored or judged (an unparseable one is no wrong one) is in no pair.

    Facts: `questions` (asked), `paired` (with a pair), `pairs`, and `left_out` by what a question lacks.

    Raises:
        StageFailed: no question has a pair; says what they lack.
    """
    left_out: Counter[str] = Counter()
    with_pair = pairs = questions = 0
    for rows in by_question(verdicts, perplexities):
        questions += 1
        correct, wrong = (each_text_once(usable(rows, verdict)) for verdict in ("correct", "wrong"))
        if not correct or not wrong:
            left_out["no correct response" if not correct else "no wrong response"] += 1
            continue
        with_pair += 1
        for number, (chosen, rejected) in enumerate(choose(correct, wrong)):
            pairs += 1
            yield {
                **chosen,
                "sample": number,
                "rejected": rejected["response"],
                "rejected_ends": True,
                "rejected_tokens": rejected["tokens"],
            }
    work.facts.update(questions=questions, paired=with_pair, pairs=pairs, left_out=dict(left_out))
    if not pairs:
        why = ", ".join(f"{count:,} have {lack}" for lack, count in left_out.most_common())
        raise StageFailed(f"no pair of a correct and a wrong response: of {questions:,} questions {why}")


class Paired(Origin, ABC):
    """An origin whose rows are pairs of a correct and a wrong response that another origin gives to a question."""

    gives: ClassVar[Gives] = "pairs"
    of: str = Field(description="The origin whose responses are paired; it needs several samples a question.")
    keep: Whole = Field(
        default=1, ge=1, le=1000, description="Pairs of each question, at most; each has a wrong response of its own."
    )
