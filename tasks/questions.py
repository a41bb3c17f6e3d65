"""The questions of a benchmark's split."""

import contextlib
import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from data.benchmark import ANY, Benchmark, all_questions, chosen
from data.errors import InputError, shown
from data.row_contract import RowContract
from tasks.pipeline.stage import Node, stage
from tasks.resources.errors import Transient
from tasks.storage.rows import GROUP, Row, Rows, Streamed, to_table

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"})


_UNFIT = (pa.ArrowException, OverflowError, UnicodeError)
"""What Arrow raises for values that it cannot hold."""
HELD = 20_000
"""Rows of a source that are kept in memory; one with more is read twice."""


def _as_asked_for(node: Node) -> int | None:
    count = node.values["count"]
    assert count is None or isinstance(count, int)
    return count


@stage(rows=_as_asked_for)
def questions(benchmark: Benchmark, split: str, count: int | None, seed: int, contract: RowContract = ANY) -> Rows:
    """`count` questions of a split (None: all), the same for the same seed, in their original order.

    Rows have `id` (unique), `question`, `gold`, `reference` (a person's response, or null), and the benchmark's own
    other columns, but for those that `contract` reserves.

    Raises:
        InputError: no such split, a broken row, or fewer than `count` questions.
        Transient: the hub cannot be reached.
    """
    try:
        source = all_questions(benchmark, split, count, seed, contract)
        held = list(itertools.islice(source, HELD))
        total, columns = len(held), _Columns(f"{benchmark.name}/{split}")
        columns.table(held)
        for table in columns.tables(source):
            total += table.num_rows
        columns.check()
    except (ConnectionError, TimeoutError) as error:
        raise Transient(f"{benchmark.name}/{split}: {error}") from error
    taken = chosen(benchmark, split, total, count, seed)

    def made() -> Iterator[pa.Table]:
        again: Iterable[Row] = held if total == len(held) else all_questions(benchmark, split, count, seed, contract)
        return columns.tables(_at(again, taken))

    if total > len(held):
        held.clear()
    return Streamed(columns.schema, len(taken), made)


def _at(rows: Iterable[Row], places: Sequence[int]) -> Iterator[Row]:
    """The rows at some places, which rise."""
    wanted = iter(places)
    place = next(wanted, None)
    for at, row in enumerate(rows):
        if at == place:
            yield row
            place = next(wanted, None)


class _Columns:
    """The types of a source's columns, which one chunk of rows after another makes known."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._types: dict[str, pa.Schema] = {}

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([schema.field(column) for column, schema in self._types.items()])

    def tables(self, rows: Iterable[Row]) -> Iterator[pa.Table]:
        rows = iter(rows)
        while chunk := list(itertools.islice(rows, GROUP)):
            yield self.table(chunk)

    def table(self, rows: list[Row]) -> pa.Table:
        """A chunk of rows.

        Raises:
            InputError: a column holds values that no one type can hold; names it.
        """
        try:
            table = to_table(rows)
        except _UNFIT:
            for column in dict.fromkeys(name for row in rows for name in row):
                for row in rows:
                    with self._named(column, row):
                        to_table([{column: row.get(column)}])
                with self._named(column):
                    to_table([{column: row.get(column)} for row in rows])
            raise
        for column in table.column_names:
            found = pa.schema([table.schema.field(column)])
            with self._named(column):
                known = self._types.setdefault(column, found)
                if known != found:
                    self._types[column] = pa.unify_schemas([known, found], promote_options="permissive")
        return table

    def check(self) -> None:
        """Parquet holds less than Arrow: no empty objects.

        Raises:
            InputError: there is a column that it cannot hold.
        """
        for column, schema in self._types.items():
            if pa.types.is_nested(schema.field(column).type):
                with self._named(column):
                    pq.write_table(schema.empty_table(), pa.BufferOutputStream())

    @contextlib.contextmanager
    def _named(self, column: str, row: Row | None = None) -> Iterator[None]:
        try:
            yield
        except _UNFIT as error:
            if row is None:
                what = f"column {column!r} holds values that no one type of column can hold ({error})"
            else:
                what = f"question {row['id']}: column {column!r} is {shown(row[column])}, which no column can hold"
            raise InputError(f"{self._name}: {what}. Allowed: leave it out, or make it text") from error


def as_rows(questions: Sequence[Row], name: str) -> Rows:
    """Questions held in memory, as the stage gives them.

    Args:
        name: what they are called in errors.

    Raises:
        InputError: a column holds values that no column can hold; names it.
    """
    columns = _Columns(name)
    table = columns.table(list(questions))
    columns.check()
    return Rows(table=table)


def normalised(question: str) -> str:
    """What two spellings of one question have in common: characters, case, quotes and spaces made alike."""
    plain = unicodedata.normalize("NFKC", question).translate(_QUOTES) if not question.isascii() else question
    return " ".join(plain.casefold().split())
