"""Methods: how the student learns. One file a method, each with one subclass of `Method`; its name is the file's."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from data import kinds
from tasks.models.model import Model
from tasks.models.rendering import Renderer
from tasks.storage.rows import Row


@dataclass(frozen=True)
class Training:
    """What a trainer process is handed."""

    model: Model
    examples: Path
    """Parquet file of what the method's `prepare` made."""
    folder: Path
    """Gets `adapter/` and `probe.json`."""
    scratch: Path
    seed: int
    progress: Callable[[int, int], None]
    """Told the optimiser steps done, and of how many."""
    log: Callable[[str], None] = lambda text: None
    """Told what a reader of the run's log wants to know, in a line."""


class Method(BaseModel, ABC):
    """Settings of one way to learn, and how it is done. Both are part of an adapter's key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    takes: ClassVar[Literal["responses", "pairs"]] = "responses"
    """What training rows it learns from."""
    kind: str

    @abstractmethod
    def prepare(self, rows: list[Row], renderer: Renderer, prompt: str) -> list[Row]:
        """Training examples made of the stage's rows: flat rows of numbers, texts and lists of token ids.

        Each has a column `tokens`, the length that the model sees at most. Runs where the study runs.
        """

    @abstractmethod
    def train(self, training: Training) -> dict[str, Any]:
        """Train an adapter into `training.folder`; returns facts for the manifest. Runs in a trainer process."""

    def check(self, models: Sequence[Model]) -> None:
        """See, without loading them, that the models can learn this way.

        Raises:
            InputError: one cannot; names the option.
        """
        return

    @property
    def longest(self) -> int | None:
        """Tokens an example may have; None for the model's context. Longer rows are left out by `select`, for all arms
        alike, and never by the method."""
        return None

    def identity(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return {**fields, "code": type(self)}


@functools.cache
def kinds_by_name() -> Mapping[str, type[Method]]:
    """Every method by name."""
    return {name: _find(name) for name in kinds.names("tasks.methods")}


def _find(name: str) -> type[Method]:
    module = kinds.load("tasks.methods", name, "method")
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__
    )
