"""What was learnt: each evaluation benchmark before and after training, in score and in how answers go about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.comparison.approaches import ANSWERS, TRAINED_ON
from tasks.comparison.cell import UNTRAINED

if TYPE_CHECKING:
    import pandas as pd

Words = dict[str, dict[str, Any]]
"""Rows of the table `approaches` of one arm and benchmark, by approach, the wanted one first."""


@dataclass(frozen=True)
class Line:
    """One arm on one evaluation benchmark; numbers are shares, NaN where one is unknown."""

    arm: str
    before: float
    after: float
    low: float
    high: float
    words_before: Words = field(default_factory=dict)
    words_after: Words = field(default_factory=dict)

    @property
    def other(self) -> str:
        """The approach that is told from the wanted one; "" where the benchmark tells none."""
        return next(iter([*(self.words_after or self.words_before)][1:2]), "")

    def share(self, word: str, after: bool) -> float:
        """The share of answers with that approach, before or after training."""
        found = (self.words_after if after else self.words_before).get(word)
        return float(found["share"]) if found else math.nan


@dataclass(frozen=True)
class Evaluation:
    """All arms on one evaluation benchmark."""

    on: str
    in_domain: bool
    """Whether the arms were trained on it."""
    lines: list[Line]

    @property
    def moved(self) -> float:
        """The largest change of an arm's score."""
        return max((abs(line.after - line.before) for line in self.lines if line.after >= 0), default=0.0)


@dataclass(frozen=True)
class Panel:
    """All arms that were trained on one benchmark."""

    train_benchmark: str
    evaluations: list[Evaluation]
    """The one trained on first, then by name."""
    trained_on: dict[str, Words]
    """How the responses that each arm was trained on go about their questions."""

    @property
    def in_domain(self) -> bool:
        """Whether its arms were evaluated on the benchmark that they were trained on."""
        return self.evaluations[0].in_domain

    @property
    def choices(self) -> int:
        """How many arms it tells this of."""
        return len(self.trained_on)


def panels(summary: pd.DataFrame, approaches: pd.DataFrame, order: Sequence[str]) -> list[Panel]:
    """What the arms of a student learnt, by training benchmark.

    Args:
        summary: rows of the table `summary` of one student and size.
        approaches: rows of the table `approaches` of the same, with those of the untrained student.
        order: the arms that are shown, in this order.
    """
    words = _words(approaches)
    found = []
    for benchmark in sorted(summary["train_benchmark"].unique()):
        group = summary[summary["train_benchmark"] == benchmark]
        rows = {(row["arm"], row["eval_benchmark"]): row for row in group.to_dict("records")}
        evaluations = [
            Evaluation(on, on == benchmark, [_line(rows[arm, on], words) for arm in order if (arm, on) in rows])
            for on in sorted(group["eval_benchmark"].unique(), key=lambda on: (on != benchmark, on))
        ]
        trained_on = {arm: words[benchmark, arm, TRAINED_ON] for arm in order if (benchmark, arm, TRAINED_ON) in words}
        evaluations = [evaluation for evaluation in evaluations if evaluation.lines]
        if evaluations:
            found.append(Panel(str(benchmark), evaluations, trained_on))
    return found


def words_of(panels: Sequence[Panel]) -> list[str]:
    """All approaches that the panels' answers and training responses have, in the benchmarks' own order."""
    lines = [line for panel in panels for evaluation in panel.evaluations for line in evaluation.lines]
    every = [*(line.words_after or line.words_before for line in lines)]
    every += [words for panel in panels for words in panel.trained_on.values()]
    return list(dict.fromkeys(word for words in every for word in words))


def others_of(panels: Sequence[Panel]) -> list[str]:
    """The approaches that are told from wanted ones: of most studies one, such as "hasty"."""
    lines = [line for panel in panels for evaluation in panel.evaluations for line in evaluation.lines]
    return list(dict.fromkeys(line.other for line in lines if line.other))


def _words(approaches: pd.DataFrame) -> dict[tuple[str, str, str], Words]:
    """By training benchmark, arm, and evaluation benchmark (or `TRAINED_ON`)."""
    found: dict[tuple[str, str, str], Words] = {}
    for row in approaches.to_dict("records"):
        on = row["eval_benchmark"] if row["rows"] == ANSWERS else TRAINED_ON
        found.setdefault((row["train_benchmark"], row["arm"], on), {})[row["approach"]] = {
            str(name): value for name, value in row.items()
        }
    return found


def _line(row: dict[Any, Any], words: dict[tuple[str, str, str], Words]) -> Line:
    on = row["eval_benchmark"]
    before, after, low, high = (float(row[name]) for name in ("base_score", "score", "ci_low", "ci_high"))
    return Line(
        *(row["arm"], before, after, low, high),
        words.get(("", UNTRAINED, on), {}),
        words.get((row["train_benchmark"], row["arm"], on), {}),
    )
