"""Contexts in which a response is read once more: a step after few steps before it, a piece after an example of style.

Each is a sequence whose prompt part is the context, and whose response part is what is read.
"""

from collections.abc import Sequence

from tasks.models.rendering import Rendered, Renderer
from tasks.steps.splitting import split
from tasks.storage.rows import Row

BEFORE = 4
"""Steps before a step that are read with it (Just et al. 2025, k = 4)."""
PIECE = 50
"""Tokens of a response that are read at a time (SPPL)."""
WAY = "sentences"
"""How a response is split into steps (tasks/steps/splitting.py)."""


def step_ends(text: str, renderer: Renderer) -> list[int]:
    """Tokens of a response up to the end of each of its steps; tokens that end the turn are of none. Of a response
    without text, none."""
    return split(text, WAY, renderer).ends if text.strip() else []


def local(rendered: Rendered, ends: Sequence[int]) -> list[tuple[Rendered, int]]:
    """The steps that have more than `BEFORE` steps before them, each after the prompt and `BEFORE` of these, with the
    number of the step. The other steps are read in the whole response as they are to be read here."""
    prompt, said = rendered.ids[: rendered.prompt_length], rendered.response_ids
    found = []
    for step in range(BEFORE + 1, len(ends)):
        window = said[ends[step - BEFORE - 1] : ends[step]]
        context = len(prompt) + ends[step - 1] - ends[step - BEFORE - 1]
        found.append((Rendered([*prompt, *window], context), step))
    return found


def in_context(
    template: str, row: Row, question: str, example: str, rendered: Rendered, renderer: Renderer
) -> list[Rendered]:
    """The pieces of a response, each after a prompt with the question, the example and the response up to the piece.

    Args:
        template: over the columns `question`, `example` and `before`.
        row: names the response in errors.
        question: the text of the prompt that the response answers.
        example: the student's own response to another question.
        rendered: the prompt and the response.
    """
    said = rendered.response_ids[: -len(renderer.end_ids)]
    found = []
    for start in range(0, len(said), PIECE):
        before = renderer.decode(said[:start]).strip()
        columns = {"id": row["id"], "question": question, "example": example, "before": before}
        prompt = renderer.prompt(template, columns)
        found.append(Rendered([*prompt, *said[start : start + PIECE]], len(prompt)))
    return found
