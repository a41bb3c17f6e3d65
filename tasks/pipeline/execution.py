"""Running a step: its artifact is found in the store, or made, with finished rows kept as they come."""

import contextlib
import math
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

from tasks.models.model import Model
from tasks.pipeline.artifact_keys import Made, key_of, seen_by
from tasks.pipeline.declaration import Fact
from tasks.pipeline.inputs import arguments
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node
from tasks.pipeline.take_over import relatives_of, take_over
from tasks.pipeline.versions import versions
from tasks.pipeline.work import Work
from tasks.resources import disk
from tasks.resources.errors import StageFailed, Transient
from tasks.storage.artifacts import Artifact
from tasks.storage.partial_rows import PartialRows
from tasks.storage.rows import Row, RowFile, Rows, Streamed, in_tables

ROUNDS = 5
"""How often a step looks for its inputs again that were lost, or made again and hold something else."""
PROGRESS_SECONDS = 0.1
"""How often it is said how far a stage is, at most."""


def execute(node: Node, runtime: Runtime) -> tuple[Artifact, bool]:
    """Make the node's artifact, or find it. Returns it and whether it was already there.

    The artifacts of `node.upstream` must have been made; one that was damaged or lost since is made again.

    Raises:
        StageFailed: the stage cannot give a result that could be believed, or the disk is full.
        Transient: trying again may help.
    """
    store, name = runtime.store, node.stage.name
    with disk.errors_reported(store.root):
        for _ in range(ROUNDS):
            key = key_in_store(node, runtime)
            with store.lock(name, key):
                found = store.find(name, key)
                if found is not None:
                    store.mark_used(name, key)
                    runtime.listener("hit", node.run_name, {})
                    return found, True
                inputs = inputs_of(node, runtime)
                # An input that was damaged is made again, and may then hold something else.
                if key_of(node, {recipe: made_as(artifact) for recipe, artifact in inputs.items()}) == key:
                    return _make(node, key, inputs, runtime), False
            runtime.keys.forget()
    raise Transient(f"{node.run_name}: what its inputs hold changes all the time: does another run remake them?")


def key_in_store(node: Node, runtime: Runtime) -> str:
    """The key of a step's artifact. Inputs that were lost since they were made are made again."""
    for _ in range(ROUNDS):
        if (key := runtime.keys.find(node)) is not None:
            return key
        runtime.keys.forget()
        for needed in node.upstream:
            execute(needed, runtime)
    raise Transient(f"{node.run_name}: an input is made and not found in the store")


def made_as(artifact: Artifact) -> Made:
    """An artifact's key and what it holds."""
    return Made(artifact.manifest["key"], artifact.content)


def inputs_of(node: Node, runtime: Runtime) -> dict[str, Artifact]:
    """The artifacts a step reads, by recipe."""
    return {needed.recipe: _input(needed, runtime) for needed in node.upstream}


def _make(node: Node, key: str, inputs: dict[str, Artifact], runtime: Runtime) -> Artifact:
    store = runtime.store
    called_with = arguments(node, inputs)
    started = time.time()
    folder = store.folder(node.stage.name, key)
    folder.mkdir(parents=True, exist_ok=True)
    work = Work(folder, runtime, node.run_name, {}, unit=node.stage.unit)
    made = {recipe: made_as(artifact) for recipe, artifact in inputs.items()}
    seen = seen_by(node, made)
    if node.stage.per_row:
        work.relatives = relatives_of(node, seen)
    runtime.listener("start", node.run_name, {})
    if "work" in node.stage.signature.parameters:
        called_with["work"] = work
    with runtime.shares.taking(node.stage.slot) as busy:
        rows = _put_together(node, called_with, work) if node.stage.per_row else _run_whole(node, called_with, work)
    if node.stage.summary is not None:
        work.facts |= node.stage.summary(Rows([folder / "rows.parquet"]))
    manifest = {
        "label": node.label,
        "model": node.model,
        "ingredients": {**node.described, "inputs": node.encoded_inputs(seen)},
        "facts": work.facts,
        "templates": _templates(node, work, inputs.values()),
        "rows": rows,
        "made": work.made if node.stage.per_row else rows,
        **({"relatives": work.relatives, "taken": dict(work.taken)} if node.stage.per_row else {}),
        "started": started,
        "seconds": round(time.time() - started, 3),
        "busy": round(busy.seconds + work.elsewhere, 3),
        "versions": versions(),
    }
    artifact = store.publish(node.stage.name, key, manifest)
    runtime.listener("done", node.run_name, {"seconds": artifact.manifest["seconds"], "rows": rows})
    return artifact


def _input(needed: Node, runtime: Runtime) -> Artifact:
    """An input's artifact; made anew where it was damaged or removed after its own step had passed."""
    store, name = runtime.store, needed.stage.name
    key = key_in_store(needed, runtime)
    if (found := store.open(name, key)) is not None:
        store.mark_used(name, key)
        return found
    made, hit = execute(needed, runtime)
    if not hit:
        return made
    if (found := store.open(name, made.manifest["key"])) is None:  # made elsewhere, and damaged on its way here
        raise Transient(f"{needed.run_name}: its artifact was damaged when it was fetched")
    return found


def _templates(node: Node, work: Work, inputs: Iterable[Artifact]) -> dict[str, str]:
    """How each model's rows were rendered, here and in all that came before: one way, or the study stops.

    Raises:
        StageFailed: two stages rendered rows of one model differently (the library has changed in between, say).
    """
    templates: dict[str, str] = {}
    found = [pair for artifact in inputs for pair in artifact.manifest["templates"].items()]
    if "template" in work.facts:
        (model,) = [value for value in node.values.values() if isinstance(value, Model)]
        thinking = "" if model.thinking is None else f" thinking {'on' if model.thinking else 'off'}"
        found.append((model.content + thinking, work.facts["template"]))
    for model, template in found:
        if templates.setdefault(model, template) != template:
            raise StageFailed(
                f"{node.run_name}: its rows were rendered by template {template}, those of a stage before it by "
                f"{templates[model]}. Nothing compares across the two: run the earlier stages again in a new store"
            )
    return templates


def run_per_row(node: Node, arguments: dict[str, Any], work: Work, parts: PartialRows) -> None:
    """Have the stage's function make the rows that are not finished, and keep them as they come."""
    first = next(iter(node.stage.signature.parameters))
    work.total = len(arguments[first])
    here = parts.span[1] - parts.span[0]
    work.taken += take_over(node, arguments[first], parts, work.runtime.store, work.relatives)
    if work.taken:
        work.note(f"{work.taken.total():,} rows are taken over from what was made before")
    work.missing_samples = parts.missing_samples
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
    store, name, key = work.runtime.store, node.stage.name, work.folder.name
    store.fetch_parts(name, key)
    source: Rows = arguments[next(iter(node.stage.signature.parameters))]
    parts = PartialRows(work.folder, source, keep=lambda path: store.keep_part(name, key, path))
    run_per_row(node, arguments, work, parts)
    for share in parts.saved_facts():
        _add_up(node.stage.facts, work.facts, work.made, share["facts"], share["made"])
        work.made += share["made"]
        work.taken += Counter(share["taken"])
        work.elsewhere += share["busy"]
    count = parts.finish(node.run_name)
    if node.stage.adds:
        added = {*Rows([work.folder / "rows.parquet"]).columns} - {*source.columns}
        assert added <= {*node.stage.adds}, f"{name} adds {sorted(added)}, and declares {node.stage.adds}"
    return count


def _add_up(
    declared: Iterable[Fact], facts: dict[str, Any], made: int, others: Mapping[str, Any], others_made: int
) -> None:
    """Facts of rows made in two places as those of all of them, each combined as the stage declares."""
    how = {fact.name: fact.shares for fact in declared}
    for name, value in others.items():
        if how.get(name) == "add":
            facts[name] = facts.get(name, 0) + value
        elif how.get(name) == "mean":
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
