"""A user's table: JSONL, CSV or Parquet, read row by row, with errors that name the row and the column.

Rows are numbered from 1; the header of a CSV file is not counted. Text is UTF-8, with or without a byte-order mark.
JSONL may be compressed (`.jsonl.gz`). A JSON document of another shape is a table where a function gives its rows.
Nothing is guessed: a row that is not whole is an error, never skipped.
"""

import codecs
import csv
import gzip
import os
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from data import allowed_paths, variables
from data.csv_dialect import LONGEST_FIELD, PLAIN, Dialect
from data.errors import InputError, shown
from data.row_values import Row, is_text, kind, value
from data.strict_json import parsed

Document = Callable[[Any], Iterable[Row]]
"""The rows of a JSON document: a top-level function, which raises ValueError where the document is of another shape."""

SUFFIXES = (".jsonl", ".csv", ".parquet", ".jsonl.gz")
DOCUMENTS = (".json", ".json.gz")


@dataclass(frozen=True)
class TableFile:
    """A table on disk. Iterating it gives its rows one after the other; `document` those of a JSON document.

    With a `dialect` it is a CSV file that is written so, whatever its name ends in.
    """

    path: Path
    document: Document | None = None
    dialect: Dialect | None = None

    def __str__(self) -> str:
        folder = Path.cwd()
        if self.path.is_relative_to(folder):
            return str(self.path.relative_to(folder))
        return variables.as_written(self.path)

    def __iter__(self) -> Iterator[tuple[str, Row]]:
        """Rows with their places (`file.jsonl, row 17`), for what is said of them.

        Raises:
            InputError: there is no such file, its format is another, it has no rows, or a row is broken.
        """
        self.exists()
        number, name = 0, str(self)
        reader = _csv if self.dialect is not None else _READERS[suffix(self.path)]
        for number, row in reader(self):
            yield f"{name}, row {number}", row
        if not number:
            raise InputError(f"{self}: has no rows")

    def place(self, number: int) -> str:
        return f"{self}, row {number}"

    def exists(self) -> None:
        """Raises InputError unless this is a file of a known format."""
        allowed = SUFFIXES if self.document is None else (*DOCUMENTS, *SUFFIXES)
        if self.dialect is None and suffix(self.path) not in allowed:
            raise InputError(f"{self}: not a format that can be read. Allowed: {', '.join(allowed)}")
        self.found()

    def found(self) -> None:
        """Raises InputError unless this is a file."""
        if not self.path.is_file():
            what = "a folder, not a file" if self.path.is_dir() else "there is no such file"
            raise InputError(f"{self}: {what}")

    def check(self, columns: Collection[str]) -> None:
        """Raises InputError unless the file can be read and its first row has the columns."""
        self.first(columns)

    def first(self, columns: Collection[str]) -> tuple[str, Row]:
        """The first row with its place.

        Raises:
            InputError: the file cannot be read, or the row lacks one of the columns.
        """
        place, row = next(iter(self))
        for column in columns:
            value(place, row, column)
        return place, row


def suffix(path: Path) -> str:
    """What a file's name says of its format: its last suffix, with the one before where that is `.gz`."""
    return "".join(path.suffixes[-2:] if path.suffix.lower() == ".gz" else path.suffixes[-1:]).lower()


def locate(path: str, roots: Sequence[Path], where: str = "") -> Path:
    """The first file or folder that a path leads to from one of the folders; an absolute path leads where it says.

    Args:
        where: the path's place in the study file, for errors.

    Raises:
        InputError: none of them has it, or it lies where a study may not read; see `data.allowed_paths`.
    """
    for found in allowed_paths.inside(path, roots, where):
        if os.path.exists(found):  # a name that is too long is no file's
            return found
    looked = ", ".join(str(root) for root in roots)
    raise InputError(f"{f'{where}: ' if where else ''}{path}: there is no such file (looked from {looked or 'here'})")


def _fail(table: TableFile, number: int, why: str) -> NoReturn:
    raise InputError(f"{table.place(number)}: {why}")


def _lines(table: TableFile) -> Iterator[tuple[int, bytes]]:
    read = gzip.open if table.path.suffix.lower() == ".gz" else open
    with read(table.path, "rb") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if number == 1:
                    _check_encoding(table, line)
                yield number, line
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(f"{table}: cannot be read as gzip: {error}") from error


def _check_encoding(table: TableFile, start: bytes) -> None:
    """Raises InputError at UTF-16 and UTF-32, known by their byte-order marks or the zeros in their first letters."""
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)  # UTF-32's other one begins as UTF-16's
    if start.startswith(marks) or b"\0" in start[:4]:
        raise InputError(f"{table}: is not UTF-8: it begins as UTF-16 or UTF-32 does. Allowed: save it as UTF-8")


def _json(table: TableFile) -> Iterator[tuple[int, Row]]:
    assert table.document is not None
    shape = f"{table.document.__module__}.{table.document.__qualname__}"
    try:
        content = parsed(b"".join(line for _, line in _lines(table)).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{table}: is not UTF-8 (byte {error.start + 1})") from error
    except ValueError as error:
        raise InputError(f"{table}: {error}") from error
    try:
        rows = list(table.document(content))
    except KeyError as error:
        raise InputError(f"{table}: has no key {error} where {shape} looks for it") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{table}: is no document that {shape} can read: {error}") from error
    yield from enumerate(rows, start=1)


def _jsonl(table: TableFile) -> Iterator[tuple[int, Row]]:
    blank = 0
    for number, line in _lines(table):
        if not line.strip():
            blank = blank or number
            continue
        if blank:
            _fail(table, blank, "is empty")
        try:
            row = parsed(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            _fail(table, number, f"is not UTF-8 (byte {error.start + 1} of the line)")
        except ValueError as error:
            _fail(table, number, str(error))
        if not isinstance(row, dict):
            _fail(table, number, f"is {kind(row)}; allowed: one JSON object a line, with a key a column")
        yield number, row


def _csv(table: TableFile) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(LONGEST_FIELD)
    dialect = table.dialect or PLAIN
    if table.dialect is None:
        with table.path.open("rb") as start:
            _check_encoding(table, start.read(4))
    # Bytes that are no UTF-8 become surrogates here, and are reported with their row and column.
    with table.path.open(encoding=dialect.encoding, errors="surrogateescape", newline="") as file:
        for _ in range(dialect.before):
            next(file)
        reader = csv.reader(file, delimiter=dialect.separator, strict=True)
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
                    _fail(table, number, what)
                row = dict(zip(header, fields, strict=True))
                row.pop("", None)
                if wrong := [(name, text) for name, text in zip(header, fields, strict=True) if not is_text(text)]:
                    column, text = wrong[0]
                    given = text.encode("utf-8", "surrogateescape")
                    _fail(table, number, f"column {column!r} is not UTF-8: {shown(given)}; allowed: save it as UTF-8")
                yield number, row
        except csv.Error as error:
            _fail(table, number + 1, f"is not valid CSV: {error} (line {reader.line_num})")


def _check_header(table: TableFile, header: list[str]) -> None:
    """A first column without a name is the index that pandas writes, and no column of the table."""
    if not header:
        return
    header = header[1:] if header[0] == "" else header
    if wrong := [name for name in header if not is_text(name)]:
        given = wrong[0].encode("utf-8", "surrogateescape")
        raise InputError(f"{table}: the header is not UTF-8: {shown(given)}; allowed: save it as UTF-8")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or "" in header:
        what = f"names {twice[0]!r} twice" if twice and twice[0] else "has a column without a name"
        raise InputError(f"{table}: the header {what}")
    if table.dialect is None and len(header) == 1 and (found := [sign for sign in ";\t|" if sign in header[0]]):
        raise InputError(f"{table}: columns are separated by {found[0]!r}; allowed: commas, as `init` rewrites it")


def _parquet_of_digits(table: TableFile) -> Iterator[tuple[int, Row]]:
    """Parquet rows in which a float of 16 or 32 bits is what its digits say: 18.6, not 18.600000381469727."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    single: dict[str, type[np.floating[Any]]] | None = None
    for number, row in _parquet(table):
        if single is None:
            types: dict[pa.DataType, type[np.floating[Any]]] = {pa.float32(): np.float32, pa.float16(): np.float16}
            single = {field.name: types[field.type] for field in pq.read_schema(table.path) if field.type in types}
        for name, made in single.items():
            if row[name] is not None:
                row[name] = float(str(made(row[name])))
        yield number, row


def _parquet(table: TableFile) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(table.path, pre_buffer=False, buffer_size=1 << 18) as file:  # no whole row group at once
            names = file.schema_arrow.names
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise InputError(f"{table}: names the column {twice[0]!r} twice")
            for batch in file.iter_batches(4096):
                for row in _values(table, batch, number):
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{table}: cannot be read as Parquet: {str(error).splitlines()[0]}") from error


def _values(table: TableFile, batch: Any, before: int) -> list[Row]:
    """A batch's rows as Python has them; `before` it there are so many rows."""
    try:
        rows: list[Row] = batch.to_pylist()
        return rows
    except (ValueError, OverflowError, LookupError):  # no UTF-8, a date beyond Python's, an unknown time zone
        for number in range(batch.num_rows):
            for name in batch.schema.names:
                try:
                    batch.column(name)[number].as_py()
                except (ValueError, OverflowError, LookupError) as error:
                    what = f"column {name!r} holds what cannot be read ({batch.schema.field(name).type}): {error}"
                    _fail(table, before + number + 1, what)
        raise


_READERS = {
    ".jsonl": _jsonl,
    ".jsonl.gz": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet_of_digits,
    ".json": _json,
    ".json.gz": _json,
}
