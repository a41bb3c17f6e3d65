"""The file in which `score` and `verify` give a user's rows back, with columns of their own added.

Every row is written once before any work is done, into a draft that is thrown away: what cannot be written in the
chosen format is found while nothing has been spent.
"""

import contextlib
import csv
import datetime
import gzip
import json
import math
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data import row_values, table_file
from data.errors import InputError, shown
from data.table_file import SUFFIXES, TableFile
from tasks.storage.rows import Row

DEEPEST = 150
"""Lists and objects inside one another that are written."""


@dataclass(frozen=True)
class ResultFile:
    """Where the result of `source` goes: the rows of that file, with more columns."""

    path: Path
    source: Path

    @classmethod
    def of(cls, source: Path, out: Path | None, added: str) -> "ResultFile":
        """`out`, or `SOURCE.<added>.<ending>` beside the source, JSONL uncompressed.

        Raises:
            InputError: the source's format is none that is read, the result's is none that is written, or there can be
                no such file.
        """
        TableFile(source).exists()
        known = table_file.suffix(source)
        stem, ending = source.name[: -len(known)], source.name[-len(known) :]
        path = out or source.with_name(f"{stem}.{added}{ending[: -len('.gz')] if known.endswith('.gz') else ending}")
        if table_file.suffix(path) not in SUFFIXES:
            what = path.suffix or "no"
            raise InputError(f"--out {path}: {what} ending is unknown; allowed: {', '.join(SUFFIXES)}")
        if os.path.isdir(path):
            raise InputError(f"--out {path}: is a folder; allowed: a file")
        if not os.path.isdir(path.parent):
            raise InputError(f"--out {path}: there is no folder {path.parent}")
        return cls(path, source)

    def __str__(self) -> str:
        return str(self.path)

    def check(self, rows: Iterable[Row]) -> None:
        """See that the source's rows can be written.

        Raises:
            InputError: names the row, the column, the value, and what is allowed; or why there can be no file.
        """
        self._write(rows, keep=False)

    def write(self, rows: Iterable[Row]) -> None:
        """Write all rows or nothing, in the form that the file's name asks for.

        Raises:
            InputError: as `check`.
        """
        self._write(rows, keep=True)

    def _write(self, rows: Iterable[Row], keep: bool) -> None:
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.draft")
        placed = ((TableFile(self.source).place(number), row) for number, row in enumerate(rows, start=1))
        try:
            match table_file.suffix(self.path):
                case ".parquet":
                    self._parquet(draft, list(placed))
                case ".csv":
                    self._csv(draft, list(placed))
                case _:
                    self._jsonl(draft, placed)
            if keep:
                draft.replace(self.path)
        except OSError as error:
            raise InputError(f"--out {self}: cannot be written: {error.strerror or error}") from None
        finally:
            with contextlib.suppress(OSError):  # where nothing can be written, there is nothing to remove
                draft.unlink(missing_ok=True)

    def _jsonl(self, draft: Path, rows: Iterable[tuple[str, Row]]) -> None:
        packed = self.path.suffix.lower() == ".gz"
        with gzip.open(draft, "wb") if packed else draft.open("wb") as file:
            for place, row in rows:
                values = {name: self._cell(place, name, value) for name, value in row.items()}
                line = json.dumps(values, ensure_ascii=False, allow_nan=False)
                if not row_values.is_text(line):  # half a surrogate pair, which JSON spells as it came
                    line = json.dumps(values, allow_nan=False)
                file.write(line.encode() + b"\n")

    def _csv(self, draft: Path, rows: list[tuple[str, Row]]) -> None:
        """Lists and objects as JSON, as they are read in; null and NaN as nothing."""
        names = list(dict.fromkeys(name for _, row in rows for name in row))
        if wrong := [name for name in names if not name or not row_values.is_text(name)]:
            raise InputError(f"--out {self}: no column of a CSV file can be called {wrong[0]!r}; allowed: .jsonl")
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            for place, row in rows:
                writer.writerow([self._field(place, name, row.get(name)) for name in names])

    def _parquet(self, draft: Path, rows: list[tuple[str, Row]]) -> None:
        """Columns of a Parquet file keep their types."""
        types = dict(_types(self.source)) if table_file.suffix(self.source) == ".parquet" else {}
        columns: dict[str, pa.Array] = {}
        for name in dict.fromkeys(name for _, row in rows for name in row):
            values = [row.get(name) for _, row in rows]
            if why := _misfit(name, values, types.get(name)):
                for (place, _), value in zip(rows, values, strict=True):
                    if alone := _misfit(name, [value], types.get(name)):
                        raise InputError(
                            f"{place}: column {name!r} is {shown(value)}, which does not fit Parquet ({alone}); "
                            "allowed: --out FILE.jsonl"
                        )
                raise InputError(
                    f"--out {self}: column {name!r} does not fit Parquet ({why}); allowed: --out FILE.jsonl, which "
                    "keeps rows as they are"
                )
            columns[name] = pa.array(values, types.get(name))
        pq.write_table(pa.table(columns), draft)

    def _cell(self, place: str, column: str, value: Any) -> Any:
        """A value of a row as JSON has it."""
        if value is None or isinstance(value, str | bool | int):
            return value
        try:
            return _plain(value, 0)
        except ValueError as error:
            raise InputError(
                f"{place}: column {column!r} is {shown(value)}: {error}, which {self.path.suffix} cannot hold; "
                "allowed: --out FILE.parquet, or a file without this column"
            ) from None

    def _field(self, place: str, column: str, value: Any) -> Any:
        """A value of a row as CSV has it."""
        if isinstance(value, float) and math.isinf(value):
            return str(value)
        found = self._cell(place, column, value)
        text = json.dumps(found, ensure_ascii=False) if isinstance(found, list | dict) else found
        if isinstance(text, str) and not row_values.is_text(text):
            raise InputError(
                f"{place}: column {column!r} is {shown(value)}: half a surrogate pair, which {self.path.suffix} cannot "
                "hold; allowed: --out FILE.jsonl"
            )
        return text


def _types(source: Path) -> Iterator[tuple[str, pa.DataType]]:
    """The types of a Parquet file's columns; what is stored as a dictionary comes as its values."""
    for field in pq.read_schema(source):
        yield field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type


def _misfit(name: str, values: list[Any], type: pa.DataType | None) -> str:
    """Why values are no column of Parquet; empty where they are."""
    try:
        pq.write_table(pa.table({name: pa.array(values, type)}), pa.BufferOutputStream())
    except (pa.ArrowException, OverflowError, UnicodeError, RecursionError, TypeError, ValueError) as error:
        return str(error).partition("\n")[0] or error.__class__.__name__
    return ""


def _plain(value: Any, depth: int) -> Any:
    """A value as JSON has it: NaN as null, times as ISO 8601 has them, decimals as text in all their digits.

    Raises:
        ValueError: JSON has no such thing; says what it is.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if depth > DEEPEST:
        raise ValueError("more lists and objects inside one another than are written")
    if isinstance(value, dict):
        return {_name(name): _plain(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, depth + 1) for inner in value]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Decimal | uuid.UUID):
        return str(value)
    if isinstance(value, float) or hasattr(value, "__float__"):  # numpy's numbers too
        number = float(value)
        if math.isinf(number):
            raise ValueError("infinity")
        return None if math.isnan(number) else number
    raise ValueError(f"a value of the type {type(value).__name__}")


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"an object with the name {shown(name)}")
    return name
