"""A user's ready-made responses, joined to the questions they answer."""

from collections import Counter, defaultdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from data import table_file
from data.benchmarks.gsm8k import without_calculator_marks
from data.errors import InputError
from data.source import digest
from data.table_file import TableFile
from tasks.questions import normalised
from tasks.rows import Row, Rows
from tasks.stage import Work, stage


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


@stage()
def imported(questions: Rows, responses: ResponsesFile, *, work: Work | None = None) -> list[Row]:
    """The file's responses to the questions, in the order of the questions.

    Joined on the question's text (case, spacing and kind of quotes aside) or, where a column of ids is named, on the
    id. Adds `sample` (0, 1, … where a question has several), `model` and `response`: as the file has it, a null one
    empty, and with `calculator_marks` false without GSM8K's `<<…>>`. Questions and responses without a partner are
    counted.

    Raises:
        InputError: a broken row, several models where none is named, or nothing that could be joined.
    """
    by_question, of_models = _read(responses)
    made: list[Row] = []
    answered = 0
    used = set()
    for row in questions:
        key = row["id"] if responses.columns.id else normalised(row["question"])
        texts = by_question.get(key, [])
        answered += bool(texts)
        used.add(key)
        made += [
            {**row, "sample": sample, "model": model, "response": text} for sample, (model, text) in enumerate(texts)
        ]
    left = sum(len(texts) for key, texts in by_question.items() if key not in used)
    table = TableFile(responses.path)
    if not made:
        by = "id" if responses.columns.id else "question text"
        raise InputError(
            f"{table}: none of its {left} responses answers one of the {len(questions)} questions (by {by})"
        )
    said = (
        f"{answered} of {len(questions)} questions have a response; {left} of {left + len(made)} responses are unused"
    )
    if work:
        work.facts.update(
            questions=len(questions), answered=answered, responses=len(made), unused=left, models=dict(of_models)
        )
        if answered < len(questions) or left:
            work.note(f"{table}: {said}")
    return made


def _read(file: ResponsesFile) -> tuple[dict[str, list[tuple[str, str]]], Counter[str]]:
    """(model, response) by question or id, and how many rows each model has."""
    columns, table = file.columns, TableFile(file.path)
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    models: Counter[str] = Counter()
    named: bool | None = None
    for place, row in table:
        if named is None:
            named = columns.model is not None and (columns.model in row or file.model is not None)
        model = table_file.text(place, row, str(columns.model)) if named else file.model or table.path.stem
        models[model] += 1
        if file.model is not None and model != file.model:
            continue
        text = table_file.text_or_none(place, row, columns.response) or ""
        key = table_file.text(place, row, columns.id or columns.question)
        kept = text if file.calculator_marks else without_calculator_marks(text)
        found[key if columns.id else normalised(key)].append((model, kept))
    if file.model is None and len(models) > 1:
        raise InputError(f"{table}: has responses of several models; name one with `model`. Allowed: {_list(models)}")
    if not found:
        raise InputError(f"{table}: has no responses of {file.model!r}. Allowed: {_list(models)}")
    return found, models


def _list(models: Counter[str]) -> str:
    return ", ".join(sorted(models))
