"""Judge what a model answered to an evaluation benchmark, with an adapter or without."""

from collections.abc import Iterable, Iterator
from types import FunctionType

from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows
from tasks.verification.missing_response import is_missing
from tasks.verification.verdict import VERDICT
from tasks.verify import ERROR_SHARE, judged, judged_ones


@stage(per_row=True, unit="answers", adds=VERDICT, adopted=judged_ones)
def evaluate(answers: Rows, verifier: FunctionType, *, work: Work) -> Iterator[Row]:
    """Judge every answer by the verifier: a step of its own, so that a mended verifier asks no model again.

    Adds `verdict`, `answer` and `score` (as `verify`). Errors are held back until the rest is judged, so that the next
    try judges them again.

    Raises:
        StageFailed: more than 1 % of all verdicts are errors; a prompt left no room for a response.
    """
    yield from judged(_given(answers), verifier, max(work.total, len(answers)), ERROR_SHARE, "evaluate", work.partial)


def _given(answers: Iterable[Row]) -> Iterator[Row]:
    for row in answers:
        if is_missing(row):
            raise StageFailed(f"row {row['id']}: its prompt leaves the model no room for a response")
        yield row
