"""Have a model answer questions: one served here, or one behind an endpoint."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tasks.endpoint.facts import FACTS as ENDPOINT_FACTS
from tasks.engine.engine import Request
from tasks.engine.live_adapter import live_folder
from tasks.engine.pool import rank_of
from tasks.models.endpoint import Endpoint
from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.models.sampling import GENERATED, NO_ROOM, Gathered, Sampling, seed_of
from tasks.pipeline.declaration import Compute, Fact
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.storage.artifacts import Artifact
from tasks.storage.rows import Row, Rows

GENERATING = Compute("generate", "answers", flops=2, efficiency=0.10, writes=True)
"""Generating in large batches is bound by memory."""
FACTS = (
    Fact("prompts", shares="add"),
    Fact("tokens", shares="add"),
    Fact("cut_off", shares="mean"),
    Fact("no_room", reported=True, unless_zero=True),
)
"""What `responses` says of the rows it made."""


def without_room(rows: Rows) -> dict[str, int]:
    """How many questions were not asked since they leave the model no room, those taken over among them."""
    unasked: set[str] = set()
    for batch in rows.batches(["id", "finish"]):
        ids, finish = (column.to_pylist() for column in batch.columns)
        unasked |= {id for id, how in zip(ids, finish, strict=True) if how == NO_ROOM}
    return {"no_room": len(unasked)}


def answered_ones(rows: pa.Table, _: int) -> pa.Table:
    """Responses but for those that an endpoint did not give, which another run asks for again."""
    return rows.filter(pc.not_equal(rows.column("finish"), "error"))


@stage(
    per_row=True,
    slot="engine",
    unit="questions",
    adds=GENERATED,
    compute=GENERATING,
    facts=(*FACTS, *ENDPOINT_FACTS),
    summary=without_room,
    adopted=answered_ones,
    samples="sampling",
)
def generate(
    questions: Rows,
    model: Model | Endpoint,
    prompt: str,
    sampling: Sampling,
    seed: int,
    adapter: Artifact | None = None,
    attested: Artifact | None = None,
    *,
    work: Work,
) -> Iterator[list[Row]]:
    """Sample `sampling.n` responses to each question.

    Adds `sample` (0 to n - 1), `model` (its name), `response` and `finish` ("stop", or "length" for one cut off at
    `max_tokens` or at the end of the model's context; with a response that is null "error", where an endpoint gave no
    usable one, or "no_room", where the prompt fills the model's context). `prompt` is a Jinja template over the
    question's columns.

    Args:
        adapter: `finetune`'s artifact, by which the model answers (None: as it is).
        attested: `attest`'s artifact for this adapter: nothing is sampled from one that was not shown to be live.

    Raises:
        StageFailed: for endpoints see `answered`; `attested` is missing or another adapter's.
    """
    if isinstance(model, Endpoint):
        from tasks.endpoint.responses import answered  # plans describe this stage, and need no event loop

        made = answered(questions, model, prompt, sampling, seed, work)
    else:
        made = responses(questions, model, live_folder(adapter, attested), prompt, sampling, seed, work, leave_out=True)
    for rows in made:
        yield [{**row, "model": model.name} for row in rows]


def responses(
    questions: Rows,
    model: Model,
    adapter: Path | None,
    prompt: str,
    sampling: Sampling,
    seed: int,
    work: Work,
    leave_out: bool = False,
) -> Iterator[list[Row]]:
    """Each question's responses as they are complete: the question's columns and `sample`, `response`, `finish`.

    Facts: the template's hash, and what this try has done (prompts, tokens, share of responses cut off).

    Args:
        leave_out: a question whose prompt fills the context comes last, its responses null, with the finish "no_room".

    Raises:
        StageFailed: a prompt fills the context, and is not to be left out; names the row.
    """
    gathered = Gathered(sampling, questions.columns)
    rendering = renderer(model)
    stop_ids = tuple(rendering.stop_ids)
    asked: dict[int, Row] = {}
    positions = itertools.count()
    no_room: list[Row] = []

    def requests() -> Iterator[Request]:
        for row in questions:
            ids = rendering.prompt(prompt, row)
            if leave_out and len(ids) >= rendering.context:
                no_room.append(row)
                continue
            numbers = work.missing_samples(row, sampling.n)
            gathered.expect(row["id"], len(numbers))
            for number in numbers:
                sample = row.get("sample", number)
                asked[next(positions)] = {**row, "sample": sample}
                yield Request(ids, sampling, stop_ids, seed_of(seed, row["id"], sample), adapter, str(row["id"]))

    prompts = made = tokens = cut = 0
    if not len(questions):
        work.facts |= {"template": rendering.hash}
        return
    with work.runtime.engines.use(model, rank_of(adapter) if adapter else 0, work.note) as engine:
        for position, completion in engine.stream(requests()):
            row = asked.pop(position) | {"response": rendering.text(completion.ids), "finish": completion.finish}
            made += 1
            tokens += len(completion.ids)
            cut += completion.finish == "length"
            if (whole := gathered.add(row)) is not None:
                prompts += 1
                yield whole
    for row in no_room:
        numbers = work.missing_samples(row, sampling.n)
        gathered.expect(row["id"], len(numbers))
        for number in numbers:
            unsaid = {**row, "sample": row.get("sample", number), "response": None, "finish": NO_ROOM}
            if (whole := gathered.add(unsaid)) is not None:
                yield whole
    if no_room:
        work.note(f"{len(no_room)} questions leave {model.name} no room to answer: they have no response")
    facts = {"prompts": prompts, "tokens": tokens, "cut_off": cut / max(1, made)}
    work.facts |= {"template": rendering.hash} | facts
