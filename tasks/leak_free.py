"""Leave out posed questions that give an evaluation question away, where the questions are made."""

from collections.abc import Iterator

from tasks.leak import NGRAM, SHARE, Index, Training, pairs_of
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.storage.rows import Row, Rows


@stage(facts=(Fact("posed", "questions posed"), Fact("leaked", "left out: they give an evaluation question away")))
def leak_free(
    posed: Rows, evaluation: dict[str, Rows], ngram: int = NGRAM, share: float = SHARE, *, work: Work | None = None
) -> Iterator[Row]:
    """The posed questions that are none of the evaluation questions, by the rule of `leak`.

    A benchmark's own overlap stops a study (`leak`); what a model has posed by chance is left out and counted. Facts:
    `posed` and `leaked` (numbers of questions).
    """
    leaked: set[str] = set()
    indices = [Index(pairs_of(rows), ngram) for rows in evaluation.values()]
    count = 0
    for id, text in pairs_of(posed):
        count += 1
        training = Training(id, text)
        if any(index.is_given_away(training, share) for index in indices):
            leaked.add(id)
    if work:
        work.facts.update(posed=count, leaked=len(leaked))
        if leaked:
            work.note(f"posed questions left out, which give evaluation questions away: {len(leaked)} of {count}")
    return (row for row in posed if row["id"] not in leaked)
