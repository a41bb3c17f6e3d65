"""What an origin is: where training rows come from. One file a kind in tasks/origins, with one subclass of `Origin`.

A new origin is one new file there; its options are the fields of its class, checked and documented by pydantic. An
option called `of` names other origins of the study that it works on, one called `by` an arm whose student it needs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict

from data import kinds
from data.benchmark import Feedback
from data.errors import InputError
from data.options import of_kind
from tasks.models.endpoint import Endpoint, StudyEndpoints
from tasks.models.model import Model, Named, resolve
from tasks.pipeline.stage import Node
from tasks.storage.rows import Row, Rows

Gives = Literal["responses", "pairs"]
"""What training rows are made of: responses, or pairs of a chosen and a rejected one."""


@dataclass(frozen=True)
class OriginRows:
    """An origin's rows for one student: two steps over the same rows in the same order, which may be one and the same.

    Rows have `id`, `sample`, `response` and the question's columns; pairs have `rejected` beside the chosen `response`.
    """

    verdicts: Node
    """Adds `verdict`, as `verify`."""
    perplexities: Node
    """Adds `prompt_tokens`, `tokens`, `nll` and `perplexity`, as `score`."""


@dataclass(frozen=True)
class LiveAdapter:
    """An arm's adapter, and the step that shows that an engine serves it."""

    adapter: Node
    attested: Node


def _no_arm(name: str) -> LiveAdapter:
    raise InputError(f"by: {name} is no arm of this study")


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
    feedback: Feedback | None = None
    """What the benchmark's people say of a response, where it has any."""
    to_evaluate: Mapping[str, Node] = field(default_factory=dict)
    """The evaluation questions by benchmark, which no question that an origin brings may give away."""
    origins: Mapping[str, "Origin"] = field(default_factory=dict)
    """All origins of the study by name, for those that work on another's responses."""
    remote_code: frozenset[str] = frozenset()
    """Names of models whose own code the study trusts."""
    thinking: Mapping[str, bool] = field(default_factory=dict)
    """Whether a model thinks before it answers, by its name in the study."""
    endpoints: StudyEndpoints = field(default_factory=StudyEndpoints)
    """How the study uses models behind endpoints: their settings, and whose budget they are counted against."""
    inside: tuple[str, ...] = ()
    """Origins that are being described just now, outermost first: none may need itself."""
    after: Callable[[str], LiveAdapter] = _no_arm
    """The adapter of an arm of this study, by the arm's name: of the same student, benchmark, size and seed."""
    drawn: str = ""
    """What steps of rows that are drawn for one size and seed are called by last: ` size 50 seed 0`."""
    draw_of: Callable[[str], tuple[int, str]] | None = None
    """`seed` and `drawn` of another of the study's origins, which need not be drawn anew where this one is; None: this
    one's."""

    @property
    def label(self) -> str:
        """What a step made for this origin is called in a run."""
        return f"{self.of}{self.origin}/{self.benchmark}{self.drawn}"

    def judge(self, kind: str) -> FunctionType:
        """The benchmark's verifier, for a kind of origin that needs one.

        Raises:
            InputError: there is none.
        """
        if self.verifier is None:
            raise InputError(f"origins.{self.origin}: {kind} needs a benchmark with a verifier")
        return cast("FunctionType", self.verifier)  # not the bound method that mypy takes it for

    def live(self, by: str) -> tuple[Node | None, Node | None]:
        """The adapter of an arm, and the step that shows that it is live; no adapter where no arm is named."""
        if not by:
            return None, None
        after = self.after(by)
        return after.adapter, after.attested

    def model(self, name: str) -> Model | Endpoint:
        """The model that an option of this origin names.

        Raises:
            InputError: there is none, or the study may not use it.
        """
        found = resolve(name, Named(f"origins.{self.origin}.model", self.roots, self.remote_code, self.endpoints))
        return found.choosing(self.thinking.get(name)) if isinstance(found, Model) else found

    def responses_of(self, name: str, questions: Node) -> Node:
        """The responses of another of the study's origins: the same step as the study's own, made once.

        Raises:
            InputError: there is no such origin, or it needs this one's responses itself.
        """
        other, context = self._other(name)
        return other.responses(questions, context)

    def rows_of(self, name: str, questions: Node) -> OriginRows:
        """The verified and scored rows of another of the study's origins: the same steps as the study's own.

        Raises:
            InputError: there is no such origin, or it needs this one's rows itself.
        """
        other, context = self._other(name)
        return other.rows(questions, context)

    def _other(self, name: str) -> "tuple[Origin, Context]":
        if name not in self.origins:
            raise InputError(f"origins.{self.origin}.of: {kinds.unknown('origin', name, self.origins)}")
        inside = (*self.inside, self.origin)
        if name in inside:
            raise InputError(f"origins.{self.origin}.of: {' needs '.join([*inside, name])}, which has no beginning")
        if (other := self.origins[name]).gives != "responses":
            raise InputError(f"origins.{self.origin}.of: {name} gives {other.gives}; allowed are origins of responses")
        if other.answers == "drafts":
            raise InputError(
                f"origins.{self.origin}.of: {name} responds to drafts; allowed are origins that respond to questions"
            )
        seed, drawn = self.draw_of(name) if self.draw_of is not None else (self.seed, self.drawn)
        return other, replace(self, origin=name, inside=inside, seed=seed, drawn=drawn)


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
    """A kind of origin and its options. Every subclass has a `kind`, the name of its file.

    Most give responses: they extend `tasks.origins._responses.Responses` and say only who answers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gives: ClassVar[Gives] = "responses"
    answers: ClassVar[Literal["questions", "drafts"]] = "questions"
    """What its rows respond to: other origins can work on responses to questions alone."""
    kind: str

    @abstractmethod
    def rows(self, questions: Node, context: Context) -> OriginRows:
        """The steps that make its rows for these questions.

        Raises:
            InputError: an option names something that does not exist.
        """

    def responses(self, questions: Node, context: Context) -> Node:
        """The stage that answers the questions: rows with `sample`, `model` and `response`.

        Raises:
            InputError: an option names something that does not exist.
        """
        raise InputError(f"origins.{context.origin}: {self.kind} gives {self.gives}, not responses")

    def questions(self, asked: Node, context: Context) -> Node:
        """The questions that its rows answer: the benchmark's (`asked`), or others that it poses.

        Raises:
            InputError: an option names something that does not exist, or it cannot pose questions of this benchmark.
        """
        return asked

    def prompt_template(self, context: Context) -> str:
        """The template by which its rows are scored and trained with: the benchmark's, or its own."""
        return context.prompt

    @property
    def kept(self) -> int:
        """Rows that an arm takes of each question, at most: its option `keep`, where it has one."""
        return int(getattr(self, "keep", 1))

    @property
    def posed_at_most(self) -> int | None:
        """How many questions it poses at most, in place of the benchmark's (`questions`); None for one that poses none.
        Origins that work on its responses answer the same."""
        return None

    @property
    def own_questions(self) -> str:
        """The option by which some of its rows are about other questions than the benchmark's; empty for none."""
        return ""

    @property
    def own_words(self) -> bool:
        """Whether its rows are what the student itself says to the benchmark's questions, before any training."""
        return False

    @property
    def models_asked(self) -> tuple[str, ...]:
        """Models other than the student that write for it, as the study names them."""
        return ()

    @property
    def origins_needed(self) -> tuple[str, ...]:
        """Other origins of the study, whose rows it works on."""
        of = getattr(self, "of", ())
        return tuple(dict.fromkeys([of] if isinstance(of, str) and of else of))

    @property
    def arms_needed(self) -> tuple[str, ...]:
        """Arms whose students it needs."""
        by = getattr(self, "by", None)
        return (by,) if by else ()

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


def names() -> tuple[str, ...]:
    """The kinds of origin there are."""
    return kinds.names("tasks.origins")


def find(kind: str) -> type[Origin]:
    """The class of a kind of origin.

    Raises:
        InputError: there is none; names the nearest and all there are.
    """
    return kinds.only_class(kinds.load("tasks.origins", kind, "origin"), Origin)  # type: ignore[type-abstract]


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
