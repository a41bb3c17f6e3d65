"""Benchmarks as a study file names them: one of the project's, one of those at another place, or a user's own."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data import allowed_paths, benchmark, row_contract, row_values, table_file
from data.benchmark import Benchmark
from data.bounds import Whole
from data.errors import InputError
from data.prompt import template
from data.row_contract import ListColumn
from data.row_values import Row
from data.source import Files, Listed
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


class Example(BaseModel):
    """One example of a task: an input and its right output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str = Field(min_length=1, description="What is asked.")
    output: str = Field(min_length=1, description="The right answer.")


class UserBenchmark(BaseModel):
    """A benchmark of one's own: files with one question a row, a prompt and a verifier; or an instruction and examples.

    JSONL, CSV or Parquet. All other columns stay with the questions, so that a prompt can show them and the verifier
    read them; in CSV, a list stands as JSON. Without a file, the first examples are shown in the prompt and are what
    there is to train on, and the others are held out to test on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        description="What it is called in the results.", pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$", max_length=64
    )
    train: str | None = Field(default=None, description="File with the questions of the split `train`.")
    test: str | None = Field(default=None, description="File with the questions of the split `test`.")
    columns: Columns = Field(default_factory=Columns, description="Which columns hold what.")
    instruction: str = Field(
        default="", description="What is to be done, in words: the column `context`, which the prompt shows."
    )
    examples: tuple[Example, ...] = Field(
        default=(), max_length=1000, description="Inputs and their outputs: the column `demos`, which the prompt shows."
    )
    shown: Whole = Field(
        default=3,
        ge=1,
        le=1000,
        description="Examples that the prompt shows, the first ones; without a file, at least one is held out.",
    )
    prompt: str | None = Field(
        default=None,
        description="A template: its text (with {{ question }}), a .jinja file, or one of the project's; null for "
        "`question`, or with examples for `few_shot`.",
    )
    verifier: str = Field(description="How answers are judged: by the name of a verifier.")
    labels: tuple[str, ...] = Field(
        default=(), description='The answers that are allowed, where all rows share them; in quotes ("yes").'
    )
    empty: Literal["refuse", "leave_out"] = Field(
        default="refuse", description="Rows without a question or without a gold answer; those left out are counted."
    )
    licence: str = Field(default="not stated", description="Under which licence the questions may be used.")

    @model_validator(mode="after")
    def _has_a_file(self) -> "UserBenchmark":
        if self.train is None and self.test is None and len(self.examples) < 2:
            raise ValueError("names no file; allowed: train, test or both, or two examples or more")
        if self.examples and not self.instruction.strip():
            raise ValueError("has examples and no instruction; allowed: both, or neither")
        return self

    def resolve(self, roots: Sequence[Path], column: ListColumn | None = None) -> Benchmark:
        """The benchmark, its files found from one of the folders and looked into.

        Args:
            column: what its verifier reads of a row beside `gold`.

        Raises:
            InputError: a file is missing, of another format or empty, or lacks a column, one that its verifier needs
                among them.
        """
        here = f"benchmarks.{self.name}"
        prompt = template(self.prompt or ("few_shot" if self.examples else "question"), roots, f"{here}.prompt")
        if self.train is None and self.test is None:
            return self._of_examples(prompt, column)
        columns = self.columns
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
            if self.empty == "refuse" or is_complete((columns.question, columns.gold), row):
                row_contract.check(column, self.verifier, place, {**row, "gold": str(row[columns.gold]), **shared})
        return Benchmark(
            name=self.name,
            source=Files(paths),
            verifier=self.verifier,
            prompt=prompt,
            question=columns.question,
            gold=columns.gold,
            reference=columns.reference if named else REFERENCE if all(there) else None,
            id=columns.id,
            keep=functools.partial(is_complete, (columns.question, columns.gold)) if self.empty != "refuse" else None,
            labels=self.labels,
            shared=self._shared(self.shown),
            licence=self.licence,
            splits=tuple(paths),
        )

    def _of_examples(self, prompt: str, column: ListColumn | None) -> Benchmark:
        """The benchmark whose only questions are its examples: those shown, and those held out."""
        shown = min(self.shown, len(self.examples) - 1)
        rows = [self._row_of(one, column) for one in self.examples]
        return Benchmark(
            name=self.name,
            source=Listed({"train": tuple(rows[:shown]), "test": tuple(rows[shown:])}),
            verifier=self.verifier,
            prompt=prompt,
            labels=self.labels,
            shared=self._shared(shown),
            licence=self.licence,
        )

    def _row_of(self, example: Example, column: ListColumn | None) -> Row:
        """An example as a question; its output is all there is in a list of right outputs."""
        right = {column.name: [example.output]} if column is not None and column.holds and not column.has_gold else {}
        return {"question": example.input, "gold": example.output, "reference": example.output, **right}

    def _shared(self, shown: int) -> Row:
        """The columns of the instruction and the examples that the prompt shows, as far as there are any."""
        context = {"context": self.instruction} if self.instruction else {}
        demos = [{"input": one.input, "output": one.output} for one in self.examples[:shown]]
        return {**context, **({"demos": demos} if demos else {})}


def is_complete(columns: tuple[str, ...], row: Row, split: str = "") -> bool:
    """Whether a row has something in each of these columns; null, NaN and blank text are nothing."""
    return not any(row_values.is_nothing(row.get(column)) for column in columns)


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
