"""What each row of an artifact was made of: a digest of its input row, by which other artifacts take rows over.

    input_rows.parquet    `input` (16 bytes), `first` and `rows` (which output rows were made of it), in the source's
                          order

The file is no part of what the artifact holds (`tasks.storage.manifest.BESIDE`).
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.storage.rows import BATCH, Row, Rows

FILE = "input_rows.parquet"


class OutputRows(NamedTuple):
    """Where in an artifact the rows lie that were made of one input row."""

    first: int
    rows: int


def digest(row: Row) -> bytes:
    """16 bytes that tell an input row from every other: of all its columns and values, by name."""
    said = json.dumps(row, sort_keys=True, ensure_ascii=False, default=repr)
    return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def digests(source: Rows) -> Iterator[bytes]:
    """Digests of all rows, in their order."""
    for batch in source.batches():
        yield from map(digest, batch.to_pylist())


def write(folder: Path, source: Rows, rows_of_each: np.ndarray) -> None:
    """Write the file of an artifact.

    Args:
        rows_of_each: how many output rows each source row has, (source rows,).
    """
    first = np.concatenate([[0], np.cumsum(rows_of_each)[:-1]]).astype(np.int64)
    found = pa.array(list(digests(source)), pa.binary(16))
    table = pa.table({"input": found, "first": first, "rows": rows_of_each.astype(np.int32)})
    pq.write_table(table, folder / FILE)


def read(path: Path) -> dict[bytes, OutputRows]:
    """Where the output rows of each input row lie; of input rows that are alike, those of the first."""
    found: dict[bytes, OutputRows] = {}
    for batch in pq.ParquetFile(path).iter_batches(BATCH):
        for given, first, rows in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            found.setdefault(given, OutputRows(first, rows))
    return found
