"""By perplexity: of several origins' correct responses, the one that the student finds most, or least, familiar.

Ren et al. 2024 (arXiv 2402.11192) choose by perplexity to raise or lower familiarity with all else the same. The
lowest of all candidates, whatever their verdicts (`correct: false`), is GRAPE's pick (Zhang et al. 2025, arXiv
2502.04194): the lowest perplexity is the greatest length-normalised likelihood.
"""

import math
from dataclasses import replace
from typing import Literal

from pydantic import Field

from tasks.kinds.origins import Context
from tasks.models.sampling import NO_ROOM
from tasks.origins._responses import Responses
from tasks.pipeline.stage import Node, one_a_question, stage
from tasks.pipeline.work import Work
from tasks.score import PERPLEXITY, score
from tasks.storage.joined_rows import JoinedRows
from tasks.storage.rows import Row, Rows
from tasks.verification.verdict import VERDICT

LATER = frozenset((*VERDICT, *PERPLEXITY))
"""Columns that verify and score add again, in the study's own course."""


@stage(adds=("chosen_from",), rows=one_a_question)
def most_familiar(
    verdicts: dict[str, Rows],
    perplexities: dict[str, Rows],
    pick: Literal["lowest", "highest"],
    correct: bool,
    *,
    work: Work,
) -> list[Row]:
    """One response a question: that of the lowest (or highest) perplexity, of correct ones only where `correct`.

    Among equals, the origin first by name and its first sample. Adds `chosen_from` (the origin it is of). Questions
    without such a response are left out and counted.

    Args:
        verdicts: verified responses by origin.
        perplexities: scored responses by origin, the same ones in the same order.
    """
    scored = {name: JoinedRows(verdicts[name], perplexities[name]) for name in verdicts}
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


class ByPerplexity(Responses):
    """Of each question's correct responses, the one with the lowest (or highest) perplexity for the student."""

    kind: Literal["by_perplexity"] = "by_perplexity"
    of: list[str] = Field(min_length=1, description="Origins to choose from; one with several samples will do.")
    pick: Literal["lowest", "highest"] = Field(default="lowest", description="lowest: the most familiar response.")
    by: str = Field(default="", description="An arm whose student judges what is familiar; empty: before any training.")
    correct: bool = Field(default=True, description="Choose among correct responses alone; false: among all.")

    def responses(self, questions: Node, context: Context) -> Node:
        verdicts, perplexities = {}, {}
        for name in dict.fromkeys(self.of):
            rows = context.rows_of(name, questions)
            verdicts[name], perplexities[name] = rows.verdicts, rows.perplexities
            if self.by:
                label = replace(context, origin=name).label
                answered = context.responses_of(name, questions)
                scored = score(answered, context.student, self.prompt_template(context), *context.live(self.by))
                perplexities[name] = scored.named(f"{label} by {self.by}", self.kind)
        return most_familiar(verdicts, perplexities, self.pick, self.correct).named(context.label, self.kind)
