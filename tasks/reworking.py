"""Origins in which a teacher works on responses that are there already: what they have in common."""

from abc import ABC
from collections.abc import Mapping

from pydantic import Field

from data.prompt import template
from tasks.drafts import drafts
from tasks.generate import generate
from tasks.origins import Context, Look, Written
from tasks.rows import Row
from tasks.stage import Node

TEMPLATE = (
    "What the teacher is told: a template's text (with {{ question }} and {{ draft }}), a .jinja file, or one of the "
    "project's. It may show any column of the question, {{ gold }} and {{ reference }} among them."
)


class Reworking(Written, ABC):
    """A teacher that is shown a response of another origin. Subclasses give `of` and `prompt` their defaults."""

    model: str = Field(description="The teacher: a bundled model, a folder, a hub id with a revision, or api:<id>.")
    of: str
    prompt: str

    def templates(self, look: Look | Context) -> Mapping[str, tuple[str, Row]]:
        return {"prompt": (template(self.prompt, look.roots, f"origins.{look.origin}.prompt"), {"draft": "A draft."})}

    def responses(self, questions: Node, context: Context) -> Node:
        return self.reworked(context.responses_of(self.of, questions), context)

    def reworked(self, given: Node, context: Context) -> Node:
        """What the teacher makes of the responses that are given."""
        shown = drafts(given).named(context.label, self.kind)
        ((told, _),) = self.templates(context).values()
        node = generate(shown, context.model(self.model), told, self.sampling, context.seed)
        return node.named(context.label, self.kind)
