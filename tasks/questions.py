"""The questions of a benchmark's split."""

import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq

from data.benchmark import Benchmark, questions_of
from data.errors import InputError
from tasks.errors import Transient
from tasks.rows import Row, to_table
from tasks.stage import stage

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"})


@stage()
def questions(benchmark: Benchmark, split: str, count: int | None, seed: int) -> list[Row]:
    """`count` questions of a split (None: all), the same for the same seed, in their original order.

    Rows have `id` (unique), `question`, `gold`, `reference` (a person's response, or null), and the benchmark's own
    other columns.

    Raises:
        InputError: no such split, a broken row, or fewer than `count` questions.
        Transient: the hub cannot be reached.
    """
    try:
        rows = questions_of(benchmark, split, count, seed)
    except (ConnectionError, TimeoutError) as error:
        raise Transient(f"{benchmark.name}/{split}: {error}") from error
    for column in dict.fromkeys(name for row in rows for name in row):
        try:
            table = to_table([{column: row.get(column)} for row in rows])
            if pa.types.is_nested(table.schema.field(column).type):
                pq.write_table(table, pa.BufferOutputStream())  # Parquet holds less than Arrow: no empty objects
        except (pa.ArrowException, OverflowError) as error:
            what = f"column {column!r} holds values that no one type of column can hold ({error})"
            raise InputError(f"{benchmark.name}/{split}: {what}. Allowed: leave it out, or make it text") from error
    return rows


def normalised(question: str) -> str:
    """What two spellings of one question have in common: characters, case, quotes and spaces made alike."""
    plain = unicodedata.normalize("NFKC", question).translate(_QUOTES) if not question.isascii() else question
    return " ".join(plain.casefold().split())
