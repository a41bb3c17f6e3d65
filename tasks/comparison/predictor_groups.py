"""What predictors are held against: groups of options to choose from, with what came of each.

A group is what one choice is made of, such as the arms of one student on one benchmark.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from data.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True, order=True)
class Choice:
    """What a group is a choice for: a student and the benchmark it is trained on, with what else does not vary."""

    student: str
    benchmark: str
    setting: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.student, self.benchmark, self.setting)))


@dataclass(frozen=True)
class Results:
    """What predictors are held against, from one place: a study, or imported tables.

    `groups` are named by `Choice`; `better` says of each predictor whether its higher values are better; `baselines`
    names predictors to hold others against; `same_as` says which of ours a predictor is that has a name of its own;
    `notes` are sentences on what was left out.
    """

    name: str
    groups: tuple[Group, ...]
    better: Mapping[str, bool]
    about: str = ""
    source: str = ""
    baselines: tuple[str, ...] = ()
    same_as: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    together: int = 0
    """Of how many other results these are all the groups; 0: they are results of their own."""


TABLE = ("group", "option", "predictor", "value", "higher_is_better", "accuracy")


@dataclass(frozen=True)
class Group:
    """The options to choose from, the accuracy of each (from 0 to 1, NaN where there is none) and, by predictor, the
    value of each (NaN where it has none).

    `cluster` names what is drawn together when groups are drawn anew, such as the task of several students; None: the
    group alone. `replicates` are the accuracies in each resampling of items and seeds, (resamplings, options).
    """

    name: Hashable
    options: tuple[str, ...]
    accuracies: np.ndarray
    values: Mapping[str, np.ndarray]
    cluster: Hashable = None
    replicates: np.ndarray | None = None

    def with_accuracy(self) -> Group:
        """The group without options that have no accuracy."""
        import numpy as np

        known = ~np.isnan(self.accuracies)
        return replace(
            self,
            options=tuple(option for option, counts in zip(self.options, known, strict=True) if counts),
            accuracies=self.accuracies[known],
            values={name: values[known] for name, values in self.values.items()},
            replicates=None if self.replicates is None else self.replicates[:, known],
        )


def groups_of(table: pd.DataFrame) -> list[Group]:
    """The groups of a tidy table with the columns `TABLE` and, if it has one, `cluster`.

    There is one row for each group, option and predictor; that of an option without a value may be left out where the
    option has another row.

    Raises:
        InputError: an option has a predictor twice, or two accuracies.
    """
    import numpy as np

    found = []
    for name, rows in table.groupby("group", sort=True):
        doubled = rows.duplicated(["option", "predictor"])
        if doubled.any():
            row = rows[doubled].iloc[0]
            raise InputError(f"{name}: option {row['option']!r} has the predictor {row['predictor']!r} twice")
        apart = rows.groupby("option")["accuracy"].nunique()
        if (apart > 1).any():
            raise InputError(f"{name}: option {apart[apart > 1].index[0]!r} has more than one accuracy")
        accuracies = rows.groupby("option", sort=True)["accuracy"].first()
        options = [str(option) for option in accuracies.index]
        values = rows.pivot(index="option", columns="predictor", values="value").reindex(accuracies.index)
        found.append(
            Group(
                name=name,
                options=tuple(options),
                accuracies=accuracies.to_numpy(dtype=np.float64),
                values={str(each): values[each].to_numpy(dtype=np.float64) for each in values},
                cluster=rows["cluster"].iloc[0] if "cluster" in rows else None,
            )
        )
    return found


def directions_of(table: pd.DataFrame) -> dict[str, bool]:
    """Whether a predictor's higher values are better, by predictor, of such a table.

    Raises:
        InputError: a predictor has both.
    """
    found: dict[str, bool] = {}
    for predictor, higher in zip(table["predictor"], table["higher_is_better"], strict=True):
        if found.setdefault(str(predictor), bool(higher)) != bool(higher):
            raise InputError(f"predictor {predictor!r}: higher_is_better is true in one row and false in another")
    return found
