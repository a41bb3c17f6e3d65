"""How much of a draft is left in the response that was made of it."""

import difflib
import math
from collections.abc import Iterator
from statistics import fmean

from tasks.no_response import is_missing
from tasks.rows import Row, Rows
from tasks.stage import stage


def kept(draft: str, response: str) -> float:
    """Share of words that are common to both, in order: `2 * common / (words of both)`, 1 where nothing was changed.

    Words are what white space parts. Two empty texts are the same, 1.
    """
    return difflib.SequenceMatcher(None, draft.split(), response.split(), autojunk=False).ratio()


def summary(rows: Rows) -> dict[str, float]:
    """Mean share of words kept, and the share of responses in which no word was changed; NaN without rows."""
    shares = [share for share in rows.column("words_kept") if share is not None]
    if not shares:
        return {"words_kept": math.nan, "unchanged": math.nan}
    return {"words_kept": fmean(shares), "unchanged": sum(share == 1.0 for share in shares) / len(shares)}


@stage(facts=summary)
def words_kept(responses: Rows) -> Iterator[Row]:
    """Adds `words_kept` (0 to 1, see `kept`; null without a response) to responses that have a `draft`."""
    for row in responses:
        yield {**row, "words_kept": None if is_missing(row) else kept(row["draft"], row["response"])}
