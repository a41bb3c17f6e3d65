"""What `plan` and `run` say of how students' responses are rendered, and refuse, before any work."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import InputError, at
from flows.config.schema import Study
from tasks.kinds.origins import Origin
from tasks.models import endpoint, model_files
from tasks.models.chat_template import WORTH_A_LOOK
from tasks.models.model import BUNDLED, Model, Named, weights
from tasks.resources.errors import StageFailed

if TYPE_CHECKING:
    from tasks.models.rendering import Renderer

SECONDS = 30
"""Processor time in which a model's tokenizer is loaded and its chat template has rendered a few turns."""
FILES = ("chat_template*", "chat_templates/*.jinja", "tokenizer_config.json")


def check(study: Study, fetch: bool = False) -> tuple[str, ...]:
    """See that the study's models can be asked, where their files are on this machine, and students be trained.

    That is: the tokenizer and the configuration can be loaded, the chat template renders prompts, and of students
    responses too.

    Args:
        fetch: have the tokenizers of the others downloaded.

    Returns:
        What a user should know, a line each.

    Raises:
        InputError: a template leaves a choice that the study does not make, or a model on this machine cannot be used.
    """
    notes: list[str] = []
    with at(study.file):
        with at("student"):
            for model in study.models:
                if model.folder is not None and _worth_a_look(model, model.folder):
                    model_files.check_continues(model.name, model.folder, model.remote_code)
                    notes += _notes(loaded(model))
                elif model.folder is None and fetch:
                    from tasks.models.rendering import renderer

                    with suppress(StageFailed):  # the stage that needs it says why it cannot be had
                        notes += _notes(renderer(model))
        for name, origin in study.origins.items():
            for teacher in _teachers(study, f"origins.{name}.model", origin):
                with at(f"origins.{name}.model"):
                    loaded(teacher)
    return tuple(notes)


def _teachers(study: Study, where: str, origin: Origin) -> Iterator[Model]:
    """The models that an origin asks, where they lie on this machine and may need a look."""
    for name in origin.models_asked:
        if name.startswith(endpoint.PREFIX):
            continue
        model = weights(name, Named(where, study.roots, frozenset(study.trust_remote_code)))
        if model.folder is not None and model.folder.parent != BUNDLED and not model.remote_code:
            yield model.choosing(study.thinking.get(name))


def _worth_a_look(model: Model, folder: Path) -> bool:
    """Whether a model may need a choice, or may not be one that can be used: to load a tokenizer takes seconds, and may
    run code that comes with the model."""
    if folder.parent != BUNDLED and not model.remote_code:
        return True
    paths = [path for pattern in FILES for path in folder.glob(pattern)]
    return any(WORTH_A_LOOK.search(path.read_text(encoding="utf-8", errors="replace")) for path in paths)


def loaded(model: Model) -> "Renderer":
    """What renders for a model. Files of one on this machine are input.

    Raises:
        StageFailed: it cannot be downloaded.
        InputError: its tokenizer or configuration cannot be loaded, or its chat template cannot be used.
    """
    import transformers  # noqa: F401 (to import it takes time of its own)

    from tasks.models.rendering import renderer

    try:
        with _limited():
            return renderer(model)
    except StageFailed as error:
        if model.folder is None:  # it could not be downloaded, say
            raise
        raise InputError(str(error)) from error


@contextmanager
def _limited() -> Iterator[None]:
    """End a chat template that never ends, where signals can be had: in the process's main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def too_long(*_: Any) -> None:
        raise TimeoutError(f"it needs more than {SECONDS} s")

    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _notes(rendering: "Renderer") -> tuple[str, ...]:
    rendering.check()
    return rendering.notes
