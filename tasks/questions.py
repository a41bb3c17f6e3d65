"""The questions of a benchmark's split."""

import unicodedata

from data.benchmark import Benchmark, questions_of
from tasks.errors import Transient
from tasks.rows import Row
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
        return questions_of(benchmark, split, count, seed)
    except (ConnectionError, TimeoutError) as error:
        raise Transient(f"{benchmark.name}/{split}: {error}") from error


def normalised(question: str) -> str:
    """What two spellings of one question have in common: characters, case, quotes and spaces made alike."""
    plain = unicodedata.normalize("NFKC", question).translate(_QUOTES) if not question.isascii() else question
    return " ".join(plain.casefold().split())
