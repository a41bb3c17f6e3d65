"""Gold only: the right answer and nothing else, no step towards it.

The least detail there can be (`gold label only` in the follow-up logs of Ren et al. 2024).
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from data.prompt import template
from tasks.kinds.origins import Context, Look
from tasks.models.filling import fill
from tasks.models.sampling import RESPONSE
from tasks.origins._responses import Responses
from tasks.pipeline.stage import Node, stage
from tasks.storage.rows import Row, Rows


@stage(adds=RESPONSE)
def filled(questions: Rows, response: str) -> Iterator[Row]:
    """One response to each question, from a Jinja template. Adds `sample` (0), `model` ("") and `response`.

    Raises:
        InputError: the template is wrong, or names a column the row lacks or has no value for.
    """
    for row in questions:
        yield {**row, "sample": 0, "model": "", "response": fill(response, row)}


class GoldOnly(Responses):
    """The benchmark's gold answer alone, in the form that its prompt asks for."""

    kind: Literal["gold_only"] = "gold_only"
    response: str = Field(
        default="Final answer: {{ gold }}", description="A template of the response, over the question's columns."
    )

    def templates(self, look: Look | Context) -> Mapping[str, tuple[str, Row]]:
        return {"response": (template(self.response, look.roots, f"origins.{look.origin}.response"), {})}

    def responses(self, questions: Node, context: Context) -> Node:
        ((text, _),) = self.templates(context).values()
        return filled(questions, text).named(context.label, self.kind)
