"""Two tables of the same rows in the same order, read as one: verdicts and perplexities of the same responses."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from tasks.resources.errors import StageFailed
from tasks.storage.rows import Rows


class JoinedRows(Rows):
    """The columns of `left`, then those that `right` alone has; read in batches, side by side.

    Raises:
        StageFailed: the two do not have the same rows.
    """

    def __init__(self, left: Rows, right: Rows) -> None:
        super().__init__()
        if len(left) != len(right):
            raise StageFailed(f"{len(left)} and {len(right)} rows are no two tables of the same rows")
        self._left, self._right = left, right

    @property
    def schema(self) -> pa.Schema:
        left = self._left.schema
        return pa.schema([*left, *(field for field in self._right.schema if field.name not in left.names)])

    def batches(self, columns: Sequence[str] | None = None, start: int = 0) -> Iterator[pa.RecordBatch]:
        wanted = self.columns if columns is None else list(columns)
        mine = set(self._left.columns)
        from_left = [name for name in wanted if name in mine]
        from_right = [name for name in wanted if name not in mine]
        if not from_right:
            yield from self._left.batches(from_left, start)
            return
        if not from_left:
            yield from self._right.batches(from_right, start)
            return
        checked = "id" in mine and "id" in self._right.columns
        lefts = self._left.batches(list(dict.fromkeys([*from_left, *(["id"] if checked else [])])), start)
        rights = self._right.batches([*from_right, *(["id"] if checked else [])], start)
        for left, right in _aligned(lefts, rights):
            if checked and not left.column("id").equals(right.column("id")):
                raise StageFailed("two tables of the same rows have them in different orders")
            arrays = [(left if name in mine else right).column(name) for name in wanted]
            yield pa.RecordBatch.from_arrays(arrays, names=wanted)

    def __len__(self) -> int:
        return len(self._left)

    def _whole(self) -> pa.Table:
        tables = [pa.Table.from_batches([batch]) for batch in self.batches()]
        return pa.concat_tables(tables, promote_options="permissive") if tables else self.schema.empty_table()


def _aligned(
    lefts: Iterator[pa.RecordBatch], rights: Iterator[pa.RecordBatch]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Batches of the same rows, however each side is cut into them."""
    left = right = None
    while True:
        left = left if left is not None and left.num_rows else next(lefts, None)
        right = right if right is not None and right.num_rows else next(rights, None)
        if left is None or right is None:
            return
        size = min(left.num_rows, right.num_rows)
        if size:
            yield left.slice(0, size), right.slice(0, size)
        left, right = left.slice(size), right.slice(size)
