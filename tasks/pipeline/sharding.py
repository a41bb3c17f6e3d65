"""Shards: a per-row stage's rows made in shares, each by whoever is free, in one process or on many machines.

A share is a run of rows of the stage's first input. It has its own lock and its own parts in the artifact's folder, and
no manifest: `execute` afterwards finds every row there and only puts them together.
"""

from typing import NamedTuple

from data.errors import InputError
from tasks.models.endpoint import Endpoint
from tasks.pipeline.artifact_keys import key_of, seen_by
from tasks.pipeline.execution import inputs_of, key_in_store, made_as, run_per_row
from tasks.pipeline.inputs import arguments as arguments_of
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node
from tasks.pipeline.take_over import relatives_of
from tasks.pipeline.work import Work
from tasks.resources import disk
from tasks.resources.errors import Transient
from tasks.storage.partial_rows import PartialRows
from tasks.storage.rows import Rows

SMALLEST = 1024
"""Rows of a share at least: fewer are not worth another engine."""


class Share(NamedTuple):
    """One share of a stage's rows."""

    number: int
    """From 0."""
    of: int

    def of_run(self, run_name: str) -> str:
        """What it is called, as a share of this run."""
        return f"{run_name} {self.number + 1}/{self.of}"


def by_endpoint(node: Node) -> bool:
    """Whether an endpoint answers a step's rows: its budget, rate limit and response cache are those of one process."""
    return any(isinstance(value, Endpoint) for value in node.values.values())


def divisible(node: Node) -> bool:
    """Whether a step's rows may be made in shares."""
    return node.stage.per_row and not by_endpoint(node)


def shards(rows: int, most: int, places: int = 1) -> int:
    """Into how many shares a stage's rows are best divided; 1 for few rows.

    Args:
        most: rows of a share at most (`Placement.shard_rows`).
        places: how many shares can be made at once.

    Raises:
        InputError: MOTHERTONGUE_SHARD_ROWS is no number above 0.
    """
    if most < 1:
        raise InputError(f"MOTHERTONGUE_SHARD_ROWS={most}: allowed is a number above 0")
    return max(1, -(-rows // most), min(places, rows // SMALLEST))


def span(rows: int, number: int, of: int) -> tuple[int, int]:
    """From which row to which a share reaches; `number` counts from 0."""
    return rows * number // of, rows * (number + 1) // of


def execute_shard(node: Node, number: int, of: int, runtime: Runtime) -> int:
    """Make share `number` (from 0) of `of` of a per-row stage's rows; what was finished before is not made again.

    Rows on which only all rows together can decide (errors of a verifier, unusable replies of an endpoint) are left to
    `execute`. Returns how many rows of the first input are finished in this share.

    Raises:
        StageFailed, Transient, InputError: as `execute`.
    """
    assert node.stage.per_row, f"{node.stage.name} cannot be divided: it does not make one row after another"
    assert 0 <= number < of, f"share {number} of {of}"
    store, name = runtime.store, node.stage.name
    key = key_in_store(node, runtime)
    run_name = Share(number, of).of_run(node.run_name)
    with disk.errors_reported(store.root), store.lock(name, f"{key}-{number}of{of}"):
        inputs = inputs_of(node, runtime)
        made = {recipe: made_as(artifact) for recipe, artifact in inputs.items()}
        if key_of(node, made) != key:  # one was damaged, and made again as something else
            runtime.keys.forget()
            raise Transient(f"{run_name}: an input was made again and holds something else")
        arguments = arguments_of(node, inputs)
        source: Rows = arguments[next(iter(node.stage.signature.parameters))]
        here = span(len(source), number, of)
        if store.has(name, key):
            return here[1] - here[0]
        folder = store.folder(name, key)
        folder.mkdir(parents=True, exist_ok=True)
        store.fetch_parts(name, key)
        parts = PartialRows(folder, source, here, f"{number}of{of}-", lambda path: store.keep_part(name, key, path))
        if parts.units == here[1] - here[0] or parts.has_saved_facts:
            store.send_parts(name, key)
            return parts.units
        runtime.listener("start", run_name, {})
        work = Work(folder, runtime, run_name, {}, partial=True, unit=node.stage.unit)
        work.relatives = relatives_of(node, seen_by(node, made))
        if "work" in node.stage.signature.parameters:
            arguments["work"] = work
        try:
            with runtime.shares.taking(node.stage.slot) as busy:
                run_per_row(node, arguments, work, parts)
            parts.save_facts({"made": work.made, "taken": dict(work.taken), "busy": busy.seconds, "facts": work.facts})
            store.send_parts(name, key)
        except FileNotFoundError:  # another run has made all rows meanwhile, and taken the parts away
            if not store.has(name, key):
                raise
            return here[1] - here[0]
        runtime.listener("done", run_name, {"seconds": round(busy.seconds, 3), "rows": parts.units})
        return parts.units
