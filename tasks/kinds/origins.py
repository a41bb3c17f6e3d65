"""Where training responses come from: one file a kind, with one class that describes the responses as a stage.

A new origin is one new file here; its options are the fields of its class, checked and documented by pydantic.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FunctionType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from data import kinds
from data.bounds import MOST_TOKENS, Share, Temperature, Whole
from data.errors import InputError
from data.options import of_kind
from tasks.models.endpoint import Endpoint
from tasks.models.model import Model, Named, resolve
from tasks.models.sampling import Sampling
from tasks.pipeline.stage import Node
from tasks.storage.rows import Row, Rows


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
    of: str = ""
    """What steps are called by first: `<student>/` in a study of several."""
    verifier: FunctionType | None = None
    """The benchmark's `judge`, for origins that choose among responses by their verdict."""
    origins: Mapping[str, "Origin"] = field(default_factory=dict)
    """All origins of the study by name, for those that work on another's responses."""
    remote_code: frozenset[str] = frozenset()
    """Names of models whose own code the study trusts."""
    thinking: Mapping[str, bool] = field(default_factory=dict)
    """Whether a model thinks before it answers, by its name in the study."""
    inside: tuple[str, ...] = ()
    """Origins that are being described just now, outermost first: none may need itself."""

    @property
    def label(self) -> str:
        """What a step made for this origin is called in a run."""
        return f"{self.of}{self.origin}/{self.benchmark}"

    def model(self, name: str) -> Model | Endpoint:
        """The model that an option of this origin names.

        Raises:
            InputError: there is none, or the study may not use it.
        """
        found = resolve(name, Named(f"origins.{self.origin}.model", self.roots, self.remote_code))
        return found.choosing(self.thinking.get(name)) if isinstance(found, Model) else found

    def responses_of(self, name: str, questions: Node) -> Node:
        """The responses of another of the study's origins: the same step as the study's own, made once.

        Raises:
            InputError: there is no such origin, or it needs this one's responses itself.
        """
        if name not in self.origins:
            raise InputError(f"origins.{self.origin}.of: {kinds.unknown('origin', name, self.origins)}")
        inside = (*self.inside, self.origin)
        if name in inside:
            raise InputError(f"origins.{self.origin}.of: {' needs '.join([*inside, name])}, which has no beginning")
        return self.origins[name].responses(questions, replace(self, origin=name, inside=inside))


@dataclass(frozen=True)
class Look:
    """What an origin may look at before a study runs."""

    origin: str
    """What the study calls it."""
    roots: tuple[Path, ...]
    """Folders from which relative paths of the study file are looked up, in this order."""
    small: int
    """Bytes of a file that may be read whole."""


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

    def check(self, questions: Rows, look: Look) -> None:
        """See, as far as that costs nothing, that this origin will find responses to these questions.

        Raises:
            InputError: it will not; names the option where it is one's fault.
        """
        return

    def templates(self, look: Look) -> Mapping[str, tuple[str, Row]]:
        """The templates it fills for each question, by option, with columns that the question will have beside its own.

        Raises:
            InputError: there is no such template.
        """
        return {}


class Written(Origin, ABC):
    """An origin whose responses a model writes, and how they are drawn from it."""

    samples: Whole = Field(default=1, ge=1, le=1000, description="Responses to each question; one correct one is kept.")
    temperature: Temperature = Field(default=0.0, description="0 is greedy, higher is more varied.")
    top_p: Share = Field(default=1.0, description="Share of probability kept, likeliest tokens first.")
    max_tokens: Whole = Field(
        default=512, ge=1, le=MOST_TOKENS, description="Tokens after which a response is cut off."
    )

    @property
    def sampling(self) -> Sampling:
        return Sampling(n=self.samples, temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)


def names() -> tuple[str, ...]:
    """The kinds of origin there are."""
    return kinds.names("tasks.origins")


def find(kind: str) -> type[Origin]:
    """The class of a kind of origin.

    Raises:
        InputError: there is none; names the nearest and all there are.
    """
    module = kinds.load("tasks.origins", kind, "origin")
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Origin) and value.__module__ == module.__name__
    ]
    assert len(classes) == 1, f"{module.__name__} must define one origin, not {len(classes)}"
    return classes[0]


def kinds_by_name() -> Mapping[str, type[Origin]]:
    """Every origin by name."""
    return {kind: find(kind) for kind in names()}


def parse(options: Any, where: str, default: str = "") -> Origin:
    """An origin from a study file: a kind by name alone, or a mapping with `kind` and its options.

    Args:
        where: its place in the study file, for errors.
        default: the kind of one that names none.

    Raises:
        OptionError: one line that names the key, its value and what is allowed.
    """
    origin = of_kind(kinds_by_name(), options, default, where, "origin")
    assert isinstance(origin, Origin)
    return origin
