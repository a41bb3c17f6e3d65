"""Imported: ready-made responses from a user's file."""

from typing import Literal

from pydantic import Field

from data import table_file
from data.errors import at
from data.table_file import TableFile
from tasks.imported import ResponseColumns, ResponsesFile, imported
from tasks.origins import Context, Look, Origin
from tasks.rows import Rows
from tasks.stage import Node


class Imported(Origin):
    """Responses that someone already has, from a JSONL, CSV or Parquet file, joined to the questions they answer."""

    kind: Literal["imported"] = "imported"
    path: str = Field(description="The file, as seen from the study file or from where the command is run.")
    columns: ResponseColumns = Field(default_factory=ResponseColumns, description="Which columns hold what.")
    model: str | None = Field(
        default=None, description="Take this model's responses, where the file has several models'."
    )
    calculator_marks: bool = Field(
        default=True, description="Keep GSM8K's calculator marks (<<48/2=24>>) in the responses; false leaves them out."
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
