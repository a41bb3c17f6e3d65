"""Fine-tune: an adapter that has learned from the training rows of one arm."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pyarrow.parquet as pq

from tasks.kinds.methods import Method
from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.pipeline.declaration import Compute
from tasks.pipeline.stage import Node, Work, stage
from tasks.reporting.formatting import duration
from tasks.resources.errors import StagesDisagree
from tasks.storage.artifacts import Artifact
from tasks.storage.rows import Row, Rows, to_table
from tasks.training import fork_server
from tasks.training.job import Job


def _rows_seen(node: Node) -> int:
    """Rows that pass through the model in all epochs."""
    return node.upstream[0].expected_rows * int(getattr(node.values["method"], "epochs", 1))


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
    responses: Rows,
    model: Model,
    prompt: str,
    method: Method,
    seed: int,
    start: Artifact | None = None,
    *,
    work: Work | None = None,
) -> None:
    """Train an adapter for `model` on an arm's training rows, in a process of its own.

    Writes `adapter/` (PEFT's files) and `probe.json`: for a few training rows, prompt and response ids with the
    log-probability of each response token without (`base`) and with the adapter (`adapted`), to attest later that an
    engine serves it. The same seed gives the same adapter, byte for byte, on the same machine.

    The adapter has learned from each of these rows, which are those that `select` chose: facts `rows` says how many,
    and `longest` how many tokens a row may have.

    Raises:
        InputError: the prompt template names a column the rows lack.
        StageFailed: the training diverged.
        StagesDisagree: a row is longer than the trainer can hold, or has not the length that `score` found.
        Transient: the trainer was killed, or memory ran out with a single row.
    """
    assert start is None, "not yet"
    assert work is not None, "training needs a folder for its adapter"
    turned = renderer(model)
    rows = list(responses)
    examples = method.prepare(rows, turned, prompt)
    longest = min(method.longest or turned.context, turned.context)
    _as_selected(rows, examples, longest)
    path = work.scratch / "examples.parquet"
    pq.write_table(to_table(examples), path)
    job = Job(
        method=method.model_dump(mode="json"),
        model=asdict(model),
        examples=str(path),
        folder=str(work.folder),
        scratch=str(work.scratch),
        seed=seed,
    )
    facts = fork_server.train(job, work.runtime.placement, work.progress, work.note, work.log)
    if facts["rows"] != len(rows):
        raise StagesDisagree(f"{work.run_name}: {len(rows)} rows were selected and {facts['rows']} trained on")
    work.facts |= {**facts, "longest": longest, "template": turned.hash}


def _as_selected(rows: list[Row], examples: list[Row], longest: int) -> None:
    """Each row is one example, as long as `score` found it when `select` chose it, and no longer than fits."""
    if len(examples) != len(rows):
        raise StagesDisagree(f"{len(rows)} rows were selected, and {len(examples)} examples made of them")
    for row, example in zip(rows, examples, strict=True):
        tokens = example["tokens"]
        if tokens > longest:
            raise StagesDisagree(f"row {row['id']} has {tokens} tokens, and {longest} can be trained on")
        scored = tokens if row.get("prompt_tokens") is None else row["prompt_tokens"] + row["tokens"]
        if tokens != scored:
            raise StagesDisagree(f"row {row['id']} has {tokens} tokens for training, and {scored} for its perplexity")
