"""People's feedback on responses, from a file of theirs."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from data import row_values
from data.errors import InputError
from data.source import digest
from data.table_file import TableFile, suffix
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.questions import normalised
from tasks.storage.rows import Row, Rows
from tasks.verification import missing_response


class FeedbackColumns(BaseModel):
    """Which columns of a file of feedback hold what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str = Field(default="question", description="The question that was answered, as the benchmark has it.")
    id: str | None = Field(
        default=None, description="The question's id; given, it is joined on in place of the question."
    )
    draft: str = Field(default="draft", description="The response that the feedback is about.")
    feedback: str = Field(default="feedback", description="What a person says of it.")
    annotator: str = Field(default="annotator", description="Who says it; a file may do without.")

    @property
    def needed(self) -> tuple[str, ...]:
        """Those that a file cannot do without."""
        return (self.id or self.question, self.draft, self.feedback)


class FeedbackFile(BaseModel):
    """A file of feedback (JSONL, CSV or Parquet). Known by its content, not its path."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    columns: FeedbackColumns = FeedbackColumns()

    def identity(self) -> dict[str, object]:
        return {"content": digest(self.path), "columns": self.columns}


@stage(
    facts=(
        Fact("feedback", "rows of feedback"),
        Fact("unused", "rows about no question", reported=True, unless_zero=True),
        Fact("missing", "rows without a draft or feedback", reported=True, unless_zero=True),
    )
)
def from_file(questions: Rows, file: FeedbackFile, *, work: Work | None = None) -> Iterator[Row]:
    """The file's drafts as responses to the questions (`sample`, `model`, `response`), with `feedback` and `annotator`.

    In the order of the questions, and for each in that of the file, which is held in memory. Joined as `imported` joins
    responses; rows without a partner are counted, and those in which draft or feedback is missing are left out and
    counted.

    Raises:
        InputError: a broken row, or none that is about one of the questions.
    """
    columns, table = file.columns, TableFile(file.path)
    csv, by_id = suffix(file.path) == ".csv", columns.id is not None
    given: dict[str, list[Row]] = defaultdict(list)
    missing = total = 0
    for place, row in table:
        total += 1
        key = row_values.text(place, row, columns.id or columns.question)
        draft, _ = missing_response.from_file(place, row, columns.draft, csv)
        feedback, _ = missing_response.from_file(place, row, columns.feedback, csv)
        if draft is None or feedback is None:
            missing += 1
            continue
        named = row_values.text_or_none(place, row, columns.annotator) if columns.annotator in row else None
        said = {"response": draft, "feedback": feedback, "annotator": named or table.path.stem}
        given[key if by_id else normalised(key)].append({"model": "", **said})
    asked = [key if by_id else normalised(key) for key in questions.column("id" if by_id else "question")]
    if not (used := sum(len(given[key]) for key in given.keys() & asked)):
        by = "id" if by_id else "question text"
        raise InputError(
            f"{table}: none of its {total:,} rows of feedback is about one of the {len(asked):,} questions (by {by})"
        )
    if work:
        work.facts.update(feedback=used, unused=total - missing - used, missing=missing)

    def made() -> Iterator[Row]:
        for key, row in zip(asked, questions, strict=True):
            for sample, said in enumerate(given.get(key, ())):
                yield {**row, "sample": sample, **said, "source": "human", "saw_gold": None}

    return made()
