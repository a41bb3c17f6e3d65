"""What predictors say of a study's arms before training, against what training came to: the study's own record.

A group is the arms of one student and training benchmark that are trained alike, at the study's largest size, controls
left out: arms that differ in their rows alone, among which one would choose. Each arm has the accuracy in domain that
was measured, seeds pooled, and its replicates over evaluation questions and seeds (tasks/comparison/bootstrap.py). A
predictor's values are taken as they are: they describe the very rows that an arm trained on. Where an arm's rows are
drawn anew for each seed, its value is the mean.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from tasks.comparison.arms import is_control
from tasks.comparison.bootstrap import Bootstrap
from tasks.comparison.cell import Arm
from tasks.comparison.items import ARM, arm_of
from tasks.comparison.predictor_groups import Group
from tasks.comparison.predictor_record import GroupRecord, PredictorRecord, records
from tasks.comparison.records import Offered
from tasks.comparison.statistics import Estimate, Measured, Term
from tasks.storage.rows import Rows

if TYPE_CHECKING:
    import pandas as pd

VALUES = (
    *("student", "train_benchmark", "method", "training", "arm", "origin", "size"),
    *("predictor", "title", "value", "higher_is_better", "rows", "lacks", "accuracy"),
)
RECORD = (
    *("student", "method", "training", "train_benchmark", "predictor", "title", "higher_is_better", "arms"),
    *("correlation", "correlation_low", "correlation_high", "pick", "accuracy", "regret", "regret_low", "regret_high"),
    *("right", "chance", "best", "against_length", "against_length_low", "against_length_high", "lacks"),
)
ALL = "*"
"""In place of a training benchmark: the mean over all of them."""
BASELINE = "length"
Directions = Mapping[str, tuple[str, str]]
"""Title of each predictor, and which of its values are said to be better ("lower", "higher"), by name."""


def values(
    offered: Sequence[Offered[Rows]], sample: Measured, arms: Sequence[Arm], directions: Directions
) -> pd.DataFrame:
    """One row per arm of the largest size and predictor (`VALUES`). `accuracy` is the score in domain, seeds pooled;
    `rows` counts the responses a value stands on, and `lacks` says why there is none; `training` is the same text for
    arms that are trained alike."""
    import pandas as pd

    training = {(one.of.student, one.of.train_benchmark, one.of.arm): one.training for one in offered}
    by_name = {(arm.student, arm.train_benchmark, arm.arm, arm.size): arm for arm in arms}
    found: dict[tuple[Arm, str], list[tuple[float, int, str]]] = defaultdict(list)
    for one in offered:
        arm = by_name.get((one.of.student, one.of.train_benchmark, one.of.arm, one.of.size))
        if arm is None or one.predictors is None:
            continue
        for row in one.predictors:
            found[arm, str(row["predictor"])].append((float(row["value"]), int(row["rows"]), str(row["lacks"])))
    rows = []
    for (arm, predictor), draws in sorted(found.items()):
        if predictor not in directions:
            continue
        title, better = directions[predictor]
        numbers = [value for value, _, _ in draws]
        accuracy = sample.estimate([Term(arm, arm.train_benchmark)]).value
        trained = training[arm.student, arm.train_benchmark, arm.arm]
        named = (arm.student, arm.train_benchmark, arm.method, trained, arm.arm, arm.origin, arm.size)
        value = math.fsum(numbers) / len(numbers) if not any(map(math.isnan, numbers)) else math.nan
        counted, lacks = sum(count for _, count, _ in draws), max(why for _, _, why in draws)
        rows.append((*named, predictor, title, value, better == "higher", counted, lacks, accuracy))
    return pd.DataFrame(rows, columns=list(VALUES))


def record(table: pd.DataFrame, sample: Measured, lost: Collection[tuple[Arm, str]] = ()) -> pd.DataFrame:
    """One row per student, way of training, training benchmark and predictor, and one over all benchmarks (`RECORD`).

    `correlation` is Spearman's, of the values as they are; `pick` names the arms that the predictor picks, `regret` is
    the best arm's accuracy less theirs, `right` the share of picks that are the best, `chance` the mean of all arms.
    `against_length` is the regret less that of length; `lacks` says why some arm has no value. Intervals are over
    questions and seeds.

    Args:
        table: `values`.
        lost: arms that miss a cell on a benchmark: they have no accuracy there.
    """
    import pandas as pd

    bootstrap = Bootstrap(sample)
    rows = []
    competing = table[~table["arm"].map(is_control).astype(bool)]
    for trained, part in competing.groupby(["student", "method", "training"], sort=True):
        groups = []
        for benchmark, here in part.groupby("train_benchmark", sort=True):
            group = _group(str(benchmark), here, bootstrap, lost)
            if len(group.options) > 1:
                groups.append(group)
        if not groups:
            continue
        titles, higher = (
            dict(zip(part["predictor"], part[column], strict=True)) for column in ("title", "higher_is_better")
        )
        lacks = part.groupby("predictor")["lacks"].max()
        for found in records(groups, higher, baseline=BASELINE, over_groups=False):
            named = (found.predictor, titles[found.predictor], bool(found.higher_is_better))
            lacking = lacks[found.predictor]
            each = [(*trained, one.group, *named, *_of_group(one), lacking) for one in found.groups]
            rows += each if len(each) == 1 else [*each, (*trained, ALL, *named, *_of_all(found), lacking)]
    return pd.DataFrame(rows, columns=list(RECORD))


def _group(benchmark: str, here: pd.DataFrame, bootstrap: Bootstrap, lost: Collection[tuple[Arm, str]]) -> Group:
    import numpy as np

    arms = [arm_of(list(named)) for named in here[list(ARM)].drop_duplicates().to_numpy()]
    arms = sorted(arm for arm in arms if (arm, benchmark) not in lost and bootstrap.measured.has(arm, benchmark))
    terms = [[Term(arm, benchmark)] for arm in arms]
    names = [arm.arm for arm in arms]
    pivot = here.pivot(index="arm", columns="predictor", values="value").reindex(names)
    replicates = [bootstrap.replicates(each) for each in terms]
    return Group(
        name=benchmark,
        options=tuple(names),
        accuracies=np.array([bootstrap.measured.estimate(each).value for each in terms], dtype=np.float64),
        values={str(name): pivot[name].to_numpy(dtype=np.float64) for name in pivot},
        replicates=np.column_stack(replicates) if replicates else None,
    )


def _of_group(found: GroupRecord) -> tuple[object, ...]:
    options = found.options - len(found.without_value)
    pick = ", ".join(found.pick)
    numbers = (pick, found.accuracy.value, *_range(found.regret), found.right, found.chance, found.best_accuracy)
    return (options, *_range(found.correlation), *numbers, math.nan, math.nan, math.nan)


def _of_all(found: PredictorRecord) -> tuple[object, ...]:
    options = sum(one.options - len(one.without_value) for one in found.groups)
    numbers = ("", found.accuracy.value, *_range(found.regret), found.right, found.chance, found.best)
    return (options, *_range(found.correlation), *numbers, *_range(found.against))


def _range(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high
