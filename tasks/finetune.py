"""Fine-tune: an adapter that has learned from an arm's training rows."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tasks.fork_server.job import Job
from tasks.kinds.methods import Example, Method
from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.pipeline.declaration import Compute
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.reporting.formatting import duration
from tasks.resources.errors import StageFailed, StagesDisagree
from tasks.storage.artifacts import Artifact
from tasks.storage.rows import Row, Rows
from tasks.training import entry, examples


def _rows_seen(node: Node) -> int:
    """Rows that pass through the model in all epochs."""
    return node.upstream[0].expected_rows * int(node.values["method"].epochs)


TRAINING = Compute("train", "adapters", flops=6, efficiency=0.40, one_a_step=True, rows=_rows_seen)
"""With recomputed activations, 6 operations a parameter and token."""


def step_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """How the training went."""
    batch = f"{facts['micro_batch']:,} rows at a time, {facts['accumulation']:,} times a step"
    return {
        "rows": f"{facts['rows']:,}",
        "optimiser steps": f"{facts['steps']:,}",
        "tokens seen": f"{facts['tokens']:,}",
        "loss, first and last step": f"{facts['loss_first']:.3g} and {facts['loss_last']:.3g}",
        "training alone": f"{duration(facts['train_seconds'])}, {facts['tokens_per_second']:,.0f} tokens/s",
        "device": facts["device"],
        "parameters trained": f"{facts['trainable_parameters']:,}",
        "batches": batch + (", activations recomputed" if facts["gradient_checkpointing"] else ""),
    }


@stage(slot="trainer", unit="steps", compute=TRAINING, table=step_table)
def finetune(
    rows: Rows,
    student: Model,
    prompt: str,
    method: Method,
    seed: int,
    start: Artifact | None = None,
    *,
    work: Work | None = None,
) -> None:
    """Train an adapter for the student on all the rows, in a process of its own.

    Writes `adapter/` (PEFT's files) and `probe.json`: for a few training rows, prompt and response ids with the
    log-probability of each response token without (`base`) and with the adapter (`adapted`), to attest later that an
    engine serves it. The same seed gives the same adapter, byte for byte, on the same machine.

    Facts: `rows` says how many rows the adapter has learned from, `longest` how many tokens a row may have; the
    method's own facts beside those of `tasks.training.loop.train`.

    Args:
        start: an adapter of the same student, of the same rank, alpha and layers, that the training goes on from.

    Raises:
        InputError: the prompt template names a column the rows lack.
        StageFailed: no rows, or rows the method does not take, or the training diverged.
        StagesDisagree: a row is longer than the trainer can hold, or has not the length that `score` found.
        Transient: the trainer was killed, or memory ran out with a single row.
    """
    assert work is not None, "training needs a folder for its adapter"
    rendering = renderer(student)
    taken = list(rows)
    _check_kind(rows, taken, method)
    made = method.examples(taken, rendering, prompt)
    longest = min(method.longest or rendering.context, rendering.context)
    _check_lengths(taken, made, longest)
    path = work.scratch / "examples.parquet"
    examples.write(made, path)
    job = Job(
        module=entry.run.__module__,
        arguments={
            "method": method.model_dump(mode="json"),
            "model": asdict(student),
            "examples": str(path),
            "folder": str(work.folder),
            "scratch": str(work.scratch),
            "seed": seed,
            "start": None if start is None else str(start.path("adapter")),
        },
        scratch=str(work.scratch),
    )
    facts = work.runtime.fork_server.run(job, work.runtime.placement, work.progress, work.note, work.log)
    if facts["rows"] != len(taken):
        raise StagesDisagree(f"{work.run_name}: {len(taken)} rows were selected and {facts['rows']} trained on")
    work.facts |= {**facts, "longest": longest, "template": rendering.hash}


def _check_kind(rows: Rows, taken: list[Row], method: Method) -> None:
    if not taken:
        raise StageFailed("there are no rows to train on")
    kind = "pairs" if "rejected" in rows.columns else "responses"
    if kind != method.takes:
        column = "have a column" if kind == "pairs" else "have no column"
        raise StageFailed(f"method {method.kind} trains on {method.takes}, and these rows {column} rejected")


def _check_lengths(rows: list[Row], made: list[Example], longest: int) -> None:
    """Each row is one example, as long as `score` found it when `select` chose it, and no longer than fits."""
    if len(made) != len(rows):
        raise StagesDisagree(f"{len(rows)} rows were selected, and {len(made)} examples made of them")
    for row, example in zip(rows, made, strict=True):
        if example.tokens > longest:
            raise StagesDisagree(f"row {row['id']} has {example.tokens} tokens, and {longest} can be trained on")
        tokens = len(example.sequences[0].ids)
        scored = tokens if row.get("prompt_tokens") is None else row["prompt_tokens"] + row["tokens"]
        if tokens != scored:
            raise StagesDisagree(f"row {row['id']} has {tokens} tokens for training, and {scored} for its perplexity")
