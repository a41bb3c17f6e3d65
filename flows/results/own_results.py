"""The studies that were finished here, as the groups that a record of predictors is made of.

A study's results folder holds what each predictor said of each arm (predictors.csv, tasks/comparison/predictions.py)
and every evaluated answer (items.parquet). A group is the arms of one student, training benchmark and size that are
trained alike, controls left out, with their accuracy on that benchmark; its replicates are those of the study's own
intervals.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import InputError
from flows.results import history
from tasks.comparison.arms import is_control
from tasks.comparison.bootstrap import Bootstrap
from tasks.comparison.cell import Arm
from tasks.comparison.items import ARM, arm_of, matrices
from tasks.comparison.peers import peers
from tasks.comparison.predictor_groups import Choice, Group, Results
from tasks.comparison.statistics import Measured, Term

if TYPE_CHECKING:
    import pandas as pd

PREDICTORS, ITEMS = "predictors.csv", "items.parquet"
COLUMNS = (*ARM, "predictor", "value", "higher_is_better")


def finished() -> list[Results]:
    """The finished studies of `runs/` whose arms were told apart by predictors, those with a group at least."""
    folders = (history.RUNS / study for study in history.studies())
    found = (read(folder) for folder in folders if (folder / PREDICTORS).is_file() and (folder / ITEMS).is_file())
    return [results for results in found if results.groups]


def read(folder: Path) -> Results:
    """The groups of a study's results folder.

    Raises:
        InputError: one of its tables is damaged.
    """
    import pandas as pd

    file = folder / PREDICTORS
    try:
        texts = dict.fromkeys((*ARM[:-1], "predictor"), str)  # an arm may be called "none"
        table = pd.read_csv(file, dtype=texts, keep_default_na=False, na_values={"value": [""]})
    except (ValueError, OSError) as error:
        raise InputError(f"{file}: cannot be read as a table: {str(error).splitlines()[0]}") from None
    if lacking := [column for column in COLUMNS if column not in table]:
        raise InputError(f"{file}: column {lacking[0]!r} is missing (has: {', '.join(map(str, table.columns))})")
    better = {str(name): bool(rows["higher_is_better"].iloc[0]) for name, rows in table.groupby("predictor")}
    groups = tuple(_groups(table, better, _ways_of_training(file, table), folder / ITEMS))
    return Results(folder.name, groups, better)


def _groups(
    table: pd.DataFrame, better: Mapping[str, bool], trained: Mapping[Arm, str], items: Path
) -> Iterator[Group]:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    try:
        answers = pd.read_parquet(items, columns=[*ARM, "seed", "eval_benchmark", "id", "score"])
    except (ValueError, OSError, pa.ArrowException) as error:
        raise InputError(f"{items}: cannot be read: {str(error).splitlines()[0]}") from None
    scores = matrices(answers)
    bootstrap = Bootstrap(Measured(scores, peers=peers(scores)))
    values: dict[Arm, dict[str, float]] = {}
    for named, rows in table.groupby(list(ARM), sort=True):
        values[arm_of(list(named))] = dict(zip(rows["predictor"], map(float, rows["value"]), strict=True))
    groups: dict[Choice, list[Arm]] = {}
    for arm in values:
        if not is_control(arm.arm) and bootstrap.measured.has(arm, arm.train_benchmark):
            size = f"{arm.size} questions" if arm.size else ""
            setting = ", ".join(filter(None, (trained[arm], size)))
            groups.setdefault(Choice(arm.student, arm.train_benchmark, setting), []).append(arm)
    for choice, arms in groups.items():
        terms = [[Term(arm, choice.benchmark)] for arm in arms]
        if len(arms) > 1:
            yield Group(
                name=choice,
                options=tuple(arm.arm for arm in arms),
                accuracies=np.array([bootstrap.measured.estimate(term).value for term in terms]),
                values={name: np.array([values[arm].get(name, math.nan) for arm in arms]) for name in better},
                cluster=choice.benchmark,
                replicates=np.column_stack([bootstrap.replicates(term) for term in terms]),
            )


def _ways_of_training(file: Path, table: pd.DataFrame) -> dict[Arm, str]:
    """By arm how it is trained, as far as arms differ in it: two that are trained in other ways on the same rows are no
    choice among rows. Results from before that was kept tell methods apart.

    Raises:
        InputError: an arm's training is not what `compare` writes.
    """
    column = "training" if "training" in table else "method"
    of = {arm_of(list(named)): str(rows[column].iloc[0]) for named, rows in table.groupby(list(ARM), sort=True)}
    told: dict[str, dict[str, Any]] = {text: {"kind": text} for text in of.values()}
    if column == "training":
        try:
            told = {text: dict(json.loads(text)) for text in told}
        except (ValueError, TypeError):
            raise InputError(f"{file}: column 'training' is none that a study writes: run the study again") from None
    names = sorted({name for values in told.values() for name in values}, key=lambda name: (name != "kind", name))
    varied = [name for name in names if len({json.dumps(values.get(name)) for values in told.values()}) > 1]
    words = {}
    for text, values in told.items():
        said = [(name, values[name]) for name in varied if values.get(name)]
        words[text] = ", ".join(str(value) if name == "kind" else f"{name} {value}" for name, value in said)
    return {arm: words[text] for arm, text in of.items()}
