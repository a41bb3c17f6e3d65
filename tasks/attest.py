"""Show that an adapter is live: that the engine serves it, and not the base model or another adapter."""

import json
import statistics
from itertools import chain

from tasks.engine.pool import rank_of
from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Artifact
from tasks.storage.rows import Row

TOLERANCE = {"float32": 1e-3}
"""Mean nats a token by which the engine may differ from PEFT, by the engine's number format."""
LOOSE = 0.05
"""The same for 16-bit formats."""
SMALLEST_MOVE = 1e-4
"""Mean nats a token by which an adapter must change the model at least; less cannot be told from rounding."""
CLEAR = 3.0
"""How many times larger the adapter's effect must be than the engine's disagreement with PEFT."""


@stage(slot="engine")
def attest(adapter: Artifact, model: Model, *, work: Work) -> list[Row]:
    """Compare the engine's log-probabilities with PEFT's, on the rows that `finetune` left in `probe.json`.

    Returns one row a probe row, with mean absolute differences in nats a token: `moved` (what the adapter changes,
    by PEFT), `engine_moved` (by the engine), `base_error` and `adapted_error` (engine against PEFT). Facts: what
    the adapter's artifact holds (`adapter`), and the same differences over all tokens.

    Raises:
        StageFailed: the adapter is not live, or changes nothing, or the engine disagrees with PEFT.
    """
    folder = adapter.path("adapter")
    probes = _with_room(
        json.loads(adapter.path("probe.json").read_text(encoding="utf-8"))["rows"], renderer(model).context
    )
    texts = [(probe["prompt_ids"], probe["response_ids"]) for probe in probes]
    with work.runtime.engines.use(model, rank_of(folder), work.note) as engine:
        found = engine.log_probabilities(
            [(*text, None) for text in texts] + [(*text, folder) for text in texts],
        )
        tolerance = TOLERANCE.get(engine.dtype, LOOSE)
    base, adapted = found[: len(probes)], found[len(probes) :]
    peft_base, peft_adapted = [probe["base"] for probe in probes], [probe["adapted"] for probe in probes]
    pairs = {
        "moved": (peft_base, peft_adapted),
        "engine_moved": (base, adapted),
        "base_error": (peft_base, base),
        "adapted_error": (peft_adapted, adapted),
    }
    whole = {name: _difference(list(chain(*one)), list(chain(*other))) for name, (one, other) in pairs.items()}
    work.facts |= {"adapter": adapter.content, "tolerance": tolerance, **whole}
    _judge(work.run_name, tolerance, **whole)
    return [
        {"probe": index, "tokens": len(base[index])}
        | {name: _difference(one[index], other[index]) for name, (one, other) in pairs.items()}
        for index in range(len(probes))
    ]


def _with_room(probes: list[Row], context: int) -> list[Row]:
    """The probe rows, without the last token of one that fills the context: the engine is asked for one token more."""
    found = []
    for probe in probes:
        room = context - 1 - len(probe["prompt_ids"])
        found.append(probe | {name: probe[name][:room] for name in ("response_ids", "base", "adapted")})
    return [probe for probe in found if probe["response_ids"]]


def _difference(one: list[float], other: list[float]) -> float:
    return statistics.fmean(abs(a - b) for a, b in zip(one, other, strict=True))


def _judge(
    name: str, tolerance: float, moved: float, engine_moved: float, base_error: float, adapted_error: float
) -> None:
    # Written so that a NaN anywhere fails.
    if not moved >= SMALLEST_MOVE:
        raise StageFailed(
            f"{name}: the adapter changes nothing: {moved:.2g} nats a token by PEFT. Did training move it at all?"
        )
    if not base_error <= tolerance:
        raise StageFailed(
            f"{name}: without the adapter the engine differs from PEFT by {base_error:.2g} nats a token, more than "
            f"{tolerance:.2g}: they do not run the same base model"
        )
    if not engine_moved >= moved / 2:
        raise StageFailed(
            f"{name}: the adapter is not live: it moves the engine by {engine_moved:.2g} nats a token, and PEFT by "
            f"{moved:.2g}. The engine serves the base model"
        )
    if not (adapted_error <= tolerance and moved >= CLEAR * max(base_error, adapted_error)):
        raise StageFailed(
            f"{name}: with the adapter the engine differs from PEFT by {adapted_error:.2g} nats a token (allowed "
            f"{tolerance:.2g}; the adapter's effect is {moved:.2g}): it serves another adapter, or parts of this one"
        )
