"""An evaluation question that a student has no room to answer is known before anything costly begins."""

from pathlib import Path
from typing import Any

import pytest

from data.errors import InputError
from tasks.answerable import answerable
from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows

PROMPT = "{{ question }}"


def question_of(model: Model, tokens: int) -> str:
    """A question whose prompt has so many tokens."""
    text = "no"
    while (missing := tokens - len(renderer(model).prompt(PROMPT, {"question": text}))) > 0:
        text += " no" * max(1, missing // 3)
    while len(renderer(model).prompt(PROMPT, {"question": text})) > tokens:
        text = text[:-1]
    return text


def found(folder: Path, model: Model, rows: list[Row], too_long: Any, max_tokens: int = 5) -> tuple[list[str], Work]:
    work = Work(folder, Runtime(Store(folder)), "answerable tickets test", {})
    kept = answerable.function(Rows.of(rows), model, PROMPT, max_tokens, too_long, work=work)
    assert len(kept) == len(list(kept))
    return [row["id"] for row in kept], work


def test_the_row_its_length_and_the_context_are_named(tiny: Model, tmp_path: Path) -> None:
    context = renderer(tiny).context
    rows = [{"id": f"test/{n}", "question": "1 + 1?", "gold": "2"} for n in range(9)]
    long = {"id": "test/9", "question": question_of(tiny, context), "gold": "2"}
    with pytest.raises(InputError) as refused:
        found(tmp_path, tiny, [*rows, long], "refuse")
    assert str(refused.value) == (
        f"row test/9: its prompt has {context} tokens, and {tiny.name} can hold {context} of prompt and "
        "response together (1 of 10 evaluation questions leave no room for an answer). Allowed: shorter questions, or "
        "questions.too_long: leave_out"
    )
    kept, work = found(tmp_path, tiny, [long, *rows], "leave_out")
    assert kept == [row["id"] for row in rows]
    assert (work.facts["asked"], work.facts["left_out"], work.facts["longest"]) == (10, 1, context)
    with pytest.raises(InputError, match="1 of 1 evaluation questions"):
        found(tmp_path, tiny, [long], "leave_out")


def test_one_token_of_room_is_enough_and_little_room_is_counted(tiny: Model, tmp_path: Path) -> None:
    context = renderer(tiny).context
    rows = [{"id": str(tokens), "question": question_of(tiny, tokens)} for tokens in (context - 1, context - 5, 40)]
    kept, work = found(tmp_path, tiny, rows, "refuse")
    assert kept == [str(context - 1), str(context - 5), "40"]
    assert (work.facts["left_out"], work.facts["short_of_room"]) == (0, 1)


def test_a_template_that_does_not_fit_is_named(tiny: Model, tmp_path: Path) -> None:
    work = Work(tmp_path, Runtime(Store(tmp_path)), "answerable tickets test", {})
    with pytest.raises(InputError, match="needs story, which row a lacks"):
        answerable.function(Rows.of([{"id": "a", "question": "?"}]), tiny, "{{ story }}", 5, "refuse", work=work)
