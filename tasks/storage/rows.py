"""Rows: Parquet files read as plain dictionaries, and written as they come."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]

BATCH = 4096
"""Rows read at a time."""
GROUP = 8192
"""Rows of a row group in a file of rows: what is in memory while one is written."""


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
        """All rows, in memory from here on."""
        if self._table is None:
            self._table = self._whole()
        return self._table

    @property
    def columns(self) -> list[str]:
        return list(self.schema.names)

    @property
    def schema(self) -> pa.Schema:
        """The columns with their types; of several files, those of the first."""
        if self._table is not None:
            return self._table.schema
        return pq.read_schema(self._paths[0]).remove_metadata() if self._paths else pa.schema([])

    def batches(self, columns: Sequence[str] | None = None, start: int = 0) -> Iterator[pa.RecordBatch]:
        """The rows in order, a few thousand at a time.

        Args:
            columns: those that are wanted (None: all).
            start: rows skipped at the beginning; row groups that lie before it are not read.
        """
        if self._table is not None:
            table = self._table if columns is None else self._table.select(list(columns))
            yield from table.slice(start).to_batches(BATCH)
            return
        for path in self._paths:
            with contextlib.closing(open_parquet(path)) as file:
                groups: list[int] = []
                for group in range(file.num_row_groups):
                    size = file.metadata.row_group(group).num_rows
                    if groups or start < size:
                        groups.append(group)
                    else:
                        start -= size
                if not groups:
                    continue
                for batch in file.iter_batches(BATCH, row_groups=groups, columns=columns):
                    if start < batch.num_rows:
                        yield batch.slice(start)
                    start = max(0, start - batch.num_rows)

    def frame(self) -> Any:
        """The rows as a pandas DataFrame."""
        return self.table.to_pandas()

    def column(self, name: str) -> list[Any]:
        """One column's values, without reading the others."""
        return [value for batch in self.batches([name]) for value in batch.column(name).to_pylist()]

    def __len__(self) -> int:
        if self._table is not None:
            return self._table.num_rows
        return sum(pq.read_metadata(path).num_rows for path in self._paths)

    def __iter__(self) -> Iterator[Row]:
        for batch in self.batches():
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

    def _whole(self) -> pa.Table:
        tables = [pq.read_table(path) for path in self._paths]
        return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})


class Streamed(Rows):
    """Rows that are computed batch by batch each time they are read."""

    def __init__(self, schema: pa.Schema, length: int, make: Callable[[], Iterable[pa.RecordBatch | pa.Table]]) -> None:
        super().__init__()
        self._schema = schema
        self._length = length
        self._make = make

    @classmethod
    def lines(cls, schema: pa.Schema, length: int, rows: Callable[[], Iterable[Row]]) -> "Streamed":
        """Rows that are computed one by one."""
        return cls(schema, length, lambda: in_tables(rows(), BATCH))

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def batches(self, columns: Sequence[str] | None = None, start: int = 0) -> Iterator[pa.RecordBatch]:
        for made in self._make():
            chunk = made if columns is None else made.select(list(columns))
            if start < chunk.num_rows:
                rest = chunk.slice(start)
                yield from rest.to_batches() if isinstance(rest, pa.Table) else [rest]
            start = max(0, start - chunk.num_rows)

    def __len__(self) -> int:
        return self._length

    def _whole(self) -> pa.Table:
        tables = [pa.Table.from_batches([batch]) for batch in self.batches()]
        return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})


class RowFile:
    """Writes rows into a Parquet file as they come. Its bytes depend on the rows alone, not on how they came in.

    A column may change its type (null in the first rows, text later): what was written is then rewritten with the
    wider type.

    Raises:
        pa.ArrowException: no one type of column can hold all of a column's values.
    """

    def __init__(self, path: Path, schema: pa.Schema | None = None, group: int = GROUP) -> None:
        self.rows = 0
        self._path = path
        self._schema = schema
        self._group = group
        self._waiting: list[pa.Table] = []
        self._count = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "RowFile":
        return self

    def __exit__(self, kind: Any, *error: Any) -> None:
        """Complete the file; after an error, leave it as it is."""
        if kind is None and (self._count or self._writer is None):
            self._write(self._together())
        if self._writer is not None:
            self._writer.close()

    def add(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Write rows after those before; row groups of `group` rows are written as they fill."""
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        self._waiting.append(table)
        self._count += table.num_rows
        if self._count < self._group:
            return
        whole = self._together()
        full = whole.num_rows - whole.num_rows % self._group
        for start in range(0, full, self._group):
            self._write(whole.slice(start, self._group))
        self._waiting = [whole.slice(full)]
        self._count = whole.num_rows - full

    def _together(self) -> pa.Table:
        tables = [] if self._schema is None else [self._schema.empty_table()]
        tables += self._waiting
        return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})

    def _write(self, table: pa.Table) -> None:
        table = table.replace_schema_metadata(None)
        if self._schema is None or self._writer is None:
            self._schema = table.schema
            self._writer = pq.ParquetWriter(self._path, self._schema)
        elif table.schema != self._schema:
            self._widen(table.schema)
        # Contiguous columns: pages would otherwise end where the chunks do.
        self._writer.write_table(table.combine_chunks(), row_group_size=self._group)
        self.rows += table.num_rows

    def _widen(self, schema: pa.Schema) -> None:
        assert self._writer is not None
        self._writer.close()
        before = self._path.with_name(f".{self._path.name}.narrow")
        self._path.replace(before)
        self._schema = schema
        self._writer = pq.ParquetWriter(self._path, schema)
        with contextlib.closing(open_parquet(before)) as file:
            for group in range(file.num_row_groups):
                narrow = file.read_row_group(group)
                wide = pa.concat_tables([schema.empty_table(), narrow], promote_options="permissive")
                self._writer.write_table(wide.combine_chunks(), row_group_size=self._group)
        before.unlink()


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file to read it batch by batch, without buffering whole columns of a row group."""
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 18)


def to_table(rows: Sequence[Row]) -> pa.Table:
    """Rows as an Arrow table with the union of their columns, in order of first appearance."""
    columns: dict[str, None] = {}
    for row in rows:
        columns.update(dict.fromkeys(row))
    return pa.table({name: [row.get(name) for row in rows] for name in columns})


def with_columns(schema: pa.Schema, added: Mapping[str, pa.DataType]) -> pa.Schema:
    """A schema with more columns, or with other types of those it has."""
    types = {field.name: field.type for field in schema} | dict(added)
    return pa.schema(list(types.items()))


def in_tables(rows: Iterable[Row], size: int = GROUP) -> Iterator[pa.Table]:
    """Rows as Arrow tables of `size` rows."""
    waiting: list[Row] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == size:
            yield to_table(waiting)
            waiting = []
    if waiting:
        yield to_table(waiting)
