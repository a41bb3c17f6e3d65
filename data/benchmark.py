"""A benchmark: questions, gold answers, a prompt and a verifier, and where all that comes from.

The benchmarks there are stand in `data/benchmarks/`, one file each, found by looking: a new one is one new file with a
tuple `BENCHMARKS`. A user's own needs no file here, see `data.user_benchmark`.
"""

import fnmatch
import functools
import itertools
import math
import random
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FunctionType
from typing import Any

from data import kinds, row_contract, row_values
from data.errors import InputError
from data.row_contract import RowContract
from data.row_values import Row
from data.source import Files, Generated, Hub, Listed, Source, in_folder, in_layout, source_rows
from data.table_file import Document, TableFile

Approach = Callable[[str, str], str]
"""`(question, response)` -> how the response goes about the question, in a word."""
Feedback = Callable[[str, str], str]
"""`(question, response)` -> what a person says of the response; ValueError where nothing can be said."""
ANY = RowContract()
"""Asks nothing of the rows but what every benchmark has."""


@dataclass(frozen=True)
class Benchmark:
    """A task to train on or to evaluate.

    `question`, `gold`, `reference` and `id` are the columns that hold what; without `id`, rows are numbered. Where a
    source has them in another form, `row` (a top-level function) makes a row of that form of each of its rows, from any
    format that the benchmark comes in; `keep` says which rows belong to a split, where the source alone does not.
    A question that needs more to be understood than its own text (a passage, a task's definition) has it in the column
    `context`. `prompt` is a template's text over all columns, `verifier` the name of one in `tasks.verifiers`; `labels`
    are the answers that it allows, where they are the same for all rows.

    A benchmark that can tell by a response's text how it goes about its question has `approach` (a top-level function,
    or `functools.partial` of one) and the words that it answers with, `approaches`: the wanted one first, then the one
    that is to be told from it, then any others.

    One that has people who judge responses has `feedback`, such a function too: it says why a response is right or
    wrong, and that it is (`The answer is right.`, `The answer is wrong.`).
    """

    name: str
    source: Source
    verifier: str
    prompt: str
    question: str = "question"
    gold: str = "gold"
    reference: str | None = "reference"
    id: str | None = None
    row: Callable[[Row], Row] | None = None
    """Raises ValueError with what is wrong; a KeyError is reported as a missing column."""
    keep: Callable[[Row, str], bool] | None = None
    """`(row, split)`, the row as `row` made it."""
    joined: str | None = None
    """A column of lists to which later rows of the same id add theirs, in files with a row for each right answer."""
    labels: tuple[str, ...] = ()
    shared: Mapping[str, Any] = field(default_factory=dict)
    """Columns that all rows have in common, beside those of the source."""
    licence: str = "not stated"
    splits: tuple[str, ...] = ("train", "test")
    layouts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """How else its files may lie in a folder: by split, patterns of which the first that finds any counts."""
    document: Document | None = None
    """The rows of a JSON document, where it comes in such."""
    approach: Approach | None = None
    approaches: tuple[str, ...] = ()
    feedback: Feedback | None = None

    def __post_init__(self) -> None:
        for given in (self.row, self.keep, self.document, self.approach, self.feedback):
            function = given.func if isinstance(given, functools.partial) else given
            if isinstance(function, FunctionType) and not function.__qualname__.isidentifier():
                # Its code would not be part of the key.
                raise ValueError(f"{self.name}: {function.__qualname__} must be a function at the top of a module")
        if (self.approach is not None) != (len(self.approaches) > 1):
            raise ValueError(f"{self.name}: approach and approaches (two words or more) go together")

    def identity(self) -> dict[str, Any]:
        """What decides the questions, beside what is asked of the rows: the prompt, the verifier, the approach and the
        feedback are inputs of the stages that use them."""
        names = ("name", "source", "question", "gold", "reference", "id", "row", "keep", "joined", "labels")
        shared = {"shared": self.shared} if self.shared else {}
        return {name: getattr(self, name) for name in names} | shared

    def only(self, split: str) -> "Benchmark":
        """The same benchmark with no other split, so that a change in the other's file does not change this one's key.

        Raises:
            InputError: there is no such split.
        """
        self._known(split)
        source = self.source
        if isinstance(source, Files):
            source = replace(source, paths={split: source.paths[split]})
        elif isinstance(source, Listed):
            source = replace(source, rows={split: source.rows[split]})
        return replace(self, splits=(split,), source=source)

    def at(self, place: Path | Mapping[str, Path]) -> "Benchmark":
        """The same benchmark read from local files: a folder laid out as on the hub, or a file for each split.

        Raises:
            InputError: a split that is given has no file there, or the benchmark is generated.
        """
        if isinstance(self.source, Generated | Listed):
            raise InputError(f"{self.name}: is generated, it has no files that could lie elsewhere")
        if isinstance(place, Mapping):
            for split in place:
                self._known(split)
            files: dict[str, tuple[Path, ...]] = {split: (path,) for split, path in place.items()}
        else:
            files = {split: found for split in self.splits if (found := self._in_folder(place, split))}
        for paths in files.values():
            for path in paths:
                TableFile(path, self.document).exists()
        if not files:
            wanted = ", ".join(f"{split}.jsonl" for split in self.splits)
            own = "".join(f", {patterns[0]}" for patterns in dict.fromkeys(self.layouts.values()))
            raise InputError(f"{place}: has no files of {self.name}. Allowed: {wanted} (or .csv, .parquet){own}")
        splits = tuple(split for split in self.splits if split in files)
        return replace(self, source=Files(files, self.document), splits=splits)

    def _known(self, split: str) -> None:
        if split not in self.splits:
            raise InputError(f"{self.name}: {kinds.unknown('split', split, self.splits)}")

    def _in_folder(self, folder: Path, split: str) -> tuple[Path, ...]:
        """Files named after the split, or after what the hub calls it."""
        config, named = (self.source.config, self.source.splits) if isinstance(self.source, Hub) else (".", {})
        found = (in_folder(folder, config, name) for name in dict.fromkeys((split, named.get(split, split))))
        return next(filter(None, found), ()) or in_layout(folder, self.layouts.get(split, ()))


def names() -> tuple[str, ...]:
    """The names of all benchmarks that come with the project."""
    return tuple(sorted(_all()))


def described() -> dict[str, str]:
    """Every benchmark that comes with the project, by name, with what it is in a sentence."""
    files = kinds.names("data.benchmarks")
    modules = {name: kinds.load("data.benchmarks", name, "benchmark") for name in files}
    found = {each.name: kinds.about("data.benchmarks", name, "") for name in files for each in modules[name].BENCHMARKS}
    return dict(sorted(found.items()))


def find(name: str) -> Benchmark:
    """The benchmark of that name.

    Raises:
        InputError: there is none; names the nearest and all there are.
    """
    if name not in _all():
        raise InputError(kinds.unknown("benchmark", name, names()))
    return _all()[name]


def matching(pattern: str) -> tuple[Benchmark, ...]:
    """The benchmarks that a name or a pattern like `abacus/*` stands for, by name.

    Raises:
        InputError: there is none.
    """
    if "*" not in pattern:
        return (find(pattern),)
    found = fnmatch.filter(names(), pattern)
    if not found:
        raise InputError(kinds.unknown("benchmark", pattern, names()))
    return tuple(find(name) for name in found)


def questions_of(
    benchmark: Benchmark, split: str, count: int | None, seed: int, contract: RowContract = ANY
) -> list[Row]:
    """Rows with `id`, `question`, `gold`, `reference` (or None) and the source's other columns.

    Of a source with more than `count` questions, a random part is taken, in its original order; with the same seed a
    smaller part lies within a larger one.

    Raises:
        InputError: no such split, a broken row, two rows with one id, or fewer than `count` questions.
    """
    rows = list(all_questions(benchmark, split, count, seed, contract))
    return [rows[at] for at in chosen(benchmark, split, len(rows), count, seed)]


def all_questions(
    benchmark: Benchmark, split: str, count: int | None, seed: int, contract: RowContract = ANY
) -> Iterator[Row]:
    """All questions of a split, one after the other; `questions_of` chooses among them.

    Raises:
        InputError: as `questions_of`. Two rows with one id are found at the end.
    """
    benchmark.only(split)
    if count is not None and count < 1:
        raise InputError(f"{benchmark.name}/{split}: {count} questions were asked for; allowed: 1 or more")

    def placed() -> Iterator[tuple[str, Row]]:
        return _read(benchmark, source_rows(benchmark.source, benchmark.name, split, count, seed), split, contract)

    marks = array("q")  # eight bytes an id, where a million of them as text would take 100 MB
    for _, row in placed():
        marks.append(hash(row["id"]))
        yield row
    if twice := _twice(marks):
        seen: dict[str, str] = {}
        for place, row in placed():
            if hash(row["id"]) in twice and seen.setdefault(row["id"], place) != place:
                raise InputError(f"{place}: id {row['id']!r} stands already at {seen[row['id']]}")


def chosen(benchmark: Benchmark, split: str, total: int, count: int | None, seed: int) -> Sequence[int]:
    """Which of all `total` questions are taken, rising; of examples in the study file all, however many are asked for.

    Raises:
        InputError: there are none, or fewer than `count`.
    """
    if not total:
        raise InputError(f"{benchmark.name}/{split}: none of its source's rows is a question of this split")
    if count is None or count == total or isinstance(benchmark.source, Listed):
        return range(total)
    if count > total:
        raise InputError(f"{benchmark.name}/{split}: has {total} questions, {count} were asked for")
    order = array("q", range(total))
    random.Random(f"{benchmark.name} {split} {seed}").shuffle(order)
    return array("q", sorted(order[:count]))


def _twice(marks: "array[int]") -> set[int]:
    """The numbers that stand more than once among these."""
    import numpy as np

    ordered = np.sort(np.frombuffer(marks, dtype=np.int64))
    return set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())


def _read(
    benchmark: Benchmark, source: Iterable[tuple[str, Row]], split: str, contract: RowContract
) -> Iterator[tuple[str, Row]]:
    """Rows as the chain has them, each with its place."""
    types: dict[str, str] = {}
    mapped = {benchmark.question, benchmark.gold, benchmark.reference, benchmark.id}
    # Of a file as it is, what holds an answer stays under its own name too, for what asks for that column.
    twice = {benchmark.gold: "gold", benchmark.reference: "reference"} if benchmark.row is None else {}
    for number, place, given in _joined(benchmark, _shaped(benchmark, source, split)):
        row: Row = {
            "id": row_values.text(place, given, benchmark.id) if benchmark.id else f"{split}/{number:06d}",
            "question": row_values.text(place, given, benchmark.question),
            "gold": row_values.text(place, given, benchmark.gold),
            "reference": row_values.text_or_none(place, given, benchmark.reference) if benchmark.reference else None,
        }
        for column, value in given.items():
            if column in contract.reserved or column in row:
                continue
            if column in twice:
                row[column] = row[twice[column]]
            elif column not in mapped:
                if isinstance(value, float) and math.isnan(value):
                    value = None  # NaN is nothing, as in a column of text
                _same_type(place, column, value, types)
                row[column] = value
        row |= benchmark.shared
        if benchmark.labels:
            row["labels"] = list(benchmark.labels)
        row_contract.check(contract.column, benchmark.verifier, place, row)
        yield place, row


def as_asked(benchmark: Benchmark, place: str, raw: Row, contract: RowContract = ANY) -> Row:
    """What a verifier reads of one row of the benchmark's own source: `question`, `gold` and the row's other columns.

    Raises:
        InputError: as for the rows of a study.
    """
    given = _in_form(benchmark, place, raw)
    row: Row = {
        "question": row_values.text(place, given, benchmark.question),
        "gold": row_values.text(place, given, benchmark.gold),
    }
    left_out = {*contract.reserved, *row, "id"}
    row |= {column: value for column, value in given.items() if column not in left_out}
    row |= benchmark.shared
    if benchmark.labels:
        row["labels"] = list(benchmark.labels)
    row_contract.check(contract.column, benchmark.verifier, place, row)
    return row


def is_left_out(benchmark: Benchmark, place: str, raw: Row) -> bool:
    """Whether a row of the benchmark's own source belongs to none of the splits that studies train and evaluate on.

    Raises:
        InputError: it is no row of the benchmark.
    """
    given, keep = _in_form(benchmark, place, raw), benchmark.keep
    return keep is not None and not any(keep(given, split) for split in ("train", "test"))


def _in_form(benchmark: Benchmark, place: str, raw: Row) -> Row:
    """A row in the form that the benchmark's columns describe."""
    if benchmark.row is None:
        return raw
    try:
        return benchmark.row(raw)
    except KeyError as error:
        row_values.value(place, raw, str(error.args[0]))
        raise
    except ValueError as error:
        raise InputError(f"{place}: {error}") from error
    except (TypeError, AttributeError) as error:
        raise InputError(f"{place}: is no row of {benchmark.name}: {error}") from error


def _shaped(benchmark: Benchmark, source: Iterable[tuple[str, Row]], split: str) -> Iterator[tuple[int, str, Row]]:
    """The rows that belong to the split in the form that the benchmark's columns describe, numbered as they lie."""
    for number, (place, raw) in enumerate(source):
        row = _in_form(benchmark, place, raw)
        if benchmark.keep is None or benchmark.keep(row, split):
            yield number, place, row


def _joined(benchmark: Benchmark, rows: Iterable[tuple[int, str, Row]]) -> Iterator[tuple[int, str, Row]]:
    column, id = benchmark.joined, benchmark.id
    if column is None or id is None:
        yield from rows
        return
    for _, same in itertools.groupby(rows, key=lambda row: row[2][id]):
        (number, place, first), *others = same
        lists = [first[column], *(other[column] for _, _, other in others)]
        yield number, place, {**first, column: list(dict.fromkeys(itertools.chain(*lists)))}


def _same_type(place: str, column: str, value: Any, types: dict[str, str]) -> None:
    if value is None:
        return
    found = row_values.kind(value)
    if types.setdefault(column, found) != found:
        raise InputError(f"{place}: column {column!r} is {found}, in earlier rows it is {types[column]}")


@functools.cache
def _all() -> dict[str, Benchmark]:
    modules = (kinds.load("data.benchmarks", name, "benchmark") for name in kinds.names("data.benchmarks"))
    return {benchmark.name: benchmark for module in modules for benchmark in module.BENCHMARKS}
