"""What the rest of the program asks of a benchmark's rows. It is passed in: `data` knows no verifier and no stage.

Checked when questions are read, before any model answers them.
"""

from dataclasses import dataclass
from typing import Any

from data import row_values, strict_json
from data.errors import InputError, shown
from data.row_values import Row


@dataclass(frozen=True)
class ListColumn:
    """A column with a list of texts that a verifier reads beside `gold`."""

    name: str
    holds: str = ""
    """What the list holds, for messages; empty where rows may do without it."""
    may_be_empty: bool = False
    has_gold: bool = False
    """Whether the gold answer must be one of the texts, letter case and white space at the ends aside."""


@dataclass(frozen=True)
class RowContract:
    """What is asked of the rows of one benchmark."""

    column: ListColumn | None = None
    """What its verifier reads of a row beside `gold`."""
    reserved: tuple[str, ...] = ()
    """Columns that are added later: a benchmark's own columns of these names are left out of the questions."""


def check(column: ListColumn | None, verifier: str, place: str, row: Row) -> None:
    """See that a row has the list that its verifier reads. One that stands as JSON text, since CSV has no lists,
    becomes a list in the row.

    Args:
        verifier: its name, for messages.

    Raises:
        InputError: the list is missing, or not one of texts; names the place and the column.
    """
    if column is None:
        return
    name = column.name
    if isinstance(row.get(name), str):
        row[name] = _parsed(place, name, row[name])
    _check_values(place, name, row.get(name))
    if not column.holds:
        return
    if name not in row:
        raise InputError(f"{place}: the verifier {verifier} needs a column {name!r}: a list with {column.holds}")
    values = row[name]
    wrong = not isinstance(values, list) or not all(isinstance(value, str) for value in values)
    if wrong or not (values or column.may_be_empty):
        found = f"{values!r:.80}" if isinstance(values, list) else row_values.kind(values)
        raise InputError(f"{place}: column {name!r} is {found}; allowed: a list of texts with {column.holds}")
    if column.has_gold and _plain(row["gold"]) not in map(_plain, values):
        raise InputError(f"{place}: the gold answer {row['gold']!r} is none of the {name}: {', '.join(values)}")


def _check_values(place: str, column: str, given: Any) -> None:
    """Raises InputError where no column can hold a list or a map: it has other than texts alone, or numbers alone."""
    values = list(given.values()) if isinstance(given, dict) else given if isinstance(given, list) else []
    found = {row_values.kind(value) for value in values if value is not None}
    broken = any(not row_values.is_text(value) for value in values if isinstance(value, str))
    large = any(value.bit_length() > 63 for value in values if isinstance(value, int))
    if broken or large or len(found) > 1 or given == {}:
        raise InputError(f"{place}: column {column!r} is {shown(given)}; allowed: a list of texts in Unicode")


def _parsed(place: str, column: str, text: str) -> Any:
    try:
        return strict_json.parsed(text)
    except ValueError as error:
        raise InputError(f"{place}: column {column!r} is text; allowed: a list (in CSV, as JSON)") from error


def _plain(text: str) -> str:
    return text.strip().casefold()
