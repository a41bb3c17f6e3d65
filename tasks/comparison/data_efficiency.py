"""Data efficiency: how many times its training questions an arm is worth, in those of a reference arm.

An arm that has the error e with D questions is worth D'/D times its questions where the reference arm has the error e
with D' (Setlur et al. 2024, arXiv 2406.14532, Fig. 1). An error is one minus a score. D' is found in two ways
(tasks/comparison/learning_curve.py): by interpolation between the sizes of the reference, which assumes nothing but
that its error does not rise, and says "at least" or "at most" where D' lies outside them; and by the power law
c·D^-alpha through the reference's errors, which goes on beyond its sizes.

Intervals are percentiles over resamplings of questions, the same for both arms, and of the seeds of each arm and size
(tasks/comparison/bootstrap.py). Where no answer, or every one, is wrong, resampling would give that again each time:
such an error is drawn from the distribution behind the bounds of Clopper and Pearson (1934) instead. The power law
takes an error of less than half a question for half a question.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.comparison.arms import Arms
from tasks.comparison.bootstrap import Bootstrap
from tasks.comparison.cell import Arm
from tasks.comparison.items import ARM
from tasks.comparison.learning_curve import LearningCurve, percentile_interval
from tasks.comparison.scaling import by_size, in_domain, places
from tasks.comparison.statistics import Measured

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

EFFICIENCY = (
    *(*ARM, "reference", "n", "error"),
    *("multiple", "multiple_is", "ci_low", "ci_low_is", "ci_high", "ci_high_is"),
    *("power_multiple", "power_ci_low", "power_ci_high", "alpha", "alpha_ci_low", "alpha_ci_high"),
)
MEASURED, AT_LEAST, AT_MOST, UNDEFINED = "measured", "at least", "at most", "undefined"
"""How a multiple, or an end of its interval, is known."""


@dataclass(frozen=True)
class _Errors:
    """An arm's error on some benchmarks, as measured and then in each resampling, over so many items."""

    draws: np.ndarray
    items: int


def efficiency(
    sample: Measured,
    arms: Sequence[Arm],
    benchmarks: Sequence[str],
    missing: Collection[tuple[Arm, str]] = (),
    reference: str = "",
) -> pd.DataFrame:
    """How many times its questions each arm is worth (`EFFICIENCY`); no row without a reference or without sizes.

    One row per student, training benchmark (and pooled over all, as in `scaling`), arm other than the reference, and
    size. By interpolation, `multiple` and the ends of its interval are each "measured", or "at least" or "at most" the
    number beside them. By the power law, an end without limit is 0 or infinite; alpha, the reference's exponent, is the
    same in all rows of a training benchmark. What is missing has n 0 and no number.

    Args:
        sample: scores from 0 to 1 by (`Arm`, evaluation benchmark).
        arms: all arms that were planned.
        benchmarks: all evaluation benchmarks.
        missing: what was planned and not made, which is left out of the reference's sizes.
        reference: the name of the arm that the others are held against.
    """
    import pandas as pd

    rows: list[tuple[object, ...]] = []
    bootstrap = Bootstrap(sample)
    for student in sorted({arm.student for arm in arms}) if reference else ():
        groups = by_size(sample, [arm for arm in arms if arm.student == student], benchmarks, missing)
        for where, trained in places(groups[max(groups)]) if groups else ():
            curve = _curve(groups, bootstrap, reference, trained)
            for size, of_size in groups.items():
                for name in of_size.names:
                    if name == reference or not of_size.meant_for(name).intersection(trained):
                        continue
                    named = (student, where, name, of_size.origin(name), of_size.method_of(name), size, reference)
                    rows.append((*named, *_numbers(_errors(of_size, bootstrap, name, trained), curve, size)))
    rows.sort(key=lambda row: (row[0], row[1], row[2], row[5]))
    return pd.DataFrame(rows, columns=list(EFFICIENCY))


def _errors(arms: Arms, bootstrap: Bootstrap, name: str, trained: Sequence[str]) -> _Errors | None:
    """None where a score is missing."""
    import numpy as np

    terms = in_domain(arms, name, trained)
    found = arms.pooled(terms) if len(terms) == len(trained) else None
    if found is None or math.isnan(found.value):
        return None
    resampled = bootstrap.replicates([replace(term, weight=1 / len(terms)) for term in terms])
    if np.ptp(resampled) == 0:
        unseen = 1 - bootstrap.uniform((name, arms.size, *trained)) ** (1 / found.items)
        resampled = found.value + unseen * ((found.value < 0.5) - found.value)
    return _Errors(np.clip(1 - np.concatenate([[found.value], resampled]), 0.0, 1.0), found.items)


def _curve(
    groups: Mapping[int, Arms], bootstrap: Bootstrap, reference: str, trained: Sequence[str]
) -> LearningCurve | None:
    """The reference's errors at the sizes it was measured at; None where there are none."""
    import numpy as np

    measured = {size: _errors(of_size, bootstrap, reference, trained) for size, of_size in groups.items()}
    known = {size: errors for size, errors in measured.items() if errors is not None}
    if not known:
        return None
    draws = np.column_stack([errors.draws for errors in known.values()])
    least = 0.5 / max(errors.items for errors in known.values())
    return LearningCurve(np.array(list(known), dtype=float), draws, least)


def _numbers(errors: _Errors | None, curve: LearningCurve | None, size: int) -> tuple[object, ...]:
    """A row's columns from `n` on."""
    nan = math.nan
    items, error = (errors.items, float(errors.draws[0])) if errors is not None else (0, nan)
    if errors is None or curve is None:
        return items, error, *(nan, UNDEFINED) * 3, *(nan,) * 6
    sizes = curve.interpolated(errors.draws)
    by_law = curve.by_power_law(errors.draws) - math.log(size)
    ends = (*percentile_interval(sizes), *percentile_interval(by_law), *percentile_interval(curve.alpha))
    if items < 2:
        ends = (nan,) * 6
    low, high, law_low, law_high, alpha_low, alpha_high = ends
    known = [part for log_size in (float(sizes[0]), low, high) for part in _multiple(log_size, curve, size)]
    return (
        *(items, error, *known, _power(float(by_law[0])), _power(law_low), _power(law_high)),
        *(float(curve.alpha[0]), alpha_low, alpha_high),
    )


def _multiple(log_size: float, curve: LearningCurve, size: int) -> tuple[float, str]:
    """What a size of the reference is in multiples of an arm's, and how it is known."""
    if math.isnan(log_size):
        return math.nan, UNDEFINED
    if math.isinf(log_size):
        above = log_size > 0
        return float(curve.sizes[-1 if above else 0]) / size, AT_LEAST if above else AT_MOST
    return math.exp(log_size) / size, MEASURED


def _power(log_multiple: float) -> float:
    return math.exp(log_multiple) if log_multiple < 700 else math.inf if log_multiple >= 700 else math.nan
