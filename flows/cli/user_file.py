"""A user's own file of responses: its rows as stages take them, and as they are given back with columns added."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import row_values, table_file
from data.errors import InputError
from data.table_file import TableFile
from flows.cli.result_file import ResultFile
from tasks.storage.rows import Row
from tasks.verification import missing_response


@dataclass(frozen=True)
class Columns:
    """Which columns of the file hold what; None: the one that is usual. `group` parts the rows for what is printed."""

    response: str = "response"
    question: str | None = None
    gold: str | None = None
    id: str = "id"
    group: str | None = None


def result_file(file: Path, out: Path | None, added: str) -> ResultFile:
    target = ResultFile.of(file, out, added)
    if out is not None and os.path.realpath(out) == os.path.realpath(file):
        raise InputError(f"--out {out}: is the file that is read; allowed: another")
    return target


def numbered_rows(file: Path, columns: Columns, target: ResultFile) -> tuple[list[Row], int]:
    """The file's rows as stages take them, numbered, and how many responses had a token that ends a turn.

    `_file` holds each row as it was, `_place` where it stands.

    Raises:
        InputError: a row is broken, lacks a column, or cannot be written to `target`.
    """
    made: list[Row] = []
    table = TableFile(file)
    is_csv = table_file.suffix(file) == ".csv"
    ended = 0
    for number, (place, given) in enumerate(table, start=1):
        if columns.group is not None:
            row_values.text_or_none(place, given, columns.group)
        response, had_end = missing_response.from_file(place, given, columns.response, is_csv)
        ended += had_end
        called = given.get(columns.id)
        row_values.check_text(place, columns.id, str(called))
        name = f"row {number}" if called is None else f"{called} (row {number})"
        made.append({"id": name, "sample": 0, "response": response, "finish": None, "_file": given, "_place": place})
    target.check(row["_file"] for row in made)
    return made, ended


def run_stage(function: Callable[..., Iterator[Any]], rows: list[Row], *arguments: Any) -> list[Row]:
    """Run a per-row stage outside any study; its output in the order of the rows."""
    made = {row["id"]: row for row in function([stage_row(row) for row in rows], *arguments)}
    return [made[row["id"]] for row in rows]


def stage_row(row: Row) -> Row:
    """What a stage sees of a row."""
    return {name: value for name, value in row.items() if name not in ("_file", "_place")}


def with_results(rows: list[Row], made: list[Row], added: Sequence[str], prefix: str) -> Iterator[Row]:
    names = _column_names(rows, added, prefix)
    for row, result in zip(rows, made, strict=True):
        yield {**row["_file"], **{name: result[column] for column, name in names.items()}}


def _column_names(rows: list[Row], added: Sequence[str], prefix: str) -> dict[str, str]:
    """What the added columns are called: by their own names, or with a prefix where the file has such a column."""
    taken = {name for row in rows for name in row["_file"]}
    names: dict[str, str] = {}
    for column in added:
        name = column
        while name in taken:
            name = f"{prefix}_{name}"
        names[column] = name
    return names


def print_renamed(rows: list[Row], added: Sequence[str], prefix: str) -> None:
    renamed = {column: name for column, name in _column_names(rows, added, prefix).items() if column != name}
    if renamed:
        print(f"The file has {_listed(renamed)} of its own; those added are called {_listed(renamed.values())}.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def print_formulas(rows: list[Row], made: list[Row], target: ResultFile) -> None:
    """Warn of texts in a CSV file that a spreadsheet would work out when it is opened. They stay as they are."""
    if table_file.suffix(target.path) != ".csv":
        return
    values = ((*row["_file"].values(), result.get("answer")) for row, result in zip(rows, made, strict=True))
    if count := sum(any(map(is_formula, each)) for each in values):
        print(
            f"Rows with a text that a spreadsheet takes for a formula (=, +, - or @ first), kept as it is: {count:,}."
        )


def is_formula(value: Any) -> bool:
    """Whether a spreadsheet takes a text for a formula; a number with a sign is none."""
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


def print_missing(missing: int, ended: int) -> None:
    if missing:
        print(f"Responses that are missing (null, not the empty text), left out of all figures: {missing}.")
    if ended:
        print(f"Responses with a token that ends a turn (such as </s>), each taken up to it: {ended}.")


def grouped(rows: list[Row], made: list[Row], group: str | None) -> Iterable[tuple[str, list[Row]]]:
    if group is None:
        return [("all", made)]
    parts: dict[str, list[Row]] = {}
    for row, result in zip(rows, made, strict=True):
        parts.setdefault(str(row["_file"][group]), []).append(result)
    return [*parts.items(), ("all", made)]
