"""What a question that a model writes has of the benchmark's: the columns that are the same in all its questions."""

from tasks.storage.rows import Row, Rows

OF_ONE_QUESTION = frozenset({"id", "question", "gold", "reference"})
"""Columns that are of one question even where all questions have the same in them."""


def shared_columns(questions: Rows) -> Row:
    """The columns in which all questions have the same value, with that value."""
    rows = iter(questions)
    shared = {name: value for name, value in next(rows).items() if name not in OF_ONE_QUESTION}
    for row in rows:
        shared = {name: value for name, value in shared.items() if row[name] == value}
    return shared
