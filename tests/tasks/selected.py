"""What arms train on, of responses that are verified and scored in one table."""

from typing import Any

from tasks.pipeline.work import Work
from tasks.select import select
from tasks.selection.match import Match
from tasks.storage.rows import Rows
from tasks.training_rows import training_rows


def selected(
    scored: dict[str, Rows],
    match: Match,
    count: int | None,
    seed: int,
    within: dict[str, Rows] | None = None,
    longest: int | None = None,
    asked: dict[str, Rows] | None = None,
    *,
    work: Work | None = None,
    **more: Any,
) -> Rows:
    """The training rows of all origins, one after the other in the order of their names."""
    choices = select.function(scored, scored, match, count, seed, within, longest, asked, work=work, **more)
    made = [training_rows.function(choices, scored[origin], origin) for origin in sorted(scored)]
    return Rows.of([row for rows in made for row in rows])
