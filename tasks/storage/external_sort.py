"""External merge sort: rows that were finished in any order, back in the order of their source.

A run is a file of rows sorted by `POSITION`, the position of the source row that each was made of. Runs are merged by
windows of positions; only those that overlap a window are open. Where more runs overlap than may be open at once, some
of them are merged into longer runs first, so that memory does not depend on the order.

Not DuckDB or Polars, measured on selection from 2 million rows (400 MB): 1.6 s and 0.6 s in place of 2.5 s, but 730 MiB
(its limit set to 600) and 455 MiB in place of 225, and bytes that change with their version.
"""

import contextlib
import heapq
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.storage.rows import RowFile, open_parquet

POSITION = "__position__"
"""The column of a run that says the source row, counted from 0, that each row was made of."""
WINDOW = 8192
"""Rows merged at a time, about."""
RUN_GROUP = 2048
"""Rows of an open run that are in memory."""
MOST_OPEN = 16
"""Runs that may be open at once."""


@dataclass(frozen=True)
class Run:
    """A file of rows sorted by position, with its first and last position."""

    path: Path
    first: int
    last: int
    rows: int

    @classmethod
    def read(cls, path: Path) -> "Run":
        """A run from its file's footer.

        Raises:
            pa.ArrowInvalid, KeyError: the file is damaged, or is no run.
        """
        metadata = pq.read_metadata(path)
        ends: list[int] = []
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            for leaf in range(group.num_columns):
                if (column := group.column(leaf)).path_in_schema == POSITION:
                    ends += [column.statistics.min, column.statistics.max]
        if not ends:
            raise KeyError(POSITION)
        return cls(path, min(ends), max(ends), metadata.num_rows)


def write_run(path: Path, table: pa.Table, positions: Sequence[int]) -> None:
    """Write rows, each with its position, as a run; rows of one position stay in their order."""
    column = np.asarray(positions, dtype=np.int64)
    order = np.argsort(column, kind="stable")
    table = table.append_column(POSITION, pa.array(column))
    if (order[1:] < order[:-1]).any():
        table = table.take(pa.array(order))
    pq.write_table(table, path, row_group_size=RUN_GROUP)


def merged(runs: Sequence[Run], scratch: Path, once: bool = True) -> Iterator[pa.Table]:
    """The rows of all runs by position, with `POSITION`; among those of one position, the first run's come first.

    Args:
        scratch: a folder for longer runs, if any are needed; removed at the end.
        once: where several runs hold a position, take the first run's rows only.
    """
    try:
        level = 0
        while _depth(runs) > MOST_OPEN:
            level += 1
            runs = [
                _one_run(runs[start : start + MOST_OPEN], scratch / f"{level}-{start:06d}.parquet", once)
                for start in range(0, len(runs), MOST_OPEN)
            ]
        yield from _merged(runs, once)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def schema_of(runs: Sequence[Run]) -> pa.Schema:
    """The columns of all runs with types that hold all their values, by name, without `POSITION`."""
    distinct: dict[str, pa.Schema] = {}
    for run in runs:
        schema = pq.read_schema(run.path).remove_metadata()
        distinct.setdefault(str(schema), schema)
    unified = pa.unify_schemas(list(distinct.values()), promote_options="permissive")
    return pa.schema([unified.field(name) for name in sorted(unified.names) if name != POSITION])


def _depth(runs: Sequence[Run]) -> int:
    """The largest number of runs that share a position."""
    ends: list[int] = []
    deepest = 0
    for run in sorted(runs, key=lambda run: run.first):
        while ends and ends[0] < run.first:
            heapq.heappop(ends)
        heapq.heappush(ends, run.last)
        deepest = max(deepest, len(ends))
    return deepest


def _one_run(runs: Sequence[Run], path: Path, once: bool) -> Run:
    if len(runs) == 1:
        return runs[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    with RowFile(path, group=RUN_GROUP) as file:
        for table in _merged(runs, once):
            file.add(table)
    return Run.read(path)


class _Reader:
    """A run that is being read from its beginning."""

    def __init__(self, run: Run) -> None:
        self._file = open_parquet(run.path)
        self._batches = self._file.iter_batches(RUN_GROUP)
        self._rest: pa.RecordBatch | None = next(self._batches, None)

    def below(self, end: int) -> tuple[list[pa.Table], bool]:
        """The next rows with positions below `end`, and whether there are more after them."""
        below: list[pa.Table] = []
        while self._rest is not None:
            cut = int(np.searchsorted(_positions(self._rest), end))
            if cut:
                below.append(pa.Table.from_batches([self._rest.slice(0, cut)]))
            if cut < self._rest.num_rows:
                self._rest = self._rest.slice(cut)
                return below, True
            self._rest = next(self._batches, None)
        return below, False

    def close(self) -> None:
        self._file.close()


def _merged(runs: Sequence[Run], once: bool) -> Iterator[pa.Table]:
    if not runs:
        return
    first, last = min(run.first for run in runs), max(run.last for run in runs)
    step = max(1, WINDOW * (last - first + 1) // sum(run.rows for run in runs))
    waiting = sorted(enumerate(runs), key=lambda numbered: numbered[1].first, reverse=True)
    with contextlib.ExitStack() as stack:
        reading: dict[int, _Reader] = {}
        start = first
        while waiting or reading:
            if not reading:
                start = max(start, waiting[-1][1].first)
            end = start + step
            while waiting and waiting[-1][1].first < end:
                number, run = waiting.pop()
                reading[number] = stack.enter_context(contextlib.closing(_Reader(run)))
            pieces = []
            for number in sorted(reading):
                tables, more = reading[number].below(end)
                if tables:
                    pieces.append(tables[0] if len(tables) == 1 else _joined(tables))
                if not more:
                    reading.pop(number).close()
            if pieces:
                yield _window(pieces, once)
            start = end


def _window(pieces: list[pa.Table], once: bool) -> pa.Table:
    """Rows of several runs, sorted by position."""
    if len(pieces) == 1:
        return pieces[0]
    places = [_positions(piece) for piece in pieces]
    distinct = [np.unique(place) for place in places]
    if once and len(np.unique(np.concatenate(distinct))) < sum(map(len, distinct)):
        seen = distinct[0]
        for number in range(1, len(pieces)):
            new = ~np.isin(places[number], seen)
            pieces[number], places[number] = pieces[number].filter(pa.array(new)), places[number][new]
            seen = np.union1d(seen, distinct[number])
    order = np.argsort(np.concatenate(places), kind="stable")
    return _joined(pieces).take(pa.array(order))


def _joined(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables, promote_options="permissive")


def _positions(rows: pa.Table | pa.RecordBatch) -> np.ndarray:
    return np.asarray(rows.column(POSITION))
