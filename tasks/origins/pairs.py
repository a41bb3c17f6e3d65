"""Pairs: a correct and a wrong response to the same question, of another origin's responses.

Rafailov et al. 2023 (arXiv 2305.18290) learn from such pairs; Setlur et al. 2024 (arXiv 2406.14532) compare any pair of
a model's own responses (this origin) with pairs that part at the step that loses the answer.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from data.bounds import Whole
from tasks.kinds.origins import Context, Gives, Origin, OriginRows
from tasks.pipeline.stage import Node, Work, stage
from tasks.resources.errors import StageFailed
from tasks.storage.joined_rows import JoinedRows
from tasks.storage.rows import Row, Rows


def _rows(node: Node) -> int:
    return node.asked.expected_rows * int(node.values["most"])


@stage(adds=("rejected", "rejected_ends", "rejected_tokens"), rows=_rows)
def any_pairs(verdicts: Rows, perplexities: Rows, most: int, *, work: Work) -> Iterator[Row]:
    """Up to `most` pairs a question: its first correct response with its first wrong one, the second with the second.

    The row is the correct response's, with its verdict and perplexity; `sample` is the pair's number. Adds `rejected`
    (the wrong response), `rejected_ends` (true: it ends its turn) and `rejected_tokens`. A response that was cut off,
    repeats one of its side, or could not be scored or judged (an unparseable one is no wrong one) is in no pair.

    Facts: `questions` (asked), `paired` (with a pair), `pairs`, and `left_out` by what a question lacks.

    Raises:
        StageFailed: no question has a pair; says what they lack.
    """
    left_out: Counter[str] = Counter()
    paired = pairs = questions = 0
    for _, group in itertools.groupby(JoinedRows(verdicts, perplexities), key=lambda row: row["id"]):
        rows = list(group)
        questions += 1
        correct, wrong = (_usable(rows, verdict) for verdict in ("correct", "wrong"))
        if not correct or not wrong:
            left_out["no correct response" if not correct else "no wrong response"] += 1
            continue
        paired += 1
        for number, (chosen, rejected) in enumerate(itertools.islice(zip(correct, wrong, strict=False), most)):
            pairs += 1
            yield {
                **chosen,
                "sample": number,
                "rejected": rejected["response"],
                "rejected_ends": True,
                "rejected_tokens": rejected["tokens"],
            }
    work.facts.update(questions=questions, paired=paired, pairs=pairs, left_out=dict(left_out))
    if not pairs:
        why = ", ".join(f"{count:,} have {lack}" for lack, count in left_out.most_common())
        raise StageFailed(f"no pair of a correct and a wrong response: of {questions:,} questions {why}")


def _usable(rows: list[Row], verdict: str) -> list[Row]:
    """Whole, scored responses of a verdict, each text once, in the order of their samples."""
    found = {
        row["response"]: row
        for row in sorted(rows, key=lambda row: row["sample"], reverse=True)
        if row["verdict"] == verdict and row["response"] and row.get("finish") != "length"
        if row["nll"] is not None and row["nll"] == row["nll"]
    }
    return list(reversed(found.values()))


class Pairs(Origin):
    """Pairs of a correct and a wrong response that another origin gives to the same question."""

    gives: ClassVar[Gives] = "pairs"
    kind: Literal["pairs"] = "pairs"
    of: str = Field(description="The origin whose responses are paired; it needs several samples a question.")
    keep: Whole = Field(default=1, ge=1, le=1000, description="Pairs of each question, at most.")

    @property
    def kept(self) -> int:
        return self.keep

    def rows(self, questions: Node, context: Context) -> OriginRows:
        of = context.rows_of(self.of, questions)
        paired = any_pairs(of.verdicts, of.perplexities, self.keep).named(context.label, self.kind)
        return OriginRows(paired, paired)
