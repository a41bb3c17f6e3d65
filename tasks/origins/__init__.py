"""Where training responses come from: one file a kind, with one class that describes the responses as a stage.

A new origin is one new file here; its options are the fields of its class, checked and documented by pydantic.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from data import kinds
from data.errors import InputError
from tasks.model import Model
from tasks.stage import Node


@dataclass(frozen=True)
class Context:
    """What a study knows that an origin may need."""

    origin: str
    """What the study calls this origin."""
    benchmark: str
    student: Model
    prompt: str
    """Text of the template that turns a question into a prompt."""
    seed: int
    roots: tuple[Path, ...] = ()
    """Folders from which relative paths of the study file are looked up, in this order."""

    @property
    def label(self) -> str:
        """What a step made for this origin is called in a run."""
        return f"{self.origin}/{self.benchmark}"


class Origin(BaseModel, ABC):
    """A kind of origin and its options. Every subclass has a `kind`, the name of its file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str

    @abstractmethod
    def responses(self, questions: Node, context: Context) -> Node:
        """The stage that answers the questions: rows with `sample`, `model` and `response`.

        Raises:
            InputError: an option names something that does not exist.
        """


def names() -> tuple[str, ...]:
    """The kinds of origin there are."""
    return kinds.names(sys.modules[__name__])


def find(kind: str) -> type[Origin]:
    """The class of a kind of origin.

    Raises:
        InputError: there is none; names the nearest and all there are.
    """
    module = kinds.load(sys.modules[__name__], kind, "origin")
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Origin) and value.__module__ == module.__name__
    ]
    assert len(classes) == 1, f"{module.__name__} must define one origin, not {len(classes)}"
    return classes[0]


def parse(options: str | Mapping[str, Any], where: str = "origins") -> Origin:
    """An origin from a study file: a kind by name alone, or a mapping with `kind` and its options.

    Raises:
        InputError: one line that names the key, its value and what is allowed.
    """
    given = {"kind": options} if isinstance(options, str) else dict(options)
    if not isinstance(given.get("kind"), str):
        raise InputError(f"{where}: has no kind. Allowed: {', '.join(names())}")
    try:
        cls = find(given["kind"])
    except InputError as error:
        raise InputError(f"{where}.kind: {error}") from None
    try:
        return cls.model_validate(given)
    except ValidationError as error:
        raise InputError(_one_line(error, cls, where)) from None


def _one_line(error: ValidationError, cls: type[Origin], where: str) -> str:
    first = error.errors()[0]
    place = ".".join([where, *map(str, first["loc"])])
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        return f"{where}: {kinds.unknown('option', str(first['loc'][0]), cls.model_fields)}"
    if first["type"] == "missing":
        return f"{place}: is missing"
    return f"{place}: {first['input']!r}: {first['msg']}"
