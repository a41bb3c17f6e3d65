"""Imported: ready-made responses from a user's file."""

from typing import Literal

from pydantic import Field

from data import table_file
from data.table_file import TableFile
from tasks.imported import ResponseColumns, ResponsesFile, imported
from tasks.origins import Context, Origin
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

    def responses(self, questions: Node, context: Context) -> Node:
        path = table_file.locate(self.path, context.roots, f"origins.{context.origin}.path")
        columns = self.columns
        needed = [columns.id or columns.question, columns.response]
        needed += [columns.model] if columns.model and self.model else []
        TableFile(path).check(needed)
        file = ResponsesFile(path=path, columns=columns, model=self.model, calculator_marks=self.calculator_marks)
        return imported(questions, file).named(context.label, self.kind)
