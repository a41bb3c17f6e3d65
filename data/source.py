"""Where a benchmark's rows come from: the hub, local files, a function of this project, or the study file itself."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data import table_file
from data.digest import known_digest
from data.errors import InputError
from data.row_values import Row
from data.table_file import SUFFIXES, Document, TableFile

LOADED = ("{config}/{split}{suffix}", "{split}{suffix}", "{config}/{split}-*{suffix}", "data/{split}-*{suffix}")
"""How a folder of a benchmark's files may be laid out: by split, or as on the hub."""
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Hub:
    """A data set on the Hugging Face hub, pinned to a commit."""

    id: str
    config: str
    revision: str
    splits: Mapping[str, str] = field(default_factory=dict)
    """What the hub calls a split, where that differs from the benchmark's own name for it."""
    files: str = ""
    """Which files are loaded, as a pattern, where a config would be far more than the benchmark needs."""

    def __post_init__(self) -> None:
        if not COMMIT.fullmatch(self.revision):
            raise ValueError(f"{self.id}: revision {self.revision!r} is no commit (40 hexadecimal digits)")


@dataclass(frozen=True)
class Files:
    """Local files by split (several are read one after the other), known by their content.

    JSONL, CSV or Parquet; JSON documents where a function gives their rows.
    """

    paths: Mapping[str, tuple[Path, ...]]
    document: Document | None = None

    def identity(self) -> dict[str, Any]:
        content = {split: [digest(path) for path in paths] for split, paths in self.paths.items()}
        given = any(table_file.suffix(path) in table_file.DOCUMENTS for paths in self.paths.values() for path in paths)
        return {**content, "document": self.document} if given else content


@dataclass(frozen=True)
class Generated:
    """A function `(family, split, count, seed) -> rows` of this project. Known by its code."""

    function: Callable[[str, Any, int, int], list[dict[str, Any]]]
    family: str


@dataclass(frozen=True)
class Listed:
    """Rows that the study file itself lists, by split."""

    rows: Mapping[str, tuple[Row, ...]]


Source = Hub | Files | Generated | Listed


def source_rows(source: Source, name: str, split: str, count: int | None, seed: int) -> Iterator[tuple[str, Row]]:
    """A split's raw rows, each with its place. `count` and `seed` are for generated ones; others give all they have.

    Raises:
        InputError: a broken file, data that cannot be loaded, or a generator that was not told how many.
        ConnectionError, TimeoutError: the hub cannot be reached.
    """
    match source:
        case Files(paths, document):
            for path in paths[split]:
                yield from TableFile(path, document)
        case Generated(function, family):
            if count is None:
                raise InputError(f"{name}/{split}: its questions are generated; say how many (count)")
            try:
                made = function(family, split, count, seed)
            except ValueError as error:
                raise InputError(f"{name}/{split}: {error}") from error
            yield from ((f"{name}/{split}, row {number}", row) for number, row in enumerate(made, start=1))
        case Listed(rows):
            yield from ((f"{name}/{split}, example {number}", row) for number, row in enumerate(rows[split], start=1))
        case Hub():
            yield from _from_hub(source, split)


def _from_hub(hub: Hub, split: str) -> Iterator[tuple[str, Row]]:
    from datasets import load_dataset_builder
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import HfHubHTTPError

    named = hub.splits.get(split, split)
    try:
        if hub.files:
            builder = load_dataset_builder(hub.id, data_files={named: hub.files}, revision=hub.revision)
        else:
            builder = load_dataset_builder(hub.id, hub.config, revision=hub.revision)
        if COMMIT.fullmatch(str(builder.hash)) and builder.hash != hub.revision:
            # Without a network, `datasets` takes whatever commit its cache has.
            raise ConnectionError(
                f"{hub.id}: commit {hub.revision} is not cached, {builder.hash} is, and no hub answers"
            )
        builder.download_and_prepare()
        rows = builder.as_dataset(split=named)
    except (DatasetNotFoundError, FileNotFoundError, ValueError) as error:
        why = str(error).splitlines()[0]
        which = hub.files or f"{hub.config}, {named}"
        raise InputError(f"{hub.id} ({which}): cannot be loaded: {why}. Allowed: also a local `path`") from error
    except HfHubHTTPError as error:
        raise ConnectionError(f"{hub.id}: {str(error).splitlines()[0]}") from error
    for number, row in enumerate(rows, start=1):
        yield f"{hub.id} {named}, row {number}", row


def in_folder(folder: Path, config: str, split: str) -> tuple[Path, ...]:
    """The files of a split in a folder that is laid out by split or as on the hub; none where it has none."""
    names = (layout.format(config=config, split=split, suffix=suffix) for layout in LOADED for suffix in SUFFIXES)
    return in_layout(folder, names)


def in_layout(folder: Path, patterns: Iterable[str]) -> tuple[Path, ...]:
    """The files that the first of the patterns finds which finds any."""
    return next((tuple(found) for pattern in patterns if (found := sorted(folder.glob(pattern)))), ())


def digest(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        InputError: there is no such file.
    """
    TableFile(path).found()
    return known_digest(path)
