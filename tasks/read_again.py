"""Read again: training responses as the student finds them in other contexts than their own prompt, before training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.models.filling import fill
from tasks.models.model import Model
from tasks.models.rendering import Rendered, renderer
from tasks.pipeline.declaration import Compute, Fact
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.prediction.contexts import in_context, local, step_ends
from tasks.prediction.training_set import own_responses
from tasks.resources.errors import Transient
from tasks.score import loaded
from tasks.scoring.likelihood import negative_log_likelihoods
from tasks.storage.rows import Row, Rows

if TYPE_CHECKING:
    import numpy as np


def _rows(node: Node) -> int:
    return min(node.upstream[0].expected_rows, int(node.values["count"]))


READING = Compute("read again", "responses", flops=2, efficiency=0.40, rows=_rows)


@stage(
    gpu=True,
    unit="sequences",
    rows=_rows,
    compute=READING,
    facts=(
        Fact("responses", "responses"),
        Fact("sequences", "sequences"),
        Fact("tokens_read", "tokens read"),
        Fact("too_long", "too long for the model", unless_zero=True),
    ),
)
def read_again(rows: Rows, own: Rows, student: Model, prompt: str, style: str, count: int, *, work: Work) -> list[Row]:
    """The likelihood of the first `count` training responses in other contexts, by the untrained student.

    Gives `id`, `sample`, and `local_nll` (little-endian float32, one number a token: nats given the prompt and at most
    four steps before the token's own), `in_context_nll` and `in_context_tokens` (nats of all tokens together, and how
    many they are, read after a response of the student's own to another question; tasks/prediction/contexts.py). Tokens
    that end the turn are left out. Null where a context does not fit the model.

    Args:
        rows: an arm's training rows.
        own: the student's own responses; the example for a row is the first response to the question after its own, in
            the order of these.
        prompt: the template the rows are trained with.
        style: the template that asks for the style of an example.

    Raises:
        Transient: memory ran out with a single sequence.
    """
    turned = renderer(student)
    chosen = [(row, turned.row(prompt, row)) for row in rows[:count]]
    sequences: list[Rendered] = []
    places = []
    examples = _Examples(own_responses(own))
    for number, (row, rendered) in enumerate(chosen):
        ends = step_ends(row["response"], turned)
        steps = local(rendered, ends)
        example = examples.after(str(row["id"]), number)
        pieces = in_context(style, row, fill(prompt, row), example, rendered, turned) if example else []
        begin = len(sequences)
        sequences += [rendered, *(sequence for sequence, _ in steps), *pieces]
        at = {step: begin + 1 + place for place, (_, step) in enumerate(steps)}
        places.append(_Places(begin, ends, at, range(begin + 1 + len(steps), len(sequences))))
    fitting = [place for place, sequence in enumerate(sequences) if len(sequence.ids) <= turned.context]
    read = _read(student, [sequences[place] for place in fitting], work)
    nats = {fitting[place]: each for place, each in read.items()}
    work.facts |= {
        "responses": len(chosen),
        "sequences": len(sequences),
        "tokens_read": sum(len(sequences[place].ids) for place in fitting),
        "too_long": len(sequences) - len(fitting),
    }
    return [
        {"id": row["id"], "sample": row.get("sample") or 0, **_local(nats, of), **_in_context(nats, of.pieces)}
        for (row, _), of in zip(chosen, places, strict=True)
    ]


@dataclass(frozen=True)
class _Places:
    """Where among the sequences those of a response are: itself, the steps that are read on their own, its pieces."""

    whole: int
    ends: list[int]
    steps: dict[int, int]
    pieces: range


class _Examples:
    """The student's own responses, as examples for other questions than theirs."""

    def __init__(self, own: dict[str, list[str]]) -> None:
        self._first = [texts[0] for texts in own.values()]
        self._place = {id: place for place, id in enumerate(own)}

    def after(self, id: str, number: int) -> str:
        """The response to the question after this one, or after that of the place `number` where this has no response;
        empty where there is none to another question."""
        if not self._first or (len(self._first) == 1 and id in self._place):
            return ""
        return self._first[(self._place.get(id, number) + 1) % len(self._first)]


def _read(student: Model, sequences: list[Rendered], work: Work) -> dict[int, np.ndarray]:
    """Nats of each response token of each sequence, by the sequence's number."""
    found: dict[int, np.ndarray] = {}
    if not sequences:
        return found
    with loaded(student, None, work) as shared:
        budget = work.runtime.placement.score_tokens
        try:
            for place, each in negative_log_likelihoods(shared.likelihood, sequences, budget, shared.threads):
                found[place] = each.float().numpy()
                if len(found) % 100 == 0:
                    work.progress(len(found), len(sequences))
        except MemoryError as error:
            raise Transient(f"out of memory while reading again: {error}") from error
    return found


def _local(nats: dict[int, np.ndarray], of: _Places) -> Row:
    if not of.ends or any(place not in nats for place in (of.whole, *of.steps.values())):
        return {"local_nll": None}
    found = nats[of.whole][: of.ends[-1]].copy()
    for step, place in of.steps.items():
        found[of.ends[step - 1] : of.ends[step]] = nats[place]
    return {"local_nll": found.astype("<f4").tobytes()}


def _in_context(nats: dict[int, np.ndarray], pieces: range) -> Row:
    if not pieces or any(place not in nats for place in pieces):
        return {"in_context_nll": None, "in_context_tokens": None}
    each = [nats[place] for place in pieces]
    return {
        "in_context_nll": math.fsum(float(part.sum(dtype="float64")) for part in each),
        "in_context_tokens": sum(len(part) for part in each),
    }
