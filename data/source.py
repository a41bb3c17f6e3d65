"""Where a benchmark's rows come from: the hub, local files, or a function of this project."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import table_file
from data.digest import known_digest
from data.errors import InputError
from data.table_file import Row, TableFile

LOADED = ("{config}/{split}{suffix}", "{split}{suffix}", "{config}/{split}-*{suffix}", "data/{split}-*{suffix}")
"""How a folder of a benchmark's files may be laid out: by split, or as on the hub."""


@dataclass(frozen=True)
class Hub:
    """A data set on the Hugging Face hub, pinned to a commit."""

    id: str
    config: str
    revision: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise ValueError(f"{self.id}: revision {self.revision!r} is no commit (40 hexadecimal digits)")


@dataclass(frozen=True)
class Files:
    """Local files by split (JSONL, CSV or Parquet; several are read one after the other). Known by their content."""

    paths: Mapping[str, tuple[Path, ...]]

    def identity(self) -> dict[str, list[str]]:
        return {split: [digest(path) for path in paths] for split, paths in self.paths.items()}


@dataclass(frozen=True)
class Generated:
    """A function `(family, split, count, seed) -> rows` of this project. Known by its code."""

    function: Callable[[str, Any, int, int], list[dict[str, Any]]]
    family: str


Source = Hub | Files | Generated


def source_rows(source: Source, name: str, split: str, count: int | None, seed: int) -> Iterator[tuple[str, Row]]:
    """A split's raw rows, each with its place. `count` and `seed` are for generated ones; others give all they have.

    Raises:
        InputError: a broken file, data that cannot be loaded, or a generator that was not told how many.
        ConnectionError, TimeoutError: the hub cannot be reached.
    """
    match source:
        case Files(paths):
            for path in paths[split]:
                yield from TableFile(path)
        case Generated(function, family):
            if count is None:
                raise InputError(f"{name}/{split}: its questions are generated; say how many (count)")
            try:
                made = function(family, split, count, seed)
            except ValueError as error:
                raise InputError(f"{name}/{split}: {error}") from error
            yield from ((f"{name}/{split}, row {number}", row) for number, row in enumerate(made, start=1))
        case Hub(id, config, revision):
            yield from _from_hub(id, config, revision, split)


def _from_hub(id: str, config: str, revision: str, split: str) -> Iterator[tuple[str, Row]]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    try:
        rows = load_dataset(id, config, split=split, revision=revision)
    except (DatasetNotFoundError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise InputError(f"{id} ({config}, {split}): cannot be loaded: {why}. Allowed: also a local `path`") from error
    for number, row in enumerate(rows, start=1):
        yield f"{id} {split}, row {number}", row


def in_folder(folder: Path, config: str, split: str) -> tuple[Path, ...]:
    """The files of a split in a folder, none where it has none."""
    for layout in LOADED:
        for suffix in table_file.SUFFIXES:
            if found := sorted(folder.glob(layout.format(config=config, split=split, suffix=suffix))):
                return tuple(found)
    return ()


def digest(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        InputError: there is no such file.
    """
    TableFile(path).exists()
    return known_digest(path)
