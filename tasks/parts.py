"""Row-level resume: finished rows are kept in parts as they come, and put in order when the last one is there."""

import os
import time
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import StageFailed
from tasks.rows import Row, Rows, to_table

FLUSH_ROWS = 256
FLUSH_SECONDS = 10.0

Unit = tuple[object, ...]


class Parts:
    """The finished rows of an unfinished artifact.

    A unit is one row of the stage's first input, known by its `id` (and `sample`, where the input has one). A unit's
    output rows are written together, so that a unit is finished or not begun.
    """

    def __init__(self, folder: Path, source: Rows) -> None:
        self._folder = folder / "parts"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._source = source
        self._columns = ["id", "sample"] if "sample" in source.columns else ["id"]
        self._buffer: list[Row] = []
        self._flushed = time.monotonic()
        self._files: list[Path] = []
        self._done: set[Unit] = set()
        self._next = 0
        for path in sorted(self._folder.glob("*.parquet")):
            self._next = int(path.stem) + 1
            try:
                table = pq.read_table(path, columns=self._columns)
            except (pa.ArrowInvalid, KeyError):
                warnings.warn(f"{path} cannot be read: its rows are made again", stacklevel=2)
                path.unlink()
                continue
            self._files.append(path)
            self._done.update(zip(*(table.column(name).to_pylist() for name in self._columns), strict=True))

    @property
    def units(self) -> int:
        return len(self._done)

    def pending(self) -> list[Row]:
        """The source rows that are not finished."""
        return [row for row in self._source if self._unit(row) not in self._done]

    def add(self, made: Row | list[Row]) -> None:
        """Keep one unit's output."""
        rows = made if isinstance(made, list) else [made]
        if not rows:
            raise StageFailed("a stage yielded an empty list of rows for one of its input rows")
        self._buffer.extend(rows)
        self._done.add(self._unit(rows[0]))
        waited = time.monotonic() - self._flushed
        if waited >= FLUSH_SECONDS or (len(self._buffer) >= FLUSH_ROWS and waited >= 1):
            self.flush()

    def flush(self) -> None:
        if self._buffer:
            path = self._folder / f"{self._next:06d}.parquet"
            draft = path.with_suffix(".draft")
            with draft.open("wb") as file:
                pq.write_table(to_table(self._buffer), file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            self._next += 1
            self._files.append(path)
            self._buffer = []
        self._flushed = time.monotonic()

    def finish(self, run_name: str) -> int:
        """Write `rows.parquet` in the order of the source, so that neither speed nor resuming changes a byte.

        Raises:
            StageFailed: units are missing, or there were none.
        """
        self.flush()
        units = [self._unit(row) for row in self._source]
        missing = [unit for unit in units if unit not in self._done]
        if missing or not units:
            what = (
                f"{len(missing)} of {len(units)} rows, the first being {missing[0]}"
                if missing
                else "all: it had no rows"
            )
            raise StageFailed(f"{run_name} left out {what}")
        table = pa.concat_tables([pq.read_table(path) for path in self._files], promote_options="permissive")
        table = table.select(sorted(table.column_names))
        position = {unit: index for index, unit in enumerate(units)}
        made = list(zip(*(table.column(name).to_pylist() for name in self._columns), strict=True))
        if set(made) != set(units):
            raise StageFailed(
                f"{run_name}: its kept parts hold {len(set(made))} rows' output where {len(units)} were made"
            )
        samples = table.column("sample").to_pylist() if "sample" in table.column_names else [0] * table.num_rows
        order = sorted(
            range(table.num_rows),
            key=lambda i, at=[position[unit] for unit in made]: (at[i], samples[i]),  # type: ignore[misc]
        )
        pq.write_table(table.take(order), self._folder.parent / "rows.parquet")
        return table.num_rows

    def _unit(self, row: Row) -> Unit:
        return tuple(row[name] for name in self._columns)
