"""All that is said of the predictors of one place: overall, by student, beyond noise, and combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.comparison.predictor_combination import Combination, combination
from tasks.comparison.predictor_groups import Choice, Group, Results
from tasks.comparison.predictor_noise import BeyondNoise, beyond_noise, differ
from tasks.comparison.predictor_record import PredictorRecord, records
from tasks.comparison.statistics import Estimate

FEWEST_CLUSTERS = 6
"""Benchmarks below which they are taken as given, and intervals are those of seeds and items alone."""
LENGTH = "length"
LEFT_OUT = ("benchmark", "student")
"""What a learned combination is tested on, each left out in turn."""


@dataclass(frozen=True)
class Overview:
    """The record of each predictor: over all choices, by student where there are several, and where arms differ by more
    than noise (`apart` choices of those whose noise is known); against each baseline; and what combining them adds.

    `by_benchmark` has each predictor's rank correlation on a benchmark, the mean over students, with the interval of
    seeds and items.
    """

    results: Results
    over_benchmarks: bool
    records: Sequence[PredictorRecord]
    by_student: Mapping[str, Sequence[PredictorRecord]]
    by_benchmark: Mapping[str, Mapping[str, Estimate]]
    against: Mapping[str, Mapping[str, Estimate]]
    """By baseline, each other predictor's regret less the baseline's."""
    beyond_noise: Sequence[BeyondNoise]
    apart: int
    combinations: Sequence[Combination]

    @property
    def choices(self) -> list[Choice]:
        return [_choice(group) for group in self.results.groups]


def overview(results: Results) -> Overview:
    """What can be said of results."""
    groups, better = results.groups, results.better
    wide = _over_benchmarks(groups)
    students = sorted({_choice(group).student for group in groups})
    by_student = {name: [group for group in groups if _choice(group).student == name] for name in students}
    benchmarks = sorted({_choice(group).benchmark for group in groups})
    by_benchmark = {name: [group for group in groups if _choice(group).benchmark == name] for name in benchmarks}
    baselines = [name for name in dict.fromkeys((LENGTH, *results.baselines)) if name in better]
    against = {
        baseline: {
            each.predictor: each.against
            for each in records(groups, better, baseline, wide)
            if each.predictor != baseline
        }
        for baseline in baselines
    }
    combinations = [
        combination(groups, better, [getattr(_choice(group), what) for group in groups], what) for what in LEFT_OUT
    ]
    return Overview(
        results=results,
        over_benchmarks=wide,
        records=records(groups, better, over_groups=wide),
        by_student={name: records(of, better, over_groups=_over_benchmarks(of)) for name, of in by_student.items()}
        if len(students) > 1
        else {},
        by_benchmark={
            name: {each.predictor: each.correlation for each in records(of, better, over_groups=False)}
            for name, of in by_benchmark.items()
        },
        against=against,
        beyond_noise=beyond_noise(groups, better, wide),
        apart=sum(bool(differ(group)) for group in groups),
        combinations=[each for each in combinations if each is not None],
    )


def _choice(group: Group) -> Choice:
    assert isinstance(group.name, Choice)
    return group.name


def _over_benchmarks(groups: Sequence[Group]) -> bool:
    """Whether there are enough benchmarks to take them as drawn from more."""
    return len({group.cluster for group in groups}) >= FEWEST_CLUSTERS
