"""The rows that a selection takes, read again from where they lie."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from tasks.scoring import token_numbers, token_surprise
from tasks.storage.external_sort import POSITION, Run, merged, write_run
from tasks.storage.rows import Rows

if TYPE_CHECKING:
    import numpy as np


def as_taken(table: pa.Table, origin: str) -> pa.Table:
    """Rows as they are taken: with their origin, and without what the student made of them before training.

    No method learns from that, and its last digits depend on which rows shared a forward pass: an adapter's key is of
    what the adapter learns from.
    """
    left_out = ("nll", "perplexity", *token_numbers.COLUMNS, *token_surprise.COLUMNS, "origin")
    table = table.drop_columns([name for name in left_out if name in table.column_names])
    return table.append_column("origin", pa.array([origin] * table.num_rows, pa.string()))


def rows_at(rows: Rows, places: np.ndarray, scratch: Path | None) -> Iterator[pa.Table]:
    """The rows at some places, in the order of the places."""
    import numpy as np

    order = np.argsort(places, kind="stable")
    wanted = places[order]
    rising = bool((np.diff(order) == 1).all())
    held: list[pa.Table] = []
    runs: list[Run] = []
    start = begun = 0
    for batch in rows.batches():
        end = int(np.searchsorted(wanted, start + batch.num_rows))
        found = pa.Table.from_batches([batch]).take(pa.array(wanted[begun:end] - start))
        if rising:
            yield found
        elif scratch is None:
            held.append(found)
        elif end > begun:
            scratch.mkdir(parents=True, exist_ok=True)
            path = scratch / f"{start:012d}.parquet"
            write_run(path, found, order[begun:end].tolist())
            runs.append(Run.read(path))
        start, begun = start + batch.num_rows, end
    if held:
        yield pa.concat_tables(held, promote_options="permissive").take(pa.array(np.argsort(order)))
    if runs and scratch is not None:
        for table in merged(runs, scratch / "longer"):
            yield table.drop_columns([POSITION])
        shutil.rmtree(scratch)
