"""Of each question's responses, the one the student finds most, or least, familiar."""

import math
from typing import Literal

from data.benchmark import CHAIN
from tasks.rows import Row, Rows
from tasks.sampling import NO_ROOM
from tasks.stage import Work, stage

LATER = CHAIN - {"sample", "model", "response", "finish"}
"""Columns that verify and score add again, in the study's own course."""


@stage()
def most_familiar(
    scored: dict[str, Rows], pick: Literal["lowest", "highest"], correct: bool, *, work: Work
) -> list[Row]:
    """One response a question: that of the lowest (or highest) perplexity, of correct ones only where `correct`.

    Among equals, the origin first by name and its first sample. Adds `chosen_from` (the origin it is of). Questions
    without such a response are left out and counted.

    Args:
        scored: verified and scored responses by origin.
    """
    best: dict[str, tuple[float, str, Row]] = {}
    asked: set[str] = set()
    sign = 1 if pick == "lowest" else -1
    for name in sorted(scored):
        for row in scored[name]:
            asked.add(row["id"])
            if row["verdict"] == "error" or (correct and row["verdict"] != "correct"):
                continue
            if not row["response"] or row.get("finish") in ("length", "error", NO_ROOM):  # `select` would not take it
                continue
            if row["perplexity"] is None or not math.isfinite(row["perplexity"]):
                continue
            value = sign * row["perplexity"]
            if row["id"] not in best or value < best[row["id"]][0]:
                best[row["id"]] = (value, name, row)
    work.facts.update(
        questions=len(asked),
        answered=len(best),
        chosen_from={name: sum(of == name for _, of, _ in best.values()) for name in sorted(scored)},
    )
    return [
        {**{column: value for column, value in row.items() if column not in LATER}, "sample": 0, "chosen_from": name}
        for _, name, row in best.values()
    ]
