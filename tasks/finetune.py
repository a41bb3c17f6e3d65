"""Fine-tune: an adapter that has learned from the chosen responses of one origin."""

from dataclasses import asdict

import pyarrow.parquet as pq

from tasks.errors import StageFailed
from tasks.methods import Method
from tasks.model import Model
from tasks.render import renderer
from tasks.rows import Rows, to_table
from tasks.stage import Work, stage
from tasks.training import nursery
from tasks.training.job import Job


@stage(slot="trainer")
def finetune(
    responses: Rows, origin: str, model: Model, prompt: str, method: Method, seed: int, *, work: Work | None = None
) -> None:
    """Train an adapter for `model` on the rows whose `origin` is the given one, in a process of its own.

    Writes `adapter/` (PEFT's files) and `probe.json`: for a few training rows, prompt and response ids with the
    log-probability of each response token without (`base`) and with the adapter (`adapted`), to attest later that an
    engine serves it. The same seed gives the same adapter, byte for byte, on the same machine.

    Raises:
        InputError: the prompt template names a column the rows lack.
        StageFailed: no rows of this origin, none short enough, or the training diverged.
        Transient: the trainer was killed, or memory ran out with a single row.
    """
    assert work is not None, "training needs a folder for its adapter"
    turned = renderer(model)
    rows = [row for row in responses if row["origin"] == origin]
    if not rows:
        raise StageFailed(f"there are no responses of the origin {origin} to train on")
    prepared = method.prepare(rows, turned, prompt)
    longest = min(method.longest or turned.context, turned.context)
    examples = [example for example in prepared if example["tokens"] <= longest]
    dropped = len(prepared) - len(examples)
    if not examples:
        raise StageFailed(f"all {len(prepared)} rows of {origin} are longer than {longest} tokens")
    if dropped:
        work.note(f"{dropped} of {len(prepared)} rows of {origin} are left out: longer than {longest} tokens")
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
    facts = nursery.train(job, work.runtime.placement, work.progress, work.note, work.log)
    work.facts |= {**facts, "dropped": dropped, "template": turned.hash}
