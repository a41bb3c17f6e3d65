"""The studies that were finished here, as the groups that a record of predictors is made of.

A study's results folder holds what each predictor said of each arm (predictors.csv) and every evaluated answer
(items.parquet). A group is the arms of one student on one training benchmark at one size, with their accuracy there;
controls compete with none. Its replicates are those of the study's own intervals (`tasks.comparison.bootstrap`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import InputError
from flows.results import history
from tasks.comparison.arms import is_control
from tasks.comparison.cell import UNTRAINED
from tasks.comparison.predictor_groups import Choice, Group, Results

if TYPE_CHECKING:
    import pandas as pd

    from tasks.comparison.cell import Arm

PREDICTORS, ITEMS = "predictors.csv", "items.parquet"
COLUMNS = ("student", "benchmark", "arm", "size", "predictor", "value", "higher_is_better")
LENGTH = "length"
"""The predictor that every other must beat."""


def finished() -> list[Results]:
    """The finished studies of `runs/` that have predictors."""
    folders = (history.RUNS / study for study in history.studies())
    return [read(folder) for folder in folders if (folder / PREDICTORS).is_file() and (folder / ITEMS).is_file()]


def without_predictors() -> list[str]:
    """The finished studies that have none: of versions before there were any, or some of whose steps failed."""
    return [study for study in history.studies() if not (history.RUNS / study / PREDICTORS).is_file()]


def read(folder: Path) -> Results:
    """The groups of a study's results folder.

    Raises:
        InputError: its table of predictors is damaged.
    """
    import pandas as pd

    file = folder / PREDICTORS
    try:
        table = pd.read_csv(file, dtype={"student": str, "benchmark": str, "arm": str, "predictor": str})
    except (ValueError, OSError) as error:
        raise InputError(f"{file}: cannot be read as a table: {str(error).splitlines()[0]}") from None
    if lacking := [column for column in COLUMNS if column not in table]:
        raise InputError(f"{file}: column {lacking[0]!r} is missing (has: {', '.join(map(str, table.columns))})")
    table["size"] = table["size"].fillna(0).astype(int)
    better = {
        str(name): str(rows["higher_is_better"].iloc[0]).casefold() == "true"
        for name, rows in table.groupby("predictor", sort=False)
    }
    groups = list(_groups(table, list(better), folder / ITEMS))
    return Results(folder.name, tuple(groups), better, baselines=(LENGTH,) if LENGTH in better else ())


def _groups(table: pd.DataFrame, predictors: list[str], items: Path) -> Iterator[Group]:
    import numpy as np
    import pandas as pd

    from tasks.comparison.bootstrap import Bootstrap
    from tasks.comparison.items import ARM, matrices
    from tasks.comparison.peers import peers
    from tasks.comparison.statistics import Measured, Term

    scores = matrices(pd.read_parquet(items, columns=[*ARM, "seed", "eval_benchmark", "id", "score"]))
    sample = Measured(scores, peers=peers(scores))
    bootstrap = Bootstrap(sample)
    means = table.groupby(["student", "benchmark", "arm", "size", "predictor"])["value"].mean()
    values = {place: float(value) for place, value in zip(means.index, means, strict=True)}
    told = {place[:-1] for place in values}
    arms: dict[Choice, list[Arm]] = {}
    for arm, on in scores:
        known = (arm.student, on, arm.arm, arm.size) in told
        if arm.arm != UNTRAINED and on == arm.train_benchmark and not is_control(arm.arm) and known:
            size = f"{arm.size} questions" if arm.size else ""
            arms.setdefault(Choice(arm.student, on, size), []).append(arm)
    for choice, compared in sorted(arms.items()):
        terms = [[Term(arm, choice.benchmark)] for arm in compared]
        places = [(choice.student, choice.benchmark, arm.arm, arm.size) for arm in compared]
        yield Group(
            name=choice,
            options=tuple(arm.arm for arm in compared),
            accuracies=np.array([sample.estimate(term).value for term in terms]),
            values={name: np.array([values.get((*place, name), math.nan) for place in places]) for name in predictors},
            cluster=choice.benchmark,
            replicates=np.column_stack([bootstrap.replicates(term) for term in terms]),
        )
