"""Pairs: a correct and a wrong response to the same question, of another origin's responses.

Rafailov et al. 2023 (arXiv 2305.18290) learn from such pairs; Setlur et al. 2024 (arXiv 2406.14532) compare any pair of
a model's own responses (this origin, with `keep: 8` for their eight negatives a question) with pairs that part at the
step that loses the answer.
"""

import itertools
from collections.abc import Iterator
from typing import Literal

from tasks.kinds.origins import Context, OriginRows
from tasks.origins._judged import most_of_each
from tasks.origins._pairs import Paired, paired
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.storage.rows import Row, Rows


@stage(adds=("rejected", "rejected_ends", "rejected_tokens"), rows=most_of_each)
def any_pairs(verdicts: Rows, perplexities: Rows, most: int, *, work: Work) -> Iterator[Row]:
    """Up to `most` pairs a question: its first correct response with its first wrong one, the second with the second.

    Rows, facts and failures: see `tasks.origins._pairs.paired`.
    """

    def in_order(correct: list[Row], wrong: list[Row]) -> Iterator[tuple[Row, Row]]:
        return itertools.islice(zip(correct, wrong, strict=False), most)

    yield from paired(verdicts, perplexities, in_order, work)


class Pairs(Paired):
    """Pairs of a correct and a wrong response that another origin gives to the same question."""

    kind: Literal["pairs"] = "pairs"

    def rows(self, questions: Node, context: Context) -> OriginRows:
        of = context.rows_of(self.of, questions)
        pairs = any_pairs(of.verdicts, of.perplexities, self.keep).named(context.label, self.kind)
        return OriginRows(pairs, pairs)
