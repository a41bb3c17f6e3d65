"""The benchmark's human answers as responses."""

from data import kinds
from data.errors import InputError
from tasks.rows import Row, Rows
from tasks.stage import Work, stage


@stage()
def references(questions: Rows, column: str, *, work: Work | None = None) -> list[Row]:
    """A person's response to each question that has one, from `column` (`reference`, or another of the benchmark's).

    Adds `sample` (0), `model` ("human") and `response`. Questions without one are left out and counted.

    Raises:
        InputError: no question has such a response.
    """
    if column not in questions.columns:
        texts = [name for name in questions.columns if name not in ("id", "question", "gold")]
        raise InputError(f"origin human: {kinds.unknown('column', column, texts)}")
    made = [{**row, "sample": 0, "model": "human", "response": row[column]} for row in questions if row[column]]
    if not made:
        raise InputError(f"origin human: column {column!r} is empty in all {len(questions)} questions")
    if work:
        work.facts.update(questions=len(questions), answered=len(made))
    return made
