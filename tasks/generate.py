"""Have a model answer questions."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from tasks.engine import Request
from tasks.engines import rank_of
from tasks.errors import StageFailed
from tasks.model import Model
from tasks.render import renderer
from tasks.rows import Row, Rows
from tasks.sampling import Sampling
from tasks.stage import Work, stage


@stage(per_row=True, slot="engine")
def generate(
    questions: Rows, model: Model, prompt: str, sampling: Sampling, seed: int, *, work: Work
) -> Iterator[list[Row]]:
    """Sample `sampling.n` responses to each question.

    Adds `sample` (0 to n - 1), `model` (its name), `response` and `finish` ("stop", or "length" for one cut off at
    `max_tokens` or at the end of the model's context). `prompt` is a Jinja template over the question's columns.

    Raises:
        StageFailed: a prompt leaves no room for a response; names the row.
    """
    for rows in responses(questions, model, None, prompt, sampling, seed, work):
        yield [{**row, "model": model.name} for row in rows]


def responses(
    questions: Rows, model: Model, adapter: Path | None, prompt: str, sampling: Sampling, seed: int, work: Work
) -> Iterator[list[Row]]:
    """Each question's responses as they are complete: the question's columns and `sample`, `response`, `finish`.

    Facts: the template's hash, and what this try has done (prompts, tokens, share of responses cut off).
    """
    if sampling.n > 1 and "sample" in questions.columns:
        raise StageFailed("these rows are samples already: ask for one response to each (n = 1)")
    rendering = renderer(model)
    stop_ids = tuple(rendering.stop_ids)
    asked: dict[int, Row] = {}
    answered: dict[str, list[Row]] = {}
    positions = itertools.count()

    def requests() -> Iterator[Request]:
        for row in questions:
            ids = rendering.prompt(prompt, row)
            for number in range(sampling.n):
                sample = row.get("sample", number)
                asked[next(positions)] = {**row, "sample": sample}
                yield Request(ids, sampling, stop_ids, _seed(seed, row["id"], sample), adapter, str(row["id"]))

    prompts = made = tokens = cut = 0
    with work.runtime.engines.use(model, rank_of(adapter) if adapter else 0) as engine:
        for position, completion in engine.stream(requests()):
            row = asked.pop(position) | {"response": rendering.text(completion.ids), "finish": completion.finish}
            made += 1
            tokens += len(completion.ids)
            cut += completion.finish == "length"
            finished = answered.setdefault(_unit(row, sampling), [])
            finished.append(row)
            if len(finished) == sampling.n:
                prompts += 1
                yield sorted(answered.pop(_unit(row, sampling)), key=lambda one: one["sample"])
    work.facts |= {"template": rendering.hash, "prompts": prompts, "tokens": tokens, "cut_off": cut / max(1, made)}


def _unit(row: Row, sampling: Sampling) -> str:
    return str(row["id"]) if sampling.n > 1 else f"{row['id']} {row['sample']}"


def _seed(seed: int, row: str, sample: int) -> int:
    """A seed of this response alone, so that it comes out the same whatever was finished before."""
    digest = hashlib.sha256(json.dumps([seed, row, sample]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
