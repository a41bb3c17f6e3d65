"""Have a model answer questions: one served here, or one behind an endpoint."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from tasks.endpoint import Endpoint
from tasks.engine import Request
from tasks.engine.pool import rank_of
from tasks.model import Model
from tasks.render import renderer
from tasks.rows import Row, Rows
from tasks.sampling import Gathered, Sampling, seed_of
from tasks.stage import Work, stage


@stage(per_row=True, slot="engine")
def generate(
    questions: Rows, model: Model | Endpoint, prompt: str, sampling: Sampling, seed: int, *, work: Work
) -> Iterator[list[Row]]:
    """Sample `sampling.n` responses to each question.

    Adds `sample` (0 to n - 1), `model` (its name), `response` and `finish` ("stop", or "length" for one cut off at
    `max_tokens` or at the end of the model's context; "error", with a response that is null, where an endpoint
    gave no usable one). `prompt` is a Jinja template over the question's columns.

    Raises:
        StageFailed: a prompt leaves no room for a response; names the row. For endpoints see `answered`.
    """
    if isinstance(model, Endpoint):
        from tasks.endpoint.responses import answered  # plans describe this stage, and need no event loop

        made = answered(questions, model, prompt, sampling, seed, work)
    else:
        made = responses(questions, model, None, prompt, sampling, seed, work)
    for rows in made:
        yield [{**row, "model": model.name} for row in rows]


def responses(
    questions: Rows, model: Model, adapter: Path | None, prompt: str, sampling: Sampling, seed: int, work: Work
) -> Iterator[list[Row]]:
    """Each question's responses as they are complete: the question's columns and `sample`, `response`, `finish`.

    Facts: the template's hash, and what this try has done (prompts, tokens, share of responses cut off).
    """
    gathered = Gathered(sampling, questions.columns)
    rendering = renderer(model)
    stop_ids = tuple(rendering.stop_ids)
    asked: dict[int, Row] = {}
    positions = itertools.count()

    def requests() -> Iterator[Request]:
        for row in questions:
            ids = rendering.prompt(prompt, row)
            for number in range(sampling.n):
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
    work.facts |= {"template": rendering.hash, "prompts": prompts, "tokens": tokens, "cut_off": cut / max(1, made)}
