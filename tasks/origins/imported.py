"""Imported: ready-made responses from a user's file."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from data import row_values, table_file
from data.calculator_marks import without_calculator_marks
from data.errors import InputError, at
from data.source import digest
from data.table_file import TableFile
from tasks.kinds.origins import Context, Look
from tasks.models.sampling import RESPONSE
from tasks.origins._responses import Responses
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.questions import normalised
from tasks.selection.candidates import marks
from tasks.storage.external_sort import POSITION, Run, merged, write_run
from tasks.storage.rows import Row, Rows, Streamed, in_tables, with_columns
from tasks.verification import missing_response

if TYPE_CHECKING:
    import numpy as np


class ResponseColumns(BaseModel):
    """Which columns of a file of responses hold what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str = Field(default="question", description="The question that is answered, as the benchmark has it.")
    id: str | None = Field(
        default=None, description="The question's id; given, it is joined on in place of the question."
    )
    response: str = Field(default="response", description="The response's text.")
    model: str | None = Field(
        default="model", description="Who wrote it; a file may do without where `model` is not given."
    )


class ResponsesFile(BaseModel):
    """A file of responses (JSONL, CSV or Parquet) and whose of them are taken. Known by its content, not its path."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    columns: ResponseColumns = ResponseColumns()
    model: str | None = None
    calculator_marks: bool = True

    def identity(self) -> dict[str, object]:
        fields = ("columns", "model", "calculator_marks")
        return {"content": digest(self.path), **{name: getattr(self, name) for name in fields}}


@stage(
    adds=RESPONSE,
    facts=(
        Fact("unused", reported=True, unless_zero=True),
        Fact("end_tokens", reported=True, unless_zero=True),
    ),
)
def imported(questions: Rows, responses: ResponsesFile, *, work: Work | None = None) -> Rows:
    """The file's responses to the questions, in the order of the questions.

    Joined on the question's text (case, spacing and kind of quotes aside) or, where a column of ids is named, on the
    id. Adds `sample` (0, 1, … where a question has several), `model` and `response`: as the file has it up to where
    its turn ends (`</s>`, `<|im_end|>`), null where it is missing (tasks/verification/missing_response.py), and
    with `calculator_marks` false without `<<…>>` (data/calculator_marks.py). Questions and responses without a
    partner, missing responses and those with a token that ends a turn are counted.

    Raises:
        InputError: a broken row, several models where none is named, or nothing that could be joined.
    """
    import numpy as np

    folder = Path(tempfile.mkdtemp()) if work is None else work.scratch / "joined"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    by_id = responses.columns.id is not None
    asked = [_keys(batch, by_id) for batch in questions.batches(["id" if by_id else "question"])]
    index = _Index(np.concatenate(asked) if asked else np.empty(0, np.uint64))
    models: Counter[str] = Counter()
    ended: Counter[bool] = Counter()
    runs: list[Run] = []
    for number, table in enumerate(in_tables(_read(responses, models, ended))):
        joined, positions = index.join(table)
        if len(positions):
            write_run(path := folder / f"{number:06d}.parquet", joined, positions.tolist())
            runs.append(Run.read(path))
    file = TableFile(responses.path)
    total, answered = len(questions), int(index.met.sum())
    if not index.joined:
        by = "id" if by_id else "question text"
        raise InputError(f"{file}: none of its {index.unused} responses answers one of the {total} questions (by {by})")
    if work:
        work.facts.update(
            questions=total, answered=answered, responses=index.joined - index.missing, unused=index.unused
        )
        work.facts.update(missing=index.missing, end_tokens=ended[True], models=dict(models))
        if index.missing:
            work.note(f"{file}: responses that are missing (null) and left out: {index.missing}")
        if ended[True]:
            work.note(f"{file}: responses with a token that ends a turn, each taken up to it: {ended[True]}")
        if answered < total or index.unused:
            work.note(
                f"{file}: {answered} of {total} questions have a response; {index.unused} of "
                f"{index.unused + index.joined} responses are unused"
            )

    def made() -> Iterator[Row]:
        answers = groupby(_answers(merged(runs, folder / "longer", once=False)), itemgetter(0))
        at, given = next(answers, (-1, iter(())))
        for place, row in enumerate(questions):
            if place == at:
                for sample, (_, model, text) in enumerate(given):
                    yield {**row, "sample": sample, "model": model, "response": text}
                at, given = next(answers, (-1, iter(())))

    added = {"sample": pa.int64(), "model": pa.string(), "response": pa.string()}
    rows = Streamed.lines(with_columns(questions.schema, added), index.joined, made)
    if work is None:
        weakref.finalize(rows, shutil.rmtree, folder, ignore_errors=True)
    return rows


class _Index:
    """The questions by a 64-bit hash of what they are joined on."""

    def __init__(self, keys: np.ndarray) -> None:
        import numpy as np

        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self.met = np.zeros(len(keys), bool)
        """Which questions have a response that is not missing."""
        self.joined = 0
        self.missing = 0
        """How many of those joined are null."""
        self.unused = 0

    def join(self, table: pa.Table) -> tuple[pa.Table, np.ndarray]:
        """The responses that answer a question, once for each that they answer, and the places of these questions."""
        import numpy as np

        keys = marks(table.column("key"))
        first = np.searchsorted(self._keys, keys, "left")
        counts = np.searchsorted(self._keys, keys, "right") - first
        rows = np.repeat(np.arange(len(keys)), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        positions = self._order[first[rows] + within]
        there = table.column("response").is_valid().to_numpy()[rows]
        self.met[positions[there]] = True
        self.missing += int((~there).sum())
        self.joined += len(rows)
        self.unused += int((counts == 0).sum())
        said = table.column("response").cast(pa.string())
        joined = pa.table({"model": table.column("model"), "response": said})
        return joined.take(pa.array(rows, pa.int64())), positions


def _keys(batch: pa.RecordBatch, by_id: bool) -> np.ndarray:
    return marks(batch.column(0) if by_id else pa.array(map(normalised, batch.column(0).to_pylist()), pa.string()))


def _answers(tables: Iterable[pa.Table]) -> Iterator[tuple[int, str, str | None]]:
    for table in tables:
        yield from zip(*(table.column(name).to_pylist() for name in (POSITION, "model", "response")), strict=True)


def _read(file: ResponsesFile, models: Counter[str], ended: Counter[bool]) -> Iterator[Row]:
    """What each response is joined on (`key`), `model` and `response`.

    Counts the rows of each model, and the responses with and without a token that ends a turn."""
    columns, table = file.columns, TableFile(file.path)
    named: bool | None = None
    found = False
    for place, row in table:
        if named is None:
            named = columns.model is not None and (columns.model in row or file.model is not None)
        model = row_values.text(place, row, str(columns.model)) if named else file.model or table.path.stem
        models[model] += 1
        if file.model is not None and model != file.model:
            continue
        found = True
        text, has_end = missing_response.from_file(place, row, columns.response, table.path.suffix.lower() == ".csv")
        ended[has_end] += 1
        key = row_values.text(place, row, columns.id or columns.question)
        kept = text if file.calculator_marks or text is None else without_calculator_marks(text)
        yield {"key": key if columns.id else normalised(key), "model": model, "response": kept}
    if file.model is None and len(models) > 1:
        raise InputError(f"{table}: has responses of several models; name one with `model`. Allowed: {_list(models)}")
    if not found:
        raise InputError(f"{table}: has no responses of {file.model!r}. Allowed: {_list(models)}")


def _list(models: Counter[str]) -> str:
    return ", ".join(sorted(models))


class Imported(Responses):
    """Responses that someone already has, from a JSONL, CSV or Parquet file, joined to the questions they answer."""

    kind: Literal["imported"] = "imported"
    path: str = Field(description="The file, as seen from the study file or from where the command is run.")
    columns: ResponseColumns = Field(default_factory=ResponseColumns, description="Which columns hold what.")
    model: str | None = Field(
        default=None, description="Take this model's responses, where the file has several models'."
    )
    calculator_marks: bool = Field(
        default=True, description="Keep calculator marks (<<48/2=24>>) in the responses; false leaves them out."
    )

    def check(self, questions: Rows, look: Look) -> None:
        file = self._file(look)
        if file.path.stat().st_size <= look.small:
            imported.function(questions, file)

    def responses(self, questions: Node, context: Context) -> Node:
        return imported(questions, self._file(context)).named(context.label, self.kind)

    def _file(self, look: Look | Context) -> ResponsesFile:
        """The file, found and its first row looked at.

        Raises:
            InputError: there is no such file, or it lacks a column.
        """
        path = table_file.locate(self.path, look.roots, f"origins.{look.origin}.path")
        columns = self.columns
        needed = [columns.id or columns.question, columns.response]
        needed += [columns.model] if columns.model and self.model else []
        with at(f"origins.{look.origin}.path"):
            TableFile(path).check(needed)
        return ResponsesFile(path=path, columns=columns, model=self.model, calculator_marks=self.calculator_marks)
