"""What `plan` and `run` say of how students' responses are rendered, and refuse, before any work."""

from contextlib import suppress
from pathlib import Path

from data.errors import at
from flows.schema import Study
from tasks.chat_template import WORTH_A_LOOK
from tasks.errors import StageFailed
from tasks.model import Model

FILES = ("chat_template*", "chat_templates/*.jinja", "tokenizer_config.json")


def check(study: Study, fetch: bool = False) -> tuple[str, ...]:
    """See that every student's chat template can render responses, where its files are on this machine.

    Args:
        fetch: have the tokenizers of the others downloaded.

    Returns:
        What a user should know, a line each.

    Raises:
        InputError: a template leaves a choice that the study does not make.
        StageFailed: a tokenizer or a template cannot be used.
    """
    notes: list[str] = []
    with at(study.file), at("student"):
        for model in study.models:
            if model.folder is not None and _worth_a_look(model.folder):
                notes += _notes(model)
            elif model.folder is None and fetch:
                with suppress(StageFailed):  # the stage that needs it says why it cannot be had
                    notes += _notes(model)
    return tuple(notes)


def _worth_a_look(folder: Path) -> bool:
    """Whether a model's files may need a choice: to load a tokenizer takes seconds."""
    paths = [path for pattern in FILES for path in folder.glob(pattern)]
    return any(WORTH_A_LOOK.search(path.read_text(encoding="utf-8", errors="replace")) for path in paths)


def _notes(model: Model) -> tuple[str, ...]:
    from tasks.render import renderer

    rendering = renderer(model)
    rendering.check()
    return rendering.notes
