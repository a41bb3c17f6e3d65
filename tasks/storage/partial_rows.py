"""Row-level resume: finished rows are written to part files as they come, and sorted once all are finished."""

import json
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.resources.errors import StageFailed
from tasks.storage import input_rows
from tasks.storage.external_sort import POSITION, Run, merged, schema_of, write_run
from tasks.storage.rows import Row, RowFile, Rows, to_table

FLUSH_ROWS = 256
FLUSH_SECONDS = 10.0
MOST_ROWS = 8192
"""The most finished rows in memory."""

Unit = object


class PartialRows:
    """The finished rows of an unfinished artifact.

    A unit is one row of the stage's first input, known by its `id` (and `sample`, where the input has one). A unit's
    output rows are written together, so that a unit is finished or not begun. Each part file holds the positions of the
    source rows that its rows were made of; the finished ones are a bitmap.

    Args:
        folder: the artifact's.
        source: all rows of the stage's first input.
        span: the positions in the source, from and to, that this process makes (None: all).
        name: prefix of this process's files, so that several may write into one folder at once.
        keep: called with each file that was written.
    """

    def __init__(
        self,
        folder: Path,
        source: Rows,
        span: tuple[int, int] | None = None,
        name: str = "",
        keep: Callable[[Path], None] = lambda path: None,
    ) -> None:
        self._folder = folder / "parts"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._source = source
        self._columns = ["id", "sample"] if "sample" in source.columns else ["id"]
        self._total = len(source)
        self.span = span or (0, self._total)
        self._name = name
        self._keep = keep
        self._buffer: list[Row] = []
        self._positions: list[int] = []
        self._flushed = time.monotonic()
        self._runs: list[Run] = []
        self._done = np.zeros(self._total, dtype=bool)
        self._known: dict[int, list[Row]] = {}
        """Samples of unfinished rows that another artifact has, by position."""
        self._handed_out: dict[Unit, list[int]] = {}
        self._all_handed_out = False
        self._next = 0
        own_part = re.compile(rf"{re.escape(name)}(\d+)")
        for path in sorted(self._folder.glob("*.parquet")):
            if number := own_part.fullmatch(path.stem):
                self._next = max(self._next, int(number[1]) + 1)
            try:
                self._load_run(path)
            except (pa.ArrowException, KeyError, IndexError, OSError):
                warnings.warn(f"{path} cannot be read: its rows are made again", stacklevel=2)
                path.unlink(missing_ok=True)
        self.units = int(self._done[slice(*self.span)].sum())
        """How many source rows of this span are finished."""

    def _load_run(self, path: Path) -> None:
        run = Run.read(path)
        if run.first < self.span[1] and run.last >= self.span[0]:
            self._done[np.asarray(pq.read_table(path, columns=[POSITION]).column(POSITION))] = True
        self._runs.append(run)

    def pending(self) -> "PendingRows":
        """The source rows that are not finished."""
        return PendingRows(self)

    def add(self, output: Row | list[Row]) -> None:
        """Keep one unit's output.

        Raises:
            StageFailed: it is empty, or of a unit that was not asked for or is finished.
        """
        rows = output if isinstance(output, list) else [output]
        if not rows:
            raise StageFailed("a stage yielded an empty list of rows for one of its input rows")
        position = self._position_of(self._unit(rows[0]))
        rows = [*self._known.pop(position, []), *rows]
        if len(rows) > 1 and "sample" in rows[0]:
            rows = sorted(rows, key=lambda row: row["sample"])
        self._buffer.extend(rows)
        self._positions.extend([position] * len(rows))
        self._done[position] = True
        self.units += 1
        waited, count = time.monotonic() - self._flushed, len(self._buffer)
        if waited >= FLUSH_SECONDS or (count >= FLUSH_ROWS and waited >= 1) or count >= MOST_ROWS:
            self.flush()

    def take(self, rows: pa.Table, positions: Sequence[int]) -> None:
        """Keep rows that another artifact has, all that were made of each source row at these positions."""
        # As if they had just been made: rows of which a column holds nothing say nothing of its type.
        columns = dict(zip(rows.column_names, rows.columns, strict=True))
        empty = {name: pa.nulls(len(rows)) for name, column in columns.items() if column.null_count == len(rows)}
        self._write(pa.table(columns | empty), positions)
        taken = np.unique(np.asarray(positions))
        self.units += int((~self._done[taken]).sum())
        self._done[taken] = True

    def know(self, position: int, rows: list[Row]) -> None:
        """Remember samples of an unfinished source row that need not be drawn again; `add` puts the others to them."""
        if len(rows) > len(self._known.get(position, [])):
            self._known[position] = rows

    def missing_samples(self, row: Row, n: int) -> list[int]:
        """Which of a source row's `n` samples are to be drawn; of rows that were handed out."""
        (position, *more) = self._handed_out.get(self._unit(row), [-1])
        known = [] if more else self._known.get(position, [])
        have = {one["sample"] for one in known}
        return [number for number in range(n) if number not in have]

    def flush(self) -> None:
        """Write the rows in memory to a part file."""
        if self._buffer:
            self._write(to_table(self._buffer), self._positions)
            self._buffer, self._positions = [], []
        self._flushed = time.monotonic()

    def _write(self, rows: pa.Table, positions: Sequence[int]) -> None:
        path = self._folder / f"{self._name}{self._next:06d}.parquet"
        draft = path.with_suffix(".draft")
        write_run(draft, rows, positions)
        _to_disk(draft, path)
        self._next += 1
        self._runs.append(Run.read(path))
        self._keep(path)

    def save_facts(self, facts: dict[str, Any]) -> None:
        """Save the facts of this share of the rows for the process that merges all shares."""
        path = self._facts_file
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(facts), encoding="utf-8")
        _to_disk(draft, path)
        self._keep(path)

    @property
    def has_saved_facts(self) -> bool:
        """Whether this share was finished before."""
        return self._facts_file.exists()

    @property
    def _facts_file(self) -> Path:
        return self._folder / f"{self._name}facts.json"

    def saved_facts(self) -> list[dict[str, Any]]:
        """The saved facts of all shares; a file that cannot be read is left out."""
        facts = []
        for path in sorted(self._folder.glob("*facts.json")):
            try:
                facts.append(dict(json.loads(path.read_text(encoding="utf-8"))))
            except ValueError:
                continue
        return facts

    def finish(self, run_name: str) -> int:
        """Write `rows.parquet` in the order of the source, so that neither speed nor resuming changes a byte; and
        beside it what each row was made of.

        Raises:
            StageFailed: units are missing, or there were none.
        """
        self.flush()
        if not self._total:
            raise StageFailed(f"{run_name} left out all: it had no rows")
        missing = np.flatnonzero(~self._done)
        if len(missing):
            first = tuple(next(self._source.batches(self._columns, int(missing[0]))).to_pylist()[0].values())
            raise StageFailed(f"{run_name} left out {len(missing)} of {self._total} rows, the first being {first}")
        units, last = 0, -1
        rows_of_each = np.zeros(self._total, dtype=np.int32)
        with RowFile(self._folder.parent / "rows.parquet", schema_of(self._runs)) as file:
            for table in merged(self._runs, self._folder / "longer"):
                positions = np.asarray(table.column(POSITION))
                places, counts = np.unique(positions, return_counts=True)
                rows_of_each[places] += counts.astype(np.int32)
                units += len(places) - (places[0] == last)
                last = places[-1]
                file.add(table.drop_columns([POSITION]))
        if units != self._total:
            raise StageFailed(f"{run_name}: its kept parts hold {units} rows' output where {self._total} were made")
        input_rows.write(self._folder.parent, self._source, rows_of_each)
        return file.rows

    def unfinished(self) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """The source rows that are not finished now, in order, with their positions, a few thousand at a time."""
        start, stop = self.span
        unfinished = ~self._done[start:stop]
        if not unfinished.any():
            return
        position = start + int(unfinished.argmax())
        for batch in self._source.batches(start=position):
            if position >= stop:
                return
            batch = batch.slice(0, stop - position)
            mask = unfinished[position - start : position - start + batch.num_rows]
            positions = position + np.flatnonzero(mask)
            position += batch.num_rows
            if len(positions):
                yield (batch if len(positions) == batch.num_rows else batch.filter(pa.array(mask))), positions

    def hand_out(self, rows: Sequence[Row], positions: np.ndarray) -> None:
        """Remember the positions of rows that a stage is given, until it has yielded their output."""
        if self._all_handed_out:
            return
        for row, position in zip(rows, positions.tolist(), strict=True):
            places = self._handed_out.setdefault(self._unit(row), [])
            if position not in places and not self._done[position]:
                places.append(position)

    def _position_of(self, unit: Unit) -> int:
        """The position of the source row of a unit that was handed out; it is then no longer remembered."""
        places = self._handed_out.get(unit)
        if not places and not self._all_handed_out:  # the stage read its rows in another way than by iterating
            for batch, positions in self.unfinished():
                self.hand_out(batch.select(self._columns).to_pylist(), positions)
            self._all_handed_out = True
            places = self._handed_out.get(unit)
        if not places:
            raise StageFailed(f"a stage yielded {unit}, which is not a row of its input, or yielded it twice")
        position = places.pop(0)
        if not places:
            del self._handed_out[unit]
        return position

    def _unit(self, row: Row) -> Unit:
        return row["id"] if len(self._columns) == 1 else (row["id"], row["sample"])


class PendingRows(Rows):
    """The unfinished rows of a source, read from it as they are asked for."""

    def __init__(self, parts: PartialRows) -> None:
        super().__init__()
        self._parts = parts
        self._length = parts.span[1] - parts.span[0] - parts.units

    @property
    def schema(self) -> pa.Schema:
        return self._parts._source.schema

    def batches(self, columns: Sequence[str] | None = None, start: int = 0) -> Iterator[pa.RecordBatch]:
        for batch, _ in self._parts.unfinished():
            if start < batch.num_rows:
                rest = batch.slice(start)
                yield rest if columns is None else rest.select(list(columns))
            start = max(0, start - batch.num_rows)

    def __iter__(self) -> Iterator[Row]:
        for batch, positions in self._parts.unfinished():
            rows = batch.to_pylist()
            self._parts.hand_out(rows, positions)
            yield from rows

    def __len__(self) -> int:
        return self._length

    def _whole(self) -> pa.Table:
        tables = [pa.Table.from_batches([batch]) for batch in self.batches()]
        return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})


def _to_disk(draft: Path, path: Path) -> None:
    """Rename a file once all of it is on the disk."""
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)
