"""Somebody's own tables: read as they come, and parted into rows to train and to test on, by name or by question."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import table_file
from data.csv_dialect import PLAIN, dialect_of
from data.errors import InputError
from data.row_values import Row
from data.table_file import DOCUMENTS, SUFFIXES, TableFile
from tasks.leak import SHARE, overlaps
from tasks.questions import normalised

DELIMITED = (".csv", ".tsv", ".txt")
"""What a file's name may end in whose columns are separated by some sign."""
TEST = re.compile(r"(?:^|[^a-z])(?:test|eval|evaluation|dev|valid|validation|val)(?![a-z])")
TRAIN = re.compile(r"(?:^|[^a-z])train(?:ing)?(?![a-z])")


@dataclass(frozen=True)
class Table:
    """A file's rows, and how it was read where that had to be guessed."""

    path: Path
    rows: list[Row]
    dialect: str = ""
    readable: bool = True
    """Whether a study can read the file as it is."""


def read(path: Path, encoding: str | None) -> Table:
    """All rows of a file.

    Args:
        encoding: of a file with separated columns; None: to be guessed.

    Raises:
        InputError: it cannot be read; says why, and what can.
    """
    ending = table_file.suffix(path)
    if ending in DELIMITED:
        TableFile(path).found()
        dialect = dialect_of(path, encoding)
        plain = dialect == PLAIN and ending == ".csv"
        rows = [row for _, row in TableFile(path, dialect=dialect)]
        return Table(path, rows, "" if plain else f"read as {dialect}", plain)
    if ending in DOCUMENTS:
        return Table(path, [row for _, row in TableFile(path, listed)], readable=False)
    if ending not in SUFFIXES:
        known = ", ".join([*SUFFIXES, *DOCUMENTS, *DELIMITED[1:]])
        raise InputError(f"{path}: not a format that can be read. Allowed: {known}; a spreadsheet saved as CSV")
    return Table(path, [row for _, row in TableFile(path)])


def listed(content: Any) -> list[Row]:
    """The rows of a JSON document that is a list of objects."""
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise ValueError("allowed is a list of objects")
    return content


def sides(tables: Sequence[Table]) -> dict[str, list[Table]]:
    """Files to train and to test on, where their names say so; empty where they do not."""
    test = [table for table in tables if TEST.search(table.path.name.lower())]
    train = [table for table in tables if table not in test]
    if not test and len(tables) == 2 and TRAIN.search(tables[0].path.name.lower()):
        train, test = list(tables[:1]), list(tables[1:])
    return {"train": train, "test": test} if train and test else {}


def split(rows: Sequence[Row], question: str, share: float) -> dict[str, list[Row]]:
    """Rows to train and to test on, by a hash of the question: the same in every run.

    The same question is on one side, and one to test on that one to train on gives away (`tasks.leak`) is trained on.
    """
    testing = {at for at, row in enumerate(rows) if _hash(str(row.get(question))) < share}
    while True:
        places = {"train": [at for at in range(len(rows)) if at not in testing], "test": sorted(testing)}
        parts = {part: [rows[at] for at in found] for part, found in places.items()}
        if not (known := given_away(parts, question)):
            return parts
        testing -= {places["test"][at] for at in known}


def given_away(parts: dict[str, list[Row]], question: str) -> set[int]:
    """Which rows to test on, by place, have a question that one to train on gives away."""
    texts = {part: [(str(at), str(row.get(question))) for at, row in enumerate(rows)] for part, rows in parts.items()}
    near = overlaps(texts["train"], texts["test"])
    return {int(each.evaluation) for each in near if each.share >= SHARE and each.numbers}


def _hash(question: str) -> float:
    """A number from 0 below 1."""
    return int.from_bytes(hashlib.sha256(normalised(question).encode()).digest()[:8], "big") / 2**64
