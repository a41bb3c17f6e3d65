"""The first of the questions that were posed, for a study of several sizes."""

from collections.abc import Iterator

from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows


def _count(node: Node) -> int:
    count = node.values["count"]
    assert isinstance(count, int)
    return count


@stage(rows=_count)
def first_questions(posed: Rows, count: int, *, work: Work) -> Iterator[Row]:
    """The first `count` questions: a part of those of each larger number.

    Each was posed after examples drawn for it alone, so that the first ones are a random part of all.

    Raises:
        StageFailed: there are fewer.
    """
    if len(posed) < count:
        raise StageFailed(
            f"{work.run_name}: {len(posed):,} of the questions posed are left, {count:,} are needed (sizes). Have more "
            "posed, or leave out this size"
        )
    return (row for _, row in zip(range(count), posed, strict=False))
