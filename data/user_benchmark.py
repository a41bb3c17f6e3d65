"""Benchmarks as a study file names them: one of the project's, one of those at another place, or a user's own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data import allowed_paths, benchmark, row_contract, table_file
from data.benchmark import Benchmark
from data.errors import InputError
from data.prompt import template
from data.row_contract import ListColumn
from data.source import Files
from data.table_file import TableFile

REFERENCE = "reference"
"""The column with a person's response, where the study file names no other."""


class Columns(BaseModel):
    """Which columns of a file hold what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str = Field(default="question", description="What is asked.")
    gold: str = Field(default="gold", description="The right answer, which the verifier compares with.")
    reference: str | None = Field(
        default=None,
        description="A person's response, for the origin `human`; null for the column `reference`, if there is one.",
    )
    id: str | None = Field(default=None, description="What a row is called; without it, rows are numbered.")


class UserBenchmark(BaseModel):
    """A benchmark of one's own: files with one question a row, a prompt and a verifier.

    JSONL, CSV or Parquet. All other columns stay with the questions, so that a prompt can show them and the verifier
    read them; in CSV, a list stands as JSON.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        description="What it is called in the results.", pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$", max_length=64
    )
    train: str | None = Field(default=None, description="File with the questions of the split `train`.")
    test: str | None = Field(default=None, description="File with the questions of the split `test`.")
    columns: Columns = Field(default_factory=Columns, description="Which columns hold what.")
    prompt: str = Field(
        default="question",
        description="A template: its text (with {{ question }}), a .jinja file, or one of the project's.",
    )
    verifier: str = Field(description="How answers are judged: by the name of a verifier.")
    labels: tuple[str, ...] = Field(
        default=(), description='The answers that are allowed, where all rows share them; in quotes ("yes").'
    )
    licence: str = Field(default="not stated", description="Under which licence the questions may be used.")

    @model_validator(mode="after")
    def _has_a_file(self) -> "UserBenchmark":
        if self.train is None and self.test is None:
            raise ValueError("names no file; allowed: train, test or both")
        return self

    def resolve(self, roots: Sequence[Path], column: ListColumn | None = None) -> Benchmark:
        """The benchmark, its files found from one of the folders and looked into.

        Args:
            column: what its verifier reads of a row beside `gold`.

        Raises:
            InputError: a file is missing, of another format or empty, or lacks a column, one that its verifier needs
                among them.
        """
        columns = self.columns
        here = f"benchmarks.{self.name}"
        paths = {
            split: (table_file.locate(path, roots, f"{here}.{split}"),)
            for split, path in (("train", self.train), ("test", self.test))
            if path is not None
        }
        needed = [name for name in (columns.question, columns.gold, columns.reference, columns.id) if name is not None]
        named = columns.reference is not None or REFERENCE in needed
        there: list[bool] = []
        for (path,) in paths.values():
            place, row = TableFile(path).first(needed)
            there.append(REFERENCE in row)
            shared = {"labels": list(self.labels)} if self.labels else {}
            row_contract.check(column, self.verifier, place, {**row, "gold": str(row[columns.gold]), **shared})
        return Benchmark(
            name=self.name,
            source=Files(paths),
            verifier=self.verifier,
            prompt=template(self.prompt, roots, f"{here}.prompt"),
            question=columns.question,
            gold=columns.gold,
            reference=columns.reference if named else REFERENCE if all(there) else None,
            id=columns.id,
            labels=self.labels,
            licence=self.licence,
            splits=tuple(paths),
        )


class LocatedBenchmark(BaseModel):
    """One of the project's benchmarks, read from local files in place of the hub."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="The benchmark's name, as `gsm8k`.")
    path: str | dict[str, str] = Field(
        description="A folder with a file for each split (train.jsonl, … or as on the hub), or a file by split."
    )
    prompt: str | None = Field(
        default=None, description="A template in place of the benchmark's own, given as in a benchmark of one's own."
    )

    def resolve(self, roots: Sequence[Path]) -> Benchmark:
        """The benchmark with its files found from one of the folders.

        Raises:
            InputError: no such benchmark or file, or the benchmark is generated.
        """
        found = benchmark.find(self.name)
        here = f"benchmarks.{self.name}"
        if self.prompt is not None:
            found = replace(found, prompt=template(self.prompt, roots, f"{here}.prompt"))
        if isinstance(self.path, str):
            folder = table_file.locate(self.path, roots, f"{here}.path")
            if not folder.is_dir():
                allowed = ", ".join(f"{split}: FILE" for split in found.splits)
                raise InputError(f"{self.path}: a file, not a folder. Allowed: a folder, or {{{allowed}}}")
            located = found.at(folder)
            assert isinstance(located.source, Files)
            for path in (path for paths in located.source.paths.values() for path in paths):
                allowed_paths.check(path, roots, f"{here}.path: {path}")
            return located
        files = {split: table_file.locate(path, roots, f"{here}.path.{split}") for split, path in self.path.items()}
        return found.at(files)
