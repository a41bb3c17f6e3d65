"""A user's table: JSONL, CSV or Parquet, read row by row, with errors that name the row and the column.

Rows are numbered from 1; the header of a CSV file is not counted. Text is UTF-8, with or without a byte-order mark.
Nothing is guessed: a row that is not whole is an error, never skipped.
"""

import csv
import difflib
import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from data.errors import InputError

Row = dict[str, Any]

SUFFIXES = (".jsonl", ".csv", ".parquet")
LONGEST_FIELD = 64 * 1024 * 1024
"""Characters one CSV field may have; a quote that is never closed stops here."""


@dataclass(frozen=True)
class TableFile:
    """A table on disk. Iterating it gives its rows with their numbers, one after the other."""

    path: Path

    def __str__(self) -> str:
        folder = Path.cwd()
        return str(self.path.relative_to(folder) if self.path.is_relative_to(folder) else self.path)

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """Rows with their numbers.

        Raises:
            InputError: there is no such file, its format is another, it has no rows, or a row is broken.
        """
        self.exists()
        number = 0
        for number, row in _READERS[self.path.suffix.lower()](self):
            yield number, row
        if not number:
            raise InputError(f"{self}: has no rows")

    def exists(self) -> None:
        """Raises InputError unless this is a file of a known format."""
        if self.path.suffix.lower() not in SUFFIXES:
            raise InputError(f"{self}: not a format that can be read. Allowed: {', '.join(SUFFIXES)}")
        if not self.path.is_file():
            what = "a folder, not a file" if self.path.is_dir() else "there is no such file"
            raise InputError(f"{self}: {what}")

    def check(self, columns: Collection[str]) -> None:
        """Raises InputError unless the file can be read and its first row has the columns."""
        for number, row in self:
            for column in columns:
                self.value(number, row, column)
            return

    def value(self, number: int, row: Row, column: str) -> Any:
        """A row's value, which must be there.

        Raises:
            InputError: the row has no such column; names the nearest and those it has.
        """
        if column in row:
            return row[column]
        near = difflib.get_close_matches(column, row, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        self.fail(number, f"column {column!r} is missing (has: {', '.join(map(str, row)) or 'none'}{hint})")

    def text(self, number: int, row: Row, column: str) -> str:
        """A row's value as text: text as it is, numbers in digits.

        Raises:
            InputError: it is missing, empty, or something else.
        """
        text = self.text_or_none(number, row, column)
        if text is None:
            self.fail(number, f"column {column!r} is empty")
        return text

    def text_or_none(self, number: int, row: Row, column: str) -> str | None:
        """Like `text`, and None where the value is null or blank."""
        value = self.value(number, row, column)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.fail(number, f"column {column!r} is {_kind(value)}; allowed: text or a number")
        text = str(value)
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            self.fail(number, f"column {column!r} is not valid UTF-8 text")
        return text if text.strip() else None

    def fail(self, number: int, why: str) -> NoReturn:
        raise InputError(f"{self}, row {number}: {why}")


def _jsonl(table: TableFile) -> Iterator[tuple[int, Row]]:
    blank = 0
    with table.path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                blank = blank or number
                continue
            if blank:
                table.fail(blank, "is empty")
            try:
                row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                table.fail(number, f"is not UTF-8 (byte {error.start + 1} of the line)")
            except (json.JSONDecodeError, RecursionError) as error:
                table.fail(number, f"is not valid JSON: {error}")
            if not isinstance(row, dict):
                table.fail(number, f"is {_kind(row)}; allowed: one JSON object a line, with a key a column")
            yield number, row


def _csv(table: TableFile) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(LONGEST_FIELD)
    # Bytes that are no UTF-8 become surrogates here, and are reported with their row and column when they are read.
    with table.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, strict=True)
        number = 0
        try:
            header = next(reader, [])
            _check_header(table, header)
            for fields in reader:
                number += 1
                if len(fields) != len(header):
                    # csv gives [] for a blank line; one at the end of the file is no row.
                    if not fields and not any(reader):
                        return
                    what = f"has {len(fields)} fields, the header has {len(header)}" if fields else "is empty"
                    table.fail(number, what)
                yield number, dict(zip(header, fields, strict=True))
        except csv.Error as error:
            table.fail(number + 1, f"is not valid CSV: {error} (line {reader.line_num})")


def _check_header(table: TableFile, header: list[str]) -> None:
    if not header:
        return
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or "" in header:
        what = f"names {twice[0]!r} twice" if twice and twice[0] else "has a column without a name"
        raise InputError(f"{table}: the header {what}")
    if len(header) == 1 and (found := [sign for sign in ";\t|" if sign in header[0]]):
        raise InputError(f"{table}: columns are separated by {found[0]!r}; allowed: commas")


def _parquet(table: TableFile) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(table.path) as file:
            for batch in file.iter_batches(4096):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{table}: cannot be read as Parquet: {str(error).splitlines()[0]}") from error


_READERS = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", bool: "true or false", str: "text", int: "a number", float: "a number"}
    return "null" if value is None else kinds.get(type(value), f"a {type(value).__name__}")
