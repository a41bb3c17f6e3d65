"""Rows on their way through the chain: Parquet files read as plain dictionaries."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]


class Rows(Sequence[Row]):
    """A sequence of rows, held in memory (`Rows.of`) or read from Parquet files when first needed.

    Iterating a file-backed sequence reads it in batches, so that memory stays flat.
    """

    def __init__(self, paths: Sequence[Path] = (), table: pa.Table | None = None) -> None:
        self._paths = tuple(paths)
        self._table = table

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Rows":
        """Rows held in memory."""
        return cls(table=to_table(list(rows)))

    @property
    def table(self) -> pa.Table:
        if self._table is None:
            tables = [pq.read_table(path) for path in self._paths]
            self._table = pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
        return self._table

    @property
    def columns(self) -> list[str]:
        if self._table is not None:
            return list(self._table.column_names)
        return list(pq.read_schema(self._paths[0]).names) if self._paths else []

    def frame(self) -> Any:
        """The rows as a pandas DataFrame."""
        return self.table.to_pandas()

    def column(self, name: str) -> list[Any]:
        """One column's values, without reading the others."""
        if self._table is not None:
            return self._table.column(name).to_pylist()
        return [value for path in self._paths for value in pq.read_table(path, columns=[name]).column(name).to_pylist()]

    def __len__(self) -> int:
        if self._table is not None:
            return self._table.num_rows
        return sum(pq.read_metadata(path).num_rows for path in self._paths)

    def __iter__(self) -> Iterator[Row]:
        if self._table is not None:
            for batch in self._table.to_batches(4096):
                yield from batch.to_pylist()
            return
        for path in self._paths:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(4096):
                    yield from batch.to_pylist()

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "Rows": ...
    def __getitem__(self, index: int | slice) -> "Row | Rows":
        if isinstance(index, slice):
            start, stop, step = index.indices(self.table.num_rows)
            return Rows(table=self.table.take(list(range(start, stop, step))))
        return self.table.slice(index % max(1, self.table.num_rows), 1).to_pylist()[0]


def to_table(rows: Sequence[Row]) -> pa.Table:
    """Rows as an Arrow table with the union of their columns, in order of first appearance."""
    columns: dict[str, None] = {}
    for row in rows:
        columns.update(dict.fromkeys(row))
    return pa.table({name: [row.get(name) for row in rows] for name in columns})
