"""The stage contract: one decorator turns a plain function into a cached, resumable, retryable step of a study.

Calling a stage runs nothing: it returns a `Node`. `execute` makes a node's artifact, or finds it in the store, under a
key that is made of what goes in. Stage functions say nothing of caching, retries or Prefect.
"""

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from types import FunctionType
from typing import Any, get_type_hints

import pyarrow as pa

from tasks.models.endpoint import Endpoint
from tasks.models.model import Model
from tasks.models.sampling import Sampling
from tasks.pipeline import cache_key, fingerprint
from tasks.pipeline.declaration import Compute, Fact
from tasks.storage.rows import Rows

ENGINE: tuple[fingerprint.Definition, ...] = (
    ("tasks.engine.process", "VllmEngine"),
    ("tasks.engine.adapters", "StackedAdapters"),
    ("tasks.models.sampling", "parameters"),
)
"""What runs in the engine's process decides what it answers; no import leads there from a stage."""


@dataclass(frozen=True, eq=False)
class Node:
    """One stage with its inputs: a step of a plan.

    Its artifact lies under a key that is made of what its inputs hold, and so is known once they are there
    (`tasks.pipeline.artifact_keys`).
    """

    stage: "Stage"
    values: Mapping[str, Any]
    inputs: Mapping[str, Any]
    label: str = ""
    tags: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """Another process works its keys out anew, of its own code."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def named(self, label: str, *tags: str) -> "Node":
        """The same step under a name a person reads (`self/ledger`) and tags to search by. Neither is in the key."""
        return replace(self, label=label, tags=tuple(tags))

    @property
    def run_name(self) -> str:
        return f"{self.stage.name} {self.label}".strip()

    @property
    def model(self) -> str | None:
        """What identifies the model that the step runs, which decides what it costs; None for a step without one."""
        models = (value for value in self.values.values() if isinstance(value, Model | Endpoint))
        return next((cache_key.digest(one.identity())[:16] for one in models), None)

    @cached_property
    def described(self) -> dict[str, Any]:
        """Stage, values and code of the step by name, so that a miss can be explained; code by where it lies."""
        roots = [*self.stage.roots]

        def named(code: FunctionType | type) -> str:
            roots.append(fingerprint.root(code))
            return f"{code.__module__}.{code.__qualname__}"

        values = cache_key.encode(self.values, named, self.stage.name)
        return {"stage": self.stage.name, "values": values, "code": fingerprint.by_file(*dict.fromkeys(roots))}

    @cached_property
    def encoded_values(self) -> Mapping[str, Any]:
        """The values as a key has them, code by what it says."""

        def content(code: FunctionType | type) -> str:
            return fingerprint.content(fingerprint.root(code))

        encoded: Mapping[str, Any] = cache_key.encode(self.values, content, self.stage.name)
        return encoded

    @cached_property
    def code(self) -> str:
        """A digest of the stage's code, wherever it lies."""
        return fingerprint.content(*self.stage.roots)

    @cached_property
    def recipe(self) -> str:
        """What the step is in a plan, before anything was made: a digest of its stage, values and code, and of the
        recipes of its inputs."""
        return self.key(lambda needed: needed.recipe)

    def key(self, content: Callable[["Node"], str]) -> str:
        """The name of the step's artifact in a store.

        Args:
            content: a digest of what an input's artifact holds.
        """
        return cache_key.digest(
            {
                "stage": self.stage.name,
                "values": self.encoded_values,
                "inputs": self.encoded_inputs(content),
                "code": self.code,
            }
        )

    def encoded_inputs(self, content: Callable[["Node"], str]) -> dict[str, Any]:
        """The inputs as a key has them: nodes by what their artifacts hold, what stands beside them as it is."""
        return {name: _encoded(value, content, f"{self.stage.name}.{name}") for name, value in self.inputs.items()}

    @cached_property
    def upstream(self) -> tuple["Node", ...]:
        """The nodes whose artifacts this one reads."""
        return tuple(node for value in self.inputs.values() for node in nodes_in(value))

    @property
    def asked(self) -> "Node":
        """The questions that the step's rows are about."""
        return self.upstream[0].asked if self.upstream and not self.stage.own_questions else self

    @property
    def expected_rows(self) -> int:
        """Rows the step makes, as far as the plan tells; 0 where it takes whatever there is."""
        if self.stage.rows is not None:
            return self.stage.rows(self) or 0
        samples = next((value.n for value in self.values.values() if isinstance(value, Sampling)), 1)
        return samples * self.upstream[0].expected_rows if self.upstream else 0


def one_a_question(node: Node) -> int | None:
    """Rows of a stage that makes one of however many samples a question has."""
    return node.asked.expected_rows


def nodes_in(value: Any) -> list[Node]:
    """The nodes in an input: one, or those in a mapping, a sequence or the fields of a record (a dataclass)."""
    if isinstance(value, Node):
        return [value]
    if isinstance(value, Mapping):
        inside: Iterable[Any] = value.values()
    elif isinstance(value, tuple | list):
        inside = value
    elif is_record(value):
        inside = (getattr(value, each.name) for each in fields(value))
    else:
        return []
    return [node for item in inside for node in nodes_in(item)]


def is_record(value: Any) -> bool:
    """Whether it is a dataclass's object, whose fields may hold nodes beside plain values."""
    return is_dataclass(value) and not isinstance(value, type)


def _encoded(value: Any, content: Callable[[Node], str], where: str) -> Any:
    if isinstance(value, Node):
        return content(value)
    if isinstance(value, Mapping):
        return {name: _encoded(item, content, f"{where}.{name}") for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_encoded(item, content, where) for item in value]
    if is_record(value) and nodes_in(value):
        return {
            each.name: _encoded(getattr(value, each.name), content, f"{where}.{each.name}") for each in fields(value)
        }
    return cache_key.encode(value, _no_code, where)


def _no_code(code: Any) -> str:
    raise TypeError(f"{code.__qualname__} is code, which stands in no input: make it a value of its own")


@dataclass(frozen=True, eq=False)
class Stage:
    """A stage function and how it is run. Calling it describes a step; see `Node`."""

    function: FunctionType
    per_row: bool
    retries: int
    slot: str
    gpu: bool = False
    summary: Callable[[Rows], dict[str, Any]] | None = None
    unit: str = "rows"
    adds: tuple[str, ...] = ()
    rows: Callable[[Node], int | None] | None = None
    compute: Compute | None = None
    facts: tuple[Fact, ...] = ()
    table: Callable[[Mapping[str, Any]], dict[str, str]] | None = None
    own_questions: bool = False
    reads_manifests: bool = False
    adopted: Callable[[pa.Table, int], pa.Table] | None = None
    samples: str = ""

    def __reduce__(self) -> tuple[Callable[[str, str], Any], tuple[str, str]]:
        """A stage travels to another process by name: its module holds it where its function stood."""
        return _stage_of, (self.function.__module__, self.name)

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def roots(self) -> tuple[fingerprint.Definition, ...]:
        """Where the code starts that decides the stage's results."""
        taken = (fingerprint.root(self.adopted),) if isinstance(self.adopted, FunctionType) else ()
        return fingerprint.root(self.function), *taken, *(ENGINE if self.slot == "engine" else ())

    @cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

    @cached_property
    def hints(self) -> dict[str, Any]:
        return get_type_hints(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Node:
        bound = self.signature.bind(*args, **kwargs, **({"work": None} if "work" in self.signature.parameters else {}))
        bound.apply_defaults()
        arguments = {name: value for name, value in bound.arguments.items() if name != "work"}
        inputs = {name: value for name, value in arguments.items() if nodes_in(value)}
        values = {name: value for name, value in arguments.items() if name not in inputs}
        return Node(self, values, inputs)

    def step_table(self, facts: Mapping[str, Any]) -> dict[str, str]:
        """What a person is shown of a finished step: a table's rows, empty where there is nothing to show."""
        if self.table is not None:
            return self.table(facts)
        shown = [fact for fact in self.facts if fact.words and fact.name in facts and fact.told(facts[fact.name])]
        return {fact.words: fact.form(facts[fact.name]) for fact in shown}


def _stage_of(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def stage(
    per_row: bool = False,
    retries: int = 3,
    slot: str = "cpu",
    gpu: bool = False,
    summary: Callable[[Rows], dict[str, Any]] | None = None,
    *,
    unit: str = "rows",
    adds: tuple[str, ...] = (),
    rows: Callable[[Node], int | None] | None = None,
    compute: Compute | None = None,
    facts: tuple[Fact, ...] = (),
    table: Callable[[Mapping[str, Any]], dict[str, str]] | None = None,
    own_questions: bool = False,
    reads_manifests: bool = False,
    adopted: Callable[[pa.Table, int], pa.Table] | None = None,
    samples: str = "",
) -> Callable[[Callable[..., Any]], Stage]:
    """Make a function a stage.

    Args:
        per_row: the function takes rows as its first argument and yields, for each of them and in any order, one
            output row or a list of them, carrying the row's `id` (and `sample`, where its input has one). Finished
            rows are kept as they come, and only unfinished ones are handed in on the next try.
            Otherwise the function writes files into `work.folder`, or returns `Rows`, a list of rows, or an iterator
            of rows; the last, and `Rows` that are not held in memory, are written as they come.
        retries: how often a `Transient` failure is tried again.
        slot: what it occupies while it runs: "cpu", "engine" (shared by any number of stages) or "trainer".
        gpu: whether it uses a GPU where there is one, though it is neither engine nor trainer.
        summary: facts for the manifest about all finished rows, those of earlier tries included.
        reads_manifests: it tells how its inputs were made, so that their keys count beside what they hold.
        adopted: of finished rows that another artifact of a per-row stage has, those that this one would have made,
            where it has so many input rows: none that failed for a passing reason. By default all.
        samples: the parameter, a `Sampling`, whose `n` says how many rows a per-row stage makes of each input row,
            where that is the only thing it changes: more samples are then put to those that another artifact has.

    What plans, pages and reports ask of it (tasks/pipeline/declaration.py); none of it is part of the key:
        unit: what its progress counts.
        adds: columns that it adds to its rows. Of a stage in `tasks`, no question has columns of these names.
        rows: how many rows a node of it makes, None where that is not known before it runs. By default as many as
            its first input, times the samples of its `Sampling`.
        compute: what it does with a language model, if it does.
        facts: those of its facts that are shown, reported, or added up over shares of its rows.
        table: what a person is shown of a finished step, made of its facts, in place of those that have `words`.
        own_questions: its rows are new questions, which the rows of later steps are about.

    A parameter that is given nodes is an input; every other one is part of the key, except `work`.
    """

    def decorate(function: Callable[..., Any]) -> Stage:
        assert isinstance(function, FunctionType)
        declared = (unit, adds, rows, compute, facts, table, own_questions, reads_manifests, adopted, samples)
        return Stage(function, per_row, retries, slot, gpu, summary, *declared)

    return decorate
