"""Origins in which a teacher works on responses that are there already: what they have in common."""

from abc import ABC
from collections.abc import Mapping

from pydantic import Field

from data.prompt import template
from tasks.generate import generate
from tasks.kinds.origins import Context, Look
from tasks.models.sampling import GENERATED
from tasks.origins._responses import Written
from tasks.pipeline.stage import Node, one_a_question, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows


@stage(adds=("draft",), rows=one_a_question)
def drafts(responses: Rows, *, work: Work) -> list[Row]:
    """The first response to each question as its `draft`, in place of the columns of a response.

    Responses are taken as they come, right or wrong: nothing that works on a draft is told its verdict. An empty draft
    stays, since a teacher can still answer the question.

    Raises:
        StageFailed: there is no response at all.
    """
    first: dict[str, Row] = {}
    for row in responses:
        if row["id"] not in first or row["sample"] < first[row["id"]]["sample"]:
            first[row["id"]] = row
    if not first:
        raise StageFailed(f"{work.run_name}: there is no response to work on")
    return [
        {**{name: value for name, value in row.items() if name not in GENERATED}, "draft": row["response"] or ""}
        for row in first.values()
    ]


TEMPLATE = (
    "What the teacher is told: a template's text (with {{ question }} and {{ draft }}), a .jinja file, or one of the "
    "project's. It may show any column of the question, {{ gold }} and {{ reference }} among them."
)


class Reworking(Written, ABC):
    """A teacher that is shown a response of another origin. Subclasses give `of` and `prompt` their defaults."""

    model: str = Field(description="The teacher: a bundled model, a folder, a hub id with a revision, or api:<id>.")
    of: str
    prompt: str

    @property
    def models_asked(self) -> tuple[str, ...]:
        return (self.model,)

    def templates(self, look: Look | Context) -> Mapping[str, tuple[str, Row]]:
        return {"prompt": (template(self.prompt, look.roots, f"origins.{look.origin}.prompt"), {"draft": "A draft."})}

    def responses(self, questions: Node, context: Context) -> Node:
        return self.reworked(context.responses_of(self.of, questions), context)

    def reworked(self, given: Node, context: Context) -> Node:
        """What the teacher makes of the responses that are given."""
        shown = drafts(given).named(context.label, self.kind)
        ((told, _),) = self.templates(context).values()
        node = generate(shown, context.model(self.model), told, self.sampling, self.sampling.drawn_by(context.seed))
        return node.named(context.label, self.kind)
