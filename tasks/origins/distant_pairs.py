"""Distant pairs: of a question's correct and wrong responses, those that differ most in their text.

Pal et al. 2024 (arXiv 2402.13228) find that DPO loses likelihood of chosen responses where pairs are a small edit
distance apart. Setlur et al. 2024 (arXiv 2406.14532) compare such pairs with those that part at the step that loses the
answer, eight negatives a question. As in Self-Explore (arXiv 2404.10346, gen/get_dpo_data.py, GSM8K), the distance is
in characters and a wrong response is used once; there each correct one in turn takes the farthest, here the farthest
pair of all comes first.
"""

import itertools
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from data.bounds import Whole
from tasks.kinds.origins import Context, OriginRows
from tasks.origins._edit_distance import edit_distance
from tasks.origins._judged import most_of_each
from tasks.origins._pairs import Paired, paired
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.storage.rows import Row, Rows


@stage(adds=("rejected", "rejected_ends", "rejected_tokens"), rows=most_of_each)
def farthest_pairs(verdicts: Rows, perplexities: Rows, most: int, negatives: int, *, work: Work) -> Iterator[Row]:
    """Up to `most` pairs a question, the largest edit distance first, of its first `negatives` wrong responses.

    Each response is in one pair. Of equal distances, the one of the earlier correct response comes first, then that of
    the earlier wrong one. Rows, facts and failures: see `tasks.origins._pairs.paired`.
    """

    def farthest(correct: list[Row], wrong: list[Row]) -> Iterator[tuple[Row, Row]]:
        return itertools.islice(_largest_distance_first(correct, wrong[:negatives]), most)

    yield from paired(verdicts, perplexities, farthest, work)


def _largest_distance_first(correct: list[Row], wrong: list[Row]) -> Iterator[tuple[Row, Row]]:
    def distance(pair: tuple[int, int]) -> int:
        return edit_distance(correct[pair[0]]["response"], wrong[pair[1]]["response"])

    every_pair = itertools.product(range(len(correct)), range(len(wrong)))
    chosen: set[int] = set()
    rejected: set[int] = set()
    for one, two in sorted(every_pair, key=distance, reverse=True):  # a reversed sort keeps the order of equals too
        if one not in chosen and two not in rejected:
            chosen.add(one)
            rejected.add(two)
            yield correct[one], wrong[two]


class DistantPairs(Paired):
    """Pairs of a correct and a wrong response to the same question, those that differ most in their text first."""

    kind: Literal["distant_pairs"] = "distant_pairs"
    negatives: Whole = Field(
        default=8, ge=1, le=1000, description="Wrong responses of each question that are looked at, at most."
    )

    def rows(self, questions: Node, context: Context) -> OriginRows:
        of = context.rows_of(self.of, questions)
        pairs = farthest_pairs(of.verdicts, of.perplexities, self.keep, self.negatives)
        named = pairs.named(context.label, self.kind)
        return OriginRows(named, named)
