"""Scaling curves: each arm's score in domain at each size, with its interval, and the student with no training."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from tasks.comparison.arms import Arms
from tasks.comparison.cell import UNTRAINED, Arm
from tasks.comparison.items import ARM
from tasks.comparison.statistics import Estimate, Measured, Term

if TYPE_CHECKING:
    import pandas as pd

POOLED = "*"
"""The training benchmark of what is pooled over all of them; every one weighs the same."""
SCALING = (*ARM, "n", "score", "ci_low", "ci_high")
Line = tuple[str, str, str, str, str, int, int, float, float, float]


def scaling(
    sample: Measured, arms: Sequence[Arm], benchmarks: Sequence[str], missing: Collection[tuple[Arm, str]] = ()
) -> pd.DataFrame:
    """The points of the scaling curves (`SCALING`); no row in a study that does not vary the size.

    One row per student, training benchmark, arm and size: the score on that benchmark, over `n` questions and seeds.
    Several training benchmarks have rows pooled over them too (`POOLED`), where every arm has them. The student with
    no training has the arm "base" and the size 0. What is missing has n 0 and no number.
    """
    import pandas as pd

    rows: list[Line] = []
    for student in sorted({arm.student for arm in arms}):
        groups = by_size(sample, [arm for arm in arms if arm.student == student], benchmarks, missing)
        for of_size in groups.values():
            for where, trained in places(of_size):
                rows += [_line(of_size, name, where, trained) for name in of_size.names]
        if groups:
            largest = groups[max(groups)]
            rows += [_untrained(largest, where, trained) for where, trained in places(largest)]
    rows.sort(key=lambda row: (row[0], row[1], row[2] != UNTRAINED, row[2], row[5]))
    return pd.DataFrame(rows, columns=list(SCALING))


def by_size(
    sample: Measured, arms: Sequence[Arm], benchmarks: Sequence[str], missing: Collection[tuple[Arm, str]]
) -> dict[int, Arms]:
    """The arms of one student by size, smallest first; empty in a study that does not vary the size."""
    return {
        size: Arms(sample, Measured({}), [arm for arm in arms if arm.size == size], benchmarks, missing)
        for size in sorted({arm.size for arm in arms} - {0})
    }


def places(arms: Arms) -> list[tuple[str, list[str]]]:
    """Each training benchmark with an arm evaluated in domain, and all that every arm has, together."""
    each = [(on, [on]) for on in arms.planned if any(on in arms.meant_for(name) for name in arms.names)]
    return [*each, *([(POOLED, arms.trained)] if len(arms.trained) > 1 else [])]


def in_domain(arms: Arms, name: str, trained: Sequence[str]) -> list[Term]:
    """An arm's scores on those of the training benchmarks that it has."""
    return [Term(arms.by_name[name, on], on) for on in trained if (name, on) in arms.by_name]


def _line(arms: Arms, name: str, where: str, trained: Sequence[str]) -> Line:
    found = arms.pooled(in_domain(arms, name, trained))
    return arms.student, where, name, arms.origin(name), arms.method_of(name), arms.size, *_numbers(found)


def _untrained(arms: Arms, where: str, trained: Sequence[str]) -> Line:
    found = arms.pooled([Term(arms.base, on) for on in trained])
    return arms.student, where, UNTRAINED, UNTRAINED, "", 0, *_numbers(found)


def _numbers(found: Estimate) -> tuple[int, float, float, float]:
    return found.items, found.value, found.low, found.high
