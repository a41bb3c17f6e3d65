"""What verifiers need of a row beside `gold`: checked when questions are read, before any model answers them."""

from typing import Any

from data import row_values, strict_json
from data.errors import InputError, shown
from data.row_values import Row

NEEDED = {"label": "labels", "span": "answers", "rouge_l": "references", "ni_exact": "references"}
"""The column that a verifier cannot do without; those not named here need none, or check it themselves."""

WHAT = {
    "labels": "the answers that are allowed",
    "answers": "the right answers, none where the question has no answer",
    "references": "the right outputs",
}
MAY_BE_EMPTY = frozenset({"answers"})


def listed(verifier: str) -> str | None:
    """The column that holds a list for a verifier."""
    return "options" if verifier == "choice" else NEEDED.get(verifier)


def check(verifier: str, place: str, row: Row) -> None:
    """Raises InputError unless the row has what its verifier needs.

    A list may stand as JSON text, since CSV has no lists; it becomes a list in the row.
    """
    column = listed(verifier)
    if column is None:
        return
    if isinstance(row.get(column), str):
        row[column] = _parsed(place, column, row[column])
    _check_values(place, column, row.get(column))
    if column not in WHAT:
        return
    if column not in row:
        raise InputError(f"{place}: the verifier {verifier} needs a column {column!r}: a list with {WHAT[column]}")
    values = row[column]
    wrong = not isinstance(values, list) or not all(isinstance(value, str) for value in values)
    if wrong or not (values or column in MAY_BE_EMPTY):
        found = f"{values!r:.80}" if isinstance(values, list) else row_values.kind(values)
        raise InputError(f"{place}: column {column!r} is {found}; allowed: a list of texts with {WHAT[column]}")
    if verifier == "label" and _plain(row["gold"]) not in map(_plain, values):
        raise InputError(f"{place}: the gold answer {row['gold']!r} is no label; there are {', '.join(values)}")


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
