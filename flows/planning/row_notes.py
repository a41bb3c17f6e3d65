"""What is said of a benchmark's rows before any work: those without an answer, and questions that stand twice."""

from collections import defaultdict
from collections.abc import Sequence

from jinja2 import Environment, TemplateError, meta

from data.benchmark import Benchmark
from data.errors import InputError
from data.row_values import is_nothing
from data.source import Files, source_rows
from tasks.questions import normalised
from tasks.storage.rows import Row


def check_empty(benchmark: Benchmark, split: str) -> str:
    """Count the rows of a user's own file that have no question or no gold answer.

    Returns:
        How many are left out, as a line; empty where none is.

    Raises:
        InputError: there are such rows, and they are not to be left out; names the first.
    """
    if not isinstance(benchmark.source, Files) or benchmark.row is not None:
        return ""
    columns = (benchmark.question, benchmark.gold)
    total = 0
    found: list[tuple[str, str]] = []
    for place, row in source_rows(benchmark.source, benchmark.name, split, None, 0):
        total += 1
        if wanting := [column for column in columns if column in row and is_nothing(row[column])]:
            found.append((place, wanting[0]))
        elif benchmark.keep is not None and not benchmark.keep(row, split):
            found.append((place, ""))
    if not found:
        return ""
    if benchmark.keep is None:
        place, column = found[0]
        raise InputError(
            f"{place}: column {column!r} is empty (rows without a question or a gold answer: {len(found):,} of "
            f"{total:,}); allowed: a value, or `empty: leave_out`"
        )
    return (
        f"{benchmark.name}/{split}: {len(found):,} of {total:,} rows have no question or no gold answer and are left "
        "out."
    )


def repeated(benchmark: Benchmark, split: str, rows: Sequence[Row]) -> str:
    """How many questions stand more than once, and how many of these with different gold answers, as a line.

    Two rows are one question where all that the prompt shows of them is the same.
    """
    try:
        shown = sorted(meta.find_undeclared_variables(Environment().parse(benchmark.prompt)))
    except (TemplateError, RecursionError):  # what is wrong with it is said where it is tried
        return ""
    golds: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in rows:
        golds[tuple(normalised(str(row.get(column))) for column in shown)].append(normalised(str(row["gold"])))
    twice = [found for found in golds.values() if len(found) > 1]
    if not twice:
        return ""
    conflicting = sum(len(set(found)) > 1 for found in twice)
    said = f", {conflicting:,} of them with different gold answers" if conflicting else ""
    return f"{benchmark.name}/{split}: {len(twice):,} questions stand more than once{said}."
