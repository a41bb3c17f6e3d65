"""The evaluation questions that a student has room to answer, known before anything costly begins."""

from collections.abc import Iterator
from typing import Literal

import pyarrow as pa

from data.errors import InputError
from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.storage.rows import Rows, Streamed


@stage(
    facts=(
        Fact("asked", "questions"),
        Fact("left_out", "left out, since their prompts fill the context"),
        Fact("short_of_room", "leave less room than an answer may have tokens"),
        Fact("longest", "tokens of the longest prompt"),
    )
)
def answerable(
    questions: Rows, model: Model, prompt: str, max_tokens: int, too_long: Literal["refuse", "leave_out"], *, work: Work
) -> Rows:
    """Questions whose prompt leaves the model's context room for a response of at least one token.

    Args:
        prompt: a Jinja template over the question's columns, as `evaluate` asks it.
        max_tokens: tokens a response may have.
        too_long: what becomes of a question whose prompt fills the context.

    Facts: `asked`, `left_out` (questions), `context` and `longest` (tokens of the longest prompt), and `short_of_room`:
    questions that are kept and leave less than `max_tokens` for the response, which is then cut off at the context.

    Raises:
        InputError: a prompt fills the context and is not to be left out, or all do; names the longest, row and tokens.
            Or the template names a column the questions lack.
    """
    rendering = renderer(model)
    kept: list[bool] = []
    longest, longest_row, short_of_room = 0, "", 0
    for row in questions:
        tokens = len(rendering.prompt(prompt, row))
        kept.append(tokens < rendering.context)
        short_of_room += kept[-1] and tokens + max_tokens > rendering.context
        if tokens > longest:
            longest, longest_row = tokens, str(row["id"])
    asked, left_out = len(kept), len(kept) - sum(kept)
    if left_out and (too_long == "refuse" or left_out == asked):
        raise InputError(
            f"row {longest_row}: its prompt has {longest} tokens, and {model.name} "
            f"can hold {rendering.context} of prompt and response together ({left_out} of {asked} evaluation questions "
            "leave no room for an answer). Allowed: shorter questions"
            + (", or questions.too_long: leave_out" if left_out < asked else "")
        )
    if left_out:
        work.note(f"{left_out} of {asked} evaluation questions are left out: too long for {model.name}")
    if short_of_room:
        work.note(f"{short_of_room} evaluation questions leave {model.name} less than {max_tokens} tokens to answer")
    work.facts |= {
        "asked": asked,
        "left_out": left_out,
        "short_of_room": short_of_room,
        "longest": longest,
        "context": rendering.context,
        "template": rendering.hash,
    }

    def made() -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in questions.batches():
            yield batch.filter(pa.array(kept[start : start + batch.num_rows], pa.bool_()))
            start += batch.num_rows

    return Streamed(questions.schema, asked - left_out, made)
