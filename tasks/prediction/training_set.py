"""A training set as predictors read it, put together from an arm's choices and what was kept of its responses."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.kinds.predictors import Candidate, InContext, Predictor, Response, TrainingSet
from tasks.models.rendering import Renderer
from tasks.prediction.contexts import BEFORE, step_ends
from tasks.scoring import token_numbers
from tasks.storage.rows import Row, Rows

if TYPE_CHECKING:
    import numpy as np

READ = ("id", "sample", "response", "verdict", "tokens", "nll")
"""Columns of a scored row that are wanted, beside its tokens' numbers."""


def responses(chosen: list[Row], renderer: Renderer, further: Rows | None = None) -> list[Response]:
    """Chosen rows that kept their tokens' numbers; the others, which the student cannot read, are left out.

    Args:
        further: what the student made of some of the rows when it read them again (`read_again`). Without, steps are
            known in their own contexts only of short responses: unless all are short, that is taken as known of none,
            since the short ones are no fair sample.
    """
    again = {(str(row["id"]), row["sample"]): row for row in further or ()}
    found = []
    for row in chosen:
        if row.get(token_numbers.NLL) is None or row.get(token_numbers.RANK) is None:
            continue
        nll, rank = token_numbers.unpacked(row[token_numbers.NLL], row[token_numbers.RANK])
        ends, ending = step_ends(row["response"], renderer), len(renderer.end_ids)
        response = Response(str(row["id"]), row["response"], nll, rank, ending, ends, verdict=row.get("verdict"))
        if further is not None:
            response = _read_again(response, again.get((response.id, row.get("sample") or 0), {}))
        elif len(ends) <= BEFORE + 1:
            response = replace(response, local_nll=nll[:-ending])
        found.append(response)
    if further is None and any(each.local_nll is None for each in found):
        found = [replace(each, local_nll=None) for each in found]
    return found


def _read_again(response: Response, row: Row) -> Response:
    local, nll = row.get("local_nll"), row.get("in_context_nll")
    return replace(
        response,
        local_nll=None if local is None else numbers(local),
        in_context=None if nll is None else InContext(nll, row["in_context_tokens"]),
    )


def numbers(packed: bytes) -> np.ndarray:
    """Nats of tokens, kept as little-endian float32."""
    import numpy as np

    return np.frombuffer(packed, "<f4").astype(np.float64)


class Candidates(Iterable[Candidate]):
    """All responses there were to choose from, read batch by batch each time they are gone through."""

    def __init__(self, scored: Rows) -> None:
        self._scored = scored

    def __iter__(self) -> Iterator[Candidate]:
        names = [name for name in ("id", "nll", "tokens", "verdict") if name in self._scored.columns]
        for batch in self._scored.batches(names):
            for row in batch.to_pylist():
                nll = math.nan if row["nll"] is None else row["nll"]
                yield Candidate(str(row["id"]), nll, row["tokens"] or 0, row.get("verdict"))


def candidates(scored: Rows) -> Candidates:
    """All responses there were to choose from, of scored rows."""
    return Candidates(scored)


def own_responses(rows: Rows | None) -> dict[str, list[str]]:
    """The student's own responses by question, of those that there are."""
    found: dict[str, list[str]] = defaultdict(list)
    for batch in rows.batches(["id", "response"]) if rows is not None else ():
        for row in batch.to_pylist():
            if row["response"]:
                found[str(row["id"])].append(row["response"])
    return dict(found)


def lacks(predictor: type[Predictor], rows: TrainingSet) -> bool:
    """Whether what a predictor needs is not there."""
    match predictor.needs:
        case "verdicts":
            return all(each.verdict is None for each in rows.responses)
        case "own":
            return not any(each.id in rows.own for each in rows.responses)
        case "local":
            return all(each.local_nll is None for each in rows.responses)
        case "in_context":
            return all(each.in_context is None for each in rows.responses)
    return False


def values(kinds: Mapping[str, type[Predictor]], rows: TrainingSet) -> dict[str, float]:
    """Each predictor's value of a training set; NaN where it is undefined or what it needs is not there."""
    return {
        name: math.nan if not rows.responses or lacks(kind, rows) else kind().value(rows)
        for name, kind in kinds.items()
    }
