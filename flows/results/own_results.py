"""The studies that were finished here, as the groups that a record of predictors is made of.

A study's results folder holds what each predictor said of each arm (predictors.csv, tasks/comparison/predictions.py)
and every evaluated answer (items.parquet). A group is the arms of one student, training benchmark and size that are
trained alike, controls left out, with their accuracy on that benchmark; its replicates are those of the study's own
intervals.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
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
COLUMNS = (*ARM, "training", "predictor", "value", "higher_is_better")


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
        texts = dict.fromkeys((*ARM[:-1], "training", "predictor"), str)  # an arm may be called "none"
        table = pd.read_csv(file, dtype=texts, keep_default_na=False, na_values={"value": [""]})
    except (ValueError, OSError) as error:
        raise InputError(f"{file}: cannot be read as a table: {str(error).splitlines()[0]}") from None
    if lacking := [column for column in COLUMNS if column not in table]:
        raise InputError(f"{file}: column {lacking[0]!r} is missing (has: {', '.join(map(str, table.columns))})")
    better = {str(name): bool(rows["higher_is_better"].iloc[0]) for name, rows in table.groupby("predictor")}
    groups = tuple(_groups(table, better, folder / ITEMS))
    return Results(folder.name, groups, better)


def _groups(table: pd.DataFrame, better: Mapping[str, bool], items: Path) -> Iterator[Group]:
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
    training = dict(zip((arm_of(list(named)) for named in table[list(ARM)].to_numpy()), table["training"], strict=True))
    groups: dict[tuple[str, str, int, str], list[Arm]] = {}
    for arm in values:
        if not is_control(arm.arm) and bootstrap.measured.has(arm, arm.train_benchmark):
            groups.setdefault((arm.student, arm.train_benchmark, arm.size, training[arm]), []).append(arm)
    groups = {alike: arms for alike, arms in groups.items() if len(arms) > 1}
    ways = _ways([trained for *_, trained in groups])
    for (student, benchmark, size, trained), arms in groups.items():
        setting = ", ".join(filter(None, (ways[trained], f"{size} questions" if size else "")))
        choice = Choice(student, benchmark, setting)
        terms = [[Term(arm, benchmark)] for arm in arms]
        yield Group(
            name=choice,
            options=tuple(arm.arm for arm in arms),
            accuracies=np.array([bootstrap.measured.estimate(term).value for term in terms]),
            values={name: np.array([values[arm].get(name, math.nan) for arm in arms]) for name in better},
            cluster=benchmark,
            replicates=np.column_stack([bootstrap.replicates(term) for term in terms]),
        )


def _ways(trainings: Sequence[str]) -> dict[str, str]:
    """What each way of training is called: by the settings that are not the same in all of them."""
    settings = {text: _settings(text) for text in trainings}
    names = sorted({name for each in settings.values() for name in each})
    varied = [name for name in names if len({json.dumps(each.get(name)) for each in settings.values()}) > 1]
    return {
        text: ", ".join(f"{name} {each[name]}" for name in varied if each.get(name) not in (None, ""))
        for text, each in settings.items()
    }


def _settings(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"training": text}
    return found if isinstance(found, dict) else {"training": text}
