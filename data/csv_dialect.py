"""How somebody's CSV file is written: its encoding, and what separates its columns, as Excel and others leave them.

Studies read comma-separated UTF-8 alone (`data.table_file`); what is guessed here is for files that are written anew.
"""

import codecs
import csv
import io
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from data.errors import InputError

SEPARATORS = ",;\t|"
LOOKED_AT = 1000
"""Rows by which the separator is found."""
LONGEST_FIELD = 64 * 1024 * 1024
"""Characters one field may have; a quote that is never closed stops here."""
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LEGACY = "cp1252"
"""What Excel writes in Western Europe and America where it is not told to write UTF-8."""


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written."""

    encoding: str = "utf-8-sig"
    separator: str = ","
    before: int = 0
    """Lines before the header: Excel's `sep=;`."""

    def __str__(self) -> str:
        encoding = {"utf-8-sig": "UTF-8", LEGACY: "Windows-1252"}.get(self.encoding, self.encoding)
        return f"{encoding}, columns separated by {self.separator!r}"


PLAIN = Dialect()


def dialect_of(path: Path, encoding: str | None = None) -> Dialect:
    """How a file is written, found by looking at it.

    Args:
        encoding: what it is; None: UTF-8, what a byte-order mark says, or else Windows-1252.

    Raises:
        InputError: it is none of these, or not what `encoding` says.
    """
    content = path.read_bytes()
    encoding = encoding or _encoding(path, content)
    try:
        text = content.decode(encoding)
    except LookupError:
        raise InputError(f"--encoding {encoding}: no encoding is called so; allowed: such as utf-8 or cp1252") from None
    except UnicodeError as error:
        raise InputError(
            f"{path}: is not {encoding} ({error}); allowed: --encoding NAME, or save it as UTF-8"
        ) from None
    if stated := re.match(r'"?sep=(.)"?\r?\n', text, re.IGNORECASE):
        return Dialect(encoding, stated[1], before=1)
    return Dialect(encoding, _separator(text))


def _encoding(path: Path, content: bytes) -> str:
    for mark, name in MARKS:
        if content.startswith(mark):
            return name
    if b"\0" in content[:4]:
        raise InputError(
            f"{path}: begins as UTF-16 or UTF-32 without a mark does; allowed: --encoding utf-16-le, or so"
        )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return LEGACY
    return "utf-8-sig"


def _separator(text: str) -> str:
    """The one by which most columns come out, the same number in every row; a comma where none does."""
    columns = {each: _columns(text, each) for each in SEPARATORS}
    best = max(SEPARATORS, key=lambda each: columns[each])
    return best if columns[best] > 1 else ","


def _columns(text: str, separator: str) -> int:
    csv.field_size_limit(LONGEST_FIELD)
    try:
        rows = itertools.islice(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), LOOKED_AT)
        counts = {len(row) for row in rows if row}
    except csv.Error:
        return 0
    return counts.pop() if len(counts) == 1 else 0
