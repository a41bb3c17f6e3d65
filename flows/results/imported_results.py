"""Imported results: somebody's tables of predictors and accuracies as the groups that a record is made of.

A table is read as the file of imported results says (`flows.config.imported_file`). What stands twice counts once, the
last; what has no counterpart in the other table is left out; both are said.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from data import row_values
from data.errors import InputError, at, shown
from data.row_values import Row, in_digits, is_nothing
from data.table_file import TableFile, locate
from flows.config.imported_file import AccuracyTable, Columns, Imported
from flows.results.imported_noise import Noise, Runs
from tasks.comparison.predictor_groups import Choice, Group, Results

MOST_NAMED = 8
MISSING = ("", "nan", "na", "n/a", "none", "null", "-")
"""What stands, in any case, for a predictor without a value, beside null."""

Option = tuple[str, str, str]
"""Student, benchmark and arm."""


def read(imported: Imported) -> Results:
    """The groups of imported results.

    Raises:
        InputError: a table cannot be read, a row is broken, or nothing is in both tables; one line with the file, the
            row, the column and the value.
    """
    with at(imported.file):
        predictors = _table(imported, "predictors.file", imported.predictors.file)
        accuracies = _table(imported, "accuracies.file", imported.accuracies.file)
    notes: list[str] = []
    values = _values(imported, predictors, notes)
    runs = _runs(imported, accuracies, notes)
    runs = _renamed(runs, imported.accuracies.arms)
    _check_shared(values, runs, predictors, accuracies)
    shared = {
        choice: {arm: found for arm, found in arms.items() if (choice.student, choice.benchmark, arm) in values}
        for choice, arms in runs.items()
    }
    notes += _unmatched(values, runs)
    noise = Noise(shared, imported.accuracies)
    names = list(imported.predictors.better)
    groups = [_group(choice, arms, values, names, noise) for choice, arms in sorted(shared.items()) if arms]
    if noise.unknown:
        notes.append("Nothing tells how noisy the accuracies are: no arm was run twice, no `test_items` are given")
    return Results(
        name=imported.name,
        groups=tuple(groups),
        better={name: better == "higher" for name, better in imported.predictors.better.items()},
        about=imported.about,
        source=imported.source,
        baselines=tuple(imported.baselines),
        same_as=imported.predictors.same_as,
        notes=tuple(notes),
    )


def _table(imported: Imported, key: str, file: str) -> TableFile:
    return TableFile(locate(file, imported.roots, key))


def _option(place: str, row: Row, columns: Columns, name: str) -> Option:
    """A row's student, benchmark and arm; where one has no column, it is called as the results are."""
    named = (columns.student, columns.benchmark, columns.arm)
    student, benchmark, arm = (name if each is None else row_values.text(place, row, each).strip() for each in named)
    return student, benchmark, arm


def _values(imported: Imported, table: TableFile, notes: list[str]) -> dict[Option, dict[str, float]]:
    """By option, each predictor's value, NaN where it has none."""
    columns = imported.predictors.columns
    found: dict[Option, dict[str, float]] = defaultdict(dict)
    again = 0
    for place, row in table:
        option = _option(place, row, columns, imported.name)
        for predictor, column in _cells(imported, place, row):
            value = _number(place, row, column)
            if predictor in found[option]:
                before = found[option][predictor]
                again += not (before == value or (math.isnan(before) and math.isnan(value)))
            found[option][predictor] = value
    if again:
        notes.append(f"{table}: {_counted(again, 'value')} given more than once and differently; the last counts")
    better = imported.predictors.better
    empty = [n for n in better if all(math.isnan(values.get(n, math.nan)) for values in found.values())]
    if len(empty) == len(better):
        raise InputError(f"{table}: no predictor has a value in any row ({_most(empty)})")
    if empty:
        notes.append(f"{table}: predictors without a value in any row: {_most(empty)}")
    return found


def _cells(imported: Imported, place: str, row: Row) -> Iterator[tuple[str, str]]:
    """The predictors that a row has, each with the column of its value."""
    columns = imported.predictors.columns
    if columns.predictor is None or columns.value is None:
        yield from ((name, name) for name in imported.predictors.better)
        return
    predictor = row_values.text(place, row, columns.predictor)
    if predictor in imported.predictors.better:
        yield predictor, columns.value


def _number(place: str, row: Row, column: str) -> float:
    """A row's number, infinite ones too; NaN where there is none.

    Raises:
        InputError: it is something else.
    """
    value = row_values.value(place, row, column)
    if is_nothing(value) or (isinstance(value, str) and value.strip().casefold() in MISSING):
        return math.nan
    try:
        if isinstance(value, bool) or "_" in str(value):
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        allowed = "a number, inf, or nothing"
        raise InputError(f"{place}: column {column!r} is {shown(value)}; allowed: {allowed}") from None


def _runs(imported: Imported, table: TableFile, notes: list[str]) -> dict[Choice, dict[str, list[float]]]:
    """The runs of each arm in each group."""
    asked, columns = imported.accuracies, imported.accuracies.columns
    found: dict[tuple[Option, tuple[str, ...]], dict[str, list[float]]] = defaultdict(dict)
    again = without = 0
    seen: dict[str, Counter[str]] = {column: Counter() for column in asked.where}
    for number, (place, row) in enumerate(table):
        fits = [_fits(place, row, column, wanted, seen[column]) for column, wanted in asked.where.items()]
        if not all(fits):
            continue
        option = _option(place, row, columns, imported.name)
        setting = tuple(row_values.text_or_none(place, row, column) or "none" for column in asked.settings)
        seed = f"row {number}" if columns.seed is None else row_values.text_or_none(place, row, columns.seed) or "none"
        accuracy = _accuracy(place, row, asked)
        if math.isnan(accuracy):
            without += 1
            continue
        same_seed = found[option, setting].setdefault(seed, [])
        again += bool(same_seed)
        same_seed[:] = [*(same_seed if asked.repeated == "each" else []), accuracy]
    if not found:
        raise InputError(f"{table}: {_nothing_fits(asked, seen)}")
    if again:
        counts = "each counts" if asked.repeated == "each" else "the last counts"
        notes.append(f"{table}: {_counted(again, 'run')} of an arm and seed that an earlier row has too; {counts}")
    if without:
        notes.append(f"{table}: {_counted(without, 'run')} without an accuracy left out")
    varied = [at for at in range(len(asked.settings)) if len({setting[at] for _, setting in found}) > 1]
    runs: dict[Choice, dict[str, list[float]]] = defaultdict(dict)
    for ((student, benchmark, arm), setting), accuracies in found.items():
        said = ", ".join(f"{asked.settings[at]} {setting[at]}" for at in varied)
        runs[Choice(student, benchmark, said)][arm] = [each for same_seed in accuracies.values() for each in same_seed]
    return runs


def _accuracy(place: str, row: Row, asked: AccuracyTable) -> float:
    """A row's accuracy as a share, NaN where it has none."""
    column = asked.columns.accuracy
    value = _number(place, row, column)
    if math.isnan(value) or 0 <= value <= asked.out_of:
        return value / asked.out_of
    most = in_digits(asked.out_of).removesuffix(".0")
    hint = "; percentages: accuracies.out_of: 100" if asked.out_of == 1 and 1 < value <= 100 else ""
    raise InputError(f"{place}: column {column!r} is {shown(row[column])}; allowed: 0 to {most}{hint}")


def _fits(place: str, row: Row, column: str, wanted: Any, seen: Counter[str]) -> bool:
    """Whether a row has the value that is asked for, or one of them; 1000, 1000.0 and "1e3" are the same number."""
    value = row_values.value(place, row, column)
    seen[shown(value)] += 1
    return any(_plain(value) == _plain(each) for each in (wanted if isinstance(wanted, list) else [wanted]))


def _plain(value: Any) -> float | str:
    text = "" if value is None else str(value).strip().casefold()
    try:
        return text if isinstance(value, bool) else float(text)
    except ValueError:
        return text


def _nothing_fits(asked: AccuracyTable, seen: Mapping[str, Counter[str]]) -> str:
    if not asked.where:
        return f"no row has an accuracy in the column {asked.columns.accuracy!r}"
    wanted = " and ".join(f"{column} {_listed(each)}" for column, each in asked.where.items())
    there = "; ".join(f"{column}: {_most(list(values))}" for column, values in seen.items())
    return f"accuracies.where: no row with an accuracy has {wanted} (it has {there})"


def _listed(wanted: Any) -> str:
    return " or ".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted)


def _renamed(runs: Runs, names: Mapping[str, str]) -> dict[Choice, dict[str, list[float]]]:
    """The runs with arms called as among the predictors, where no other arm of the group is called so."""
    return {
        choice: {
            names[arm] if arm in names and names[arm] not in arms else arm: accuracies
            for arm, accuracies in arms.items()
        }
        for choice, arms in runs.items()
    }


def _check_shared(values: Mapping[Option, Any], runs: Runs, predictors: TableFile, accuracies: TableFile) -> None:
    """Raises InputError where the two tables have no option in common, naming what they call differently."""
    trained = {(choice.student, choice.benchmark, arm) for choice, arms in runs.items() for arm in arms}
    if trained & set(values):
        return
    for what, place in (("student", 0), ("benchmark", 1), ("arm", 2)):
        one, other = ({option[place] for option in options} for options in (values, trained))
        if not one & other:
            raise InputError(
                f"{predictors} and {accuracies} have no {what} in common: the first has {_most(sorted(one))}, the "
                f"second {_most(sorted(other))}"
            )
    raise InputError(f"{predictors} and {accuracies} have no student, benchmark and arm in common")


def _unmatched(values: Mapping[Option, Any], runs: Runs) -> Iterator[str]:
    trained = {(choice.student, choice.benchmark, arm) for choice, arms in runs.items() for arm in arms}
    for options, what in ((trained - set(values), "no predictor"), (set(values) - trained, "no accuracy")):
        if options:
            arms = [arm for arm, _ in Counter(arm for _, _, arm in sorted(options)).most_common()]
            yield f"{_counted(len(options), 'arm')} with {what} left out: {_most(arms)}"


def _most(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number > 1 else ''}"


def _group(
    choice: Choice,
    arms: Mapping[str, list[float]],
    values: Mapping[Option, Mapping[str, float]],
    names: Iterable[str],
    noise: Noise,
) -> Group:
    import numpy as np

    known = [values[choice.student, choice.benchmark, arm] for arm in arms]
    return Group(
        name=choice,
        options=tuple(arms),
        accuracies=np.array([sum(runs) / len(runs) for runs in arms.values()]),
        values={name: np.array([each.get(name, math.nan) for each in known]) for name in names},
        cluster=choice.benchmark,
        replicates=noise.of(choice),
    )
