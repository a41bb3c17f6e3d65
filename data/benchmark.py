"""A benchmark: questions, gold answers, a prompt and a verifier, and where all that comes from.

The benchmarks there are stand in `data/benchmarks/`, one file each, found by looking: a new one is one new file with a
tuple `BENCHMARKS`. A user's own needs no file here, see `data.user_benchmark`.
"""

import fnmatch
import functools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType
from typing import Any

from data import kinds, table_file
from data.errors import InputError
from data.source import Files, Generated, Hub, Source, in_folder, source_rows
from data.table_file import Row, TableFile

CHAIN = frozenset(
    ["sample", "model", "response", "finish", "verdict", "answer", "tokens", "nll", "perplexity", "origin"]
)
"""Columns that stages add: a benchmark's own columns of these names are left out of the questions."""

PROMPTS = Path(__file__).parent / "prompts"

Reading = str | Callable[[Row], str]
"""How a value is read from a source's row: the name of a column, or a top-level function of the row."""


@dataclass(frozen=True)
class Benchmark:
    """A task to train on or to evaluate.

    `question`, `gold`, `reference` and `id` say how to read a row of the source; without `id`, rows are numbered.
    `columns` are those that a reading function needs. `prompt` is a template's text, `verifier` the name of one in
    `tasks.verifiers`, `size` how many questions a split has where that is known.
    """

    name: str
    source: Source
    verifier: str
    prompt: str
    question: Reading = "question"
    gold: Reading = "gold"
    reference: Reading | None = "reference"
    id: Reading | None = None
    columns: tuple[str, ...] = ()
    licence: str = "not stated"
    splits: tuple[str, ...] = ("train", "test")

    def __post_init__(self) -> None:
        for reading in (self.question, self.gold, self.reference, self.id):
            if isinstance(reading, FunctionType) and not reading.__qualname__.isidentifier():
                # Its code would not be part of the key.
                raise ValueError(f"{self.name}: {reading.__qualname__} must be a function at the top of a module")

    def identity(self) -> dict[str, Any]:
        """What decides the questions. The prompt and the verifier are inputs of the stages that use them."""
        names = ("name", "source", "question", "gold", "reference", "id", "columns")
        return {name: getattr(self, name) for name in names}

    def only(self, split: str) -> "Benchmark":
        """The same benchmark with no other split, so that a change in the other's file does not change this one's key.

        Raises:
            InputError: there is no such split.
        """
        if split not in self.splits:
            raise InputError(f"{self.name}: {kinds.unknown('split', split, self.splits)}")
        if not isinstance(self.source, Files):
            return replace(self, splits=(split,))
        return replace(self, splits=(split,), source=Files({split: self.source.paths[split]}))

    def at(self, place: Path | Mapping[str, Path]) -> "Benchmark":
        """The same benchmark read from local files: a folder laid out as on the hub, or a file for each split.

        Raises:
            InputError: a split that is given has no file there, or the benchmark is generated.
        """
        if isinstance(self.source, Generated):
            raise InputError(f"{self.name}: is generated, it has no files that could lie elsewhere")
        if isinstance(place, Mapping):
            for split in place:
                self.only(split)
            files: dict[str, tuple[Path, ...]] = {split: (path,) for split, path in place.items()}
        else:
            config = self.source.config if isinstance(self.source, Hub) else "."
            files = {split: found for split in self.splits if (found := in_folder(place, config, split))}
        for paths in files.values():
            for path in paths:
                TableFile(path).exists()
        if not files:
            wanted = ", ".join(f"{split}.jsonl" for split in self.splits)
            raise InputError(f"{place}: has no files of {self.name}. Allowed: {wanted} (or .csv, .parquet)")
        return replace(self, source=Files(files), splits=tuple(split for split in self.splits if split in files))


def names() -> tuple[str, ...]:
    """The names of all benchmarks that come with the project."""
    return tuple(sorted(_all()))


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


def prompt(name: str) -> str:
    """The text of a template in data/prompts.

    Raises:
        InputError: there is none of that name.
    """
    path = PROMPTS / f"{name}.jinja"
    if not path.is_file():
        raise InputError(kinds.unknown("prompt", name, sorted(file.stem for file in PROMPTS.glob("*.jinja"))))
    return path.read_text(encoding="utf-8")


def questions_of(benchmark: Benchmark, split: str, count: int | None, seed: int) -> list[Row]:
    """Rows with `id`, `question`, `gold`, `reference` (or None) and the source's other columns.

    Of a source with more than `count` questions, a random part is taken, in its original order; with the same seed a
    smaller part lies within a larger one.

    Raises:
        InputError: no such split, a broken row, two rows with one id, or fewer than `count` questions.
    """
    benchmark.only(split)
    if count is not None and count < 1:
        raise InputError(f"{benchmark.name}/{split}: {count} questions were asked for; allowed: 1 or more")
    rows = list(_read(benchmark, source_rows(benchmark.source, benchmark.name, split, count, seed), split))
    if count is None or count == len(rows):
        return rows
    if count > len(rows):
        raise InputError(f"{benchmark.name}/{split}: has {len(rows)} questions, {count} were asked for")
    order = list(range(len(rows)))
    random.Random(f"{benchmark.name} {split} {seed}").shuffle(order)
    return [rows[at] for at in sorted(order[:count])]


def _read(benchmark: Benchmark, source: Iterable[tuple[str, Row]], split: str) -> Iterator[Row]:
    seen: dict[str, str] = {}
    types: dict[str, str] = {}
    mapped = {benchmark.question, benchmark.gold, benchmark.reference, benchmark.id}
    for number, (place, raw) in enumerate(source):
        for column in benchmark.columns:
            table_file.text(place, raw, column)
        row: Row = {
            "id": _value(benchmark.id, place, raw) if benchmark.id else f"{split}/{number:06d}",
            "question": _value(benchmark.question, place, raw),
            "gold": _value(benchmark.gold, place, raw),
            "reference": _value(benchmark.reference, place, raw, table_file.text_or_none)
            if benchmark.reference
            else None,
        }
        if row["id"] in seen:
            raise InputError(f"{place}: id {row['id']!r} stands already at {seen[row['id']]}")
        seen[row["id"]] = place
        for column, value in raw.items():
            if column not in CHAIN and column not in row and column not in mapped:
                _same_type(place, column, value, types)
                row[column] = value
        yield row


def _value(
    reading: Reading, place: str, raw: Row, read: Callable[[str, Row, str], str | None] = table_file.text
) -> str | None:
    if isinstance(reading, str):
        return read(place, raw, reading)
    try:
        return str(reading(raw))
    except ValueError as error:
        raise InputError(f"{place}: {error}") from error


def _same_type(place: str, column: str, value: Any, types: dict[str, str]) -> None:
    if value is None:
        return
    found = table_file.kind(value)
    if types.setdefault(column, found) != found:
        raise InputError(f"{place}: column {column!r} is {found}, in earlier rows it is {types[column]}")


@functools.cache
def _all() -> dict[str, Benchmark]:
    from data import benchmarks

    modules = (kinds.load(benchmarks, name, "benchmark") for name in kinds.names(benchmarks))
    return {benchmark.name: benchmark for module in modules for benchmark in module.BENCHMARKS}
