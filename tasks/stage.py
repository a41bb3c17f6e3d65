"""The stage contract: one decorator turns a plain function into a cached, resumable, retryable step of a study.

Calling a stage runs nothing: it returns a `Node`, which knows its key from what goes in. `execute` makes a node's
artifact, or finds it in the store. Stage functions say nothing of caching, retries or Prefect.
"""

import contextlib
import importlib
import inspect
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import Any, get_type_hints

from tasks import disk, fingerprint, identity
from tasks.endpoint import Endpoint
from tasks.errors import StageFailed, Transient
from tasks.model import Model
from tasks.parts import Parts
from tasks.rows import Row, RowFile, Rows, Streamed, in_tables
from tasks.runtime import Runtime
from tasks.store import Artifact
from tasks.versions import versions

PROGRESS_SECONDS = 0.1
"""How often it is said how far a stage is, at most."""
ADDED = frozenset({"prompts", "tokens", "unusable", "api_kept", "no_room"})
WEIGHED = frozenset({"cut_off"})
"""What stages say of the rows they made: counts, and shares of them."""

ENGINE: tuple[fingerprint.Definition, ...] = (
    ("tasks.engine.process", "Served"),
    ("tasks.engine.adapters", "StackedAdapters"),
    ("tasks.sampling", "parameters"),
)
"""What runs in the engine's process decides what it answers; no import leads there from a stage."""


@dataclass(frozen=True, eq=False)
class Node:
    """One stage with its inputs: a step of a plan, and the name of the artifact it makes."""

    stage: "Stage"
    values: Mapping[str, Any]
    inputs: Mapping[str, Any]
    label: str = ""
    tags: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """Another process works its key out anew, of its own code."""
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
        return next((identity.digest(one.identity())[:16] for one in models), None)

    @cached_property
    def ingredients(self) -> dict[str, Any]:
        """Everything the key is hashed from, by name, so that a miss can be explained."""
        roots = [*self.stage.roots]
        values = identity.encode(self.values, lambda code: roots.append(fingerprint.root(code)), self.stage.name)
        inputs = {name: _keys(value) for name, value in self.inputs.items()}
        code = fingerprint.fingerprint(*dict.fromkeys(roots))
        return {"stage": self.stage.name, "values": values, "inputs": inputs, "code": code}

    @cached_property
    def key(self) -> str:
        return identity.digest(self.ingredients)

    @cached_property
    def upstream(self) -> tuple["Node", ...]:
        """The nodes whose artifacts this one reads."""
        return tuple(node for value in self.inputs.values() for node in _nodes(value))


def _nodes(value: Any) -> list[Node]:
    if isinstance(value, Node):
        return [value]
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value)


def _keys(value: Any) -> Any:
    if isinstance(value, Node):
        return value.key
    if isinstance(value, Mapping):
        return {name: node.key for name, node in value.items()}
    return [node.key for node in value]


def _is_input(value: Any) -> bool:
    if isinstance(value, Node):
        return True
    inside = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, tuple) else []
    return bool(inside) and all(isinstance(item, Node) for item in inside)


@dataclass
class Work:
    """What a running stage is handed: a folder for its files, the runtime, and a way to say how far it is."""

    folder: Path
    """Files written here become the artifact."""
    runtime: Runtime
    run_name: str
    facts: dict[str, Any]
    """What the stage wants to say of its result; kept in the manifest."""
    total: int = 0
    """Rows of the first input of a per-row stage, the ones finished on an earlier try included."""
    made: int = 0
    """Rows a per-row stage has made in this try."""
    partial: bool = False
    """Whether only a share of a per-row stage's rows is at hand: what can only be decided over all of them is left
    unfinished, for the one who puts the shares together."""
    elsewhere: float = 0.0
    """Seconds of the stage's slot that others took to make shares of the rows."""

    @property
    def scratch(self) -> Path:
        """A folder that outlives a failed try and is emptied when the artifact is complete."""
        path = self.folder / "scratch"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def progress(self, done: int, total: int) -> None:
        self.runtime.listener("progress", self.run_name, {"done": done, "total": total})

    def note(self, text: str) -> None:
        """One line for the person watching."""
        self.runtime.listener("note", self.run_name, {"text": text})

    def log(self, text: str) -> None:
        """One line for who reads the log of this run."""
        self.runtime.listener("log", self.run_name, {"text": text})


@dataclass(frozen=True, eq=False)
class Stage:
    """A stage function and how it is run. Calling it describes a step; see `Node`."""

    function: FunctionType
    per_row: bool
    retries: int
    slot: str
    facts: Callable[[Rows], dict[str, Any]] | None = None
    gpu: bool = False

    def __reduce__(self) -> tuple[Callable[[str, str], Any], tuple[str, str]]:
        """A stage travels to another process by name: its module holds it where its function stood."""
        return _stage_of, (self.function.__module__, self.name)

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def roots(self) -> tuple[fingerprint.Definition, ...]:
        """Where the code starts that decides the stage's results."""
        return fingerprint.root(self.function), *(ENGINE if self.slot == "engine" else ())

    @cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Node:
        bound = self.signature.bind(*args, **kwargs, **({"work": None} if "work" in self.signature.parameters else {}))
        bound.apply_defaults()
        arguments = {name: value for name, value in bound.arguments.items() if name != "work"}
        inputs = {name: value for name, value in arguments.items() if _is_input(value)}
        values = {name: value for name, value in arguments.items() if name not in inputs}
        return Node(self, values, inputs)

    def arguments(self, node: Node, artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
        """What the function is called with: values as they are, inputs as rows or artifacts as annotated."""

        def read(value: Any, rows: bool) -> Any:
            if isinstance(value, Node):
                artifact = artifacts[value.key]
                return artifact.rows() if rows else artifact
            if isinstance(value, Mapping):
                return {name: read(node, rows) for name, node in value.items()}
            return tuple(read(node, rows) for node in value)

        read_in = {
            name: read(value, rows="Artifact" not in str(self._hints[name])) for name, value in node.inputs.items()
        }
        return {**node.values, **read_in}


def _stage_of(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def stage(
    per_row: bool = False,
    retries: int = 3,
    slot: str = "cpu",
    facts: Callable[[Rows], dict[str, Any]] | None = None,
    gpu: bool = False,
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
        facts: what to say, in the manifest, of all finished rows, those of earlier tries included.
        gpu: whether it uses a GPU where there is one, though it is neither engine nor trainer.

    A parameter that is given nodes is an input; every other one is part of the key, except `work`.
    """

    def decorate(function: Callable[..., Any]) -> Stage:
        assert isinstance(function, FunctionType)
        return Stage(function, per_row, retries, slot, facts, gpu)

    return decorate


def execute(node: Node, runtime: Runtime) -> tuple[Artifact, bool]:
    """Make the node's artifact, or find it. Returns it and whether it was already there.

    The artifacts of `node.upstream` must have been made; one that was damaged or lost since is made again.

    Raises:
        StageFailed: the stage cannot give a result that could be believed, or the disk is full.
        Transient: trying again may help.
    """
    with disk.room(runtime.store.root), runtime.store.lock(node.stage.name, node.key):
        found = runtime.store.find(node.stage.name, node.key)
        if found is not None:
            runtime.listener("hit", node.run_name, {})
            return found, True
        return _make(node, runtime), False


def inputs_of(node: Node, runtime: Runtime) -> tuple[dict[str, Artifact], dict[str, Any]]:
    """The artifacts a step reads, by key, and what its function is called with."""
    artifacts = {needed.key: _input(needed, runtime) for needed in node.upstream}
    return artifacts, node.stage.arguments(node, artifacts)


def _make(node: Node, runtime: Runtime) -> Artifact:
    store = runtime.store
    artifacts, arguments = inputs_of(node, runtime)
    started = time.time()
    folder = store.folder(node.stage.name, node.key)
    folder.mkdir(parents=True, exist_ok=True)
    work = Work(folder, runtime, node.run_name, {})
    runtime.listener("start", node.run_name, {})
    if "work" in node.stage.signature.parameters:
        arguments["work"] = work
    run = _put_together if node.stage.per_row else _run_whole
    with runtime.shares.taking(node.stage.slot) as busy:
        rows = run(node, arguments, work)
    if node.stage.facts is not None:
        work.facts |= node.stage.facts(Rows([folder / "rows.parquet"]))
    manifest = {
        "label": node.label,
        "model": node.model,
        "ingredients": node.ingredients,
        "facts": work.facts,
        "templates": _templates(node, work, artifacts.values()),
        "rows": rows,
        "made": work.made if node.stage.per_row else rows,
        "started": started,
        "seconds": round(time.time() - started, 3),
        "busy": round(busy.seconds + work.elsewhere, 3),
        "versions": versions(),
    }
    artifact = store.publish(node.stage.name, node.key, manifest)
    runtime.listener("done", node.run_name, {"seconds": artifact.manifest["seconds"], "rows": rows})
    return artifact


def _input(needed: Node, runtime: Runtime) -> Artifact:
    """An input's artifact; made anew where it was damaged or removed after its own step had passed."""
    store, name = runtime.store, needed.stage.name
    if (found := store.open(name, needed.key)) is not None:
        return found
    made, hit = execute(needed, runtime)
    if not hit:
        return made
    if (found := store.open(name, needed.key)) is None:  # made by another machine, and damaged on its way here
        raise Transient(f"{needed.run_name}: its artifact was damaged when it was fetched")
    return found


def _templates(node: Node, work: Work, inputs: Iterable[Artifact]) -> dict[str, str]:
    """How each model's rows were rendered, here and in all that came before: one way, or the study stops.

    Raises:
        StageFailed: two stages rendered rows of one model differently (the library has changed in between, say).
    """
    templates: dict[str, str] = {}
    found = [pair for artifact in inputs for pair in artifact.manifest["templates"].items()]
    if "template" in work.facts and "model" in node.values:
        model = node.values["model"]
        thinking = "" if model.thinking is None else f" thinking {'on' if model.thinking else 'off'}"
        found.append((model.content + thinking, work.facts["template"]))
    for model, template in found:
        if templates.setdefault(model, template) != template:
            raise StageFailed(
                f"{node.run_name}: its rows were rendered by template {template}, those of a stage before it by "
                f"{templates[model]}. Nothing compares across the two: run the earlier stages again in a new store"
            )
    return templates


def run_per_row(node: Node, arguments: dict[str, Any], work: Work, parts: Parts) -> None:
    """Have the stage's function make the rows that are not finished, and keep them as they come."""
    first = next(iter(node.stage.signature.parameters))
    work.total = len(arguments[first])
    here = parts.span[1] - parts.span[0]
    arguments = {**arguments, first: parts.pending()}
    produced: Iterator[Row | list[Row]] = node.stage.function(**arguments)
    said = -math.inf
    try:
        for made in produced:
            parts.add(made)
            work.made += len(made) if isinstance(made, list) else 1
            if (now := time.monotonic()) - said >= PROGRESS_SECONDS or parts.units == here:
                said = now
                work.progress(parts.units, here)
    except BaseException:
        with contextlib.suppress(OSError):  # a full disk must not hide why it failed
            parts.flush()
        raise
    finally:
        if isinstance(produced, Generator):
            produced.close()  # lets go of the engine now, also where the traceback keeps the generator alive
    parts.flush()


def _put_together(node: Node, arguments: dict[str, Any], work: Work) -> int:
    """Make what is missing of a per-row stage's rows, and all of them one file."""
    store = work.runtime.store
    name, key = node.stage.name, node.key
    store.fetch_parts(name, key)
    source: Rows = arguments[next(iter(node.stage.signature.parameters))]
    parts = Parts(work.folder, source, keep=lambda path: store.keep_part(name, key, path))
    run_per_row(node, arguments, work, parts)
    for share in parts.said():
        _add_up(work.facts, work.made, share["facts"], share["made"])
        work.made += share["made"]
        work.elsewhere += share["busy"]
    return parts.finish(node.run_name)


def _add_up(facts: dict[str, Any], made: int, others: Mapping[str, Any], others_made: int) -> None:
    """Facts of rows made in two places as those of all of them: counts are added, shares weighed by the rows made."""
    for name, value in others.items():
        if name in ADDED:
            facts[name] = facts.get(name, 0) + value
        elif name in WEIGHED:
            facts[name] = (facts.get(name, 0.0) * made + value * others_made) / max(1, made + others_made)
        else:
            facts.setdefault(name, value)


def _run_whole(node: Node, arguments: dict[str, Any], work: Work) -> int | None:
    result = node.stage.function(**arguments)
    if result is None:
        return None
    if isinstance(result, list):
        result = Rows.of(result)
    schema = result.schema if isinstance(result, Streamed) else None
    with RowFile(work.folder / "rows.parquet", schema) as file:
        for rows in result.batches() if isinstance(result, Rows) else in_tables(result):
            file.add(rows)
    if not file.rows:
        raise StageFailed(f"{node.run_name} gave no rows")
    return file.rows
