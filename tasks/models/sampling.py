"""How responses are drawn from a model."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from data.bounds import MOST_TOKENS, Share, Temperature, Whole
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row

RESPONSE = ("sample", "model", "response")
"""Columns of a response, beside those of its question."""
GENERATED = (*RESPONSE, "finish")
"""Columns of a response that was generated in this study."""
NO_ROOM = "no_room"
"""The `finish` of a missing response that was never asked for: the prompt alone fills the model's context."""


class Sampling(BaseModel):
    """Sampling values of one generation; all of them change the result, so all are part of the key."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    n: Whole = Field(default=1, ge=1, le=10_000)
    """Samples a question."""
    temperature: Temperature = 0.0
    """0 is greedy: the likeliest token, always."""
    top_p: Share = 1.0
    """Share of probability kept, likeliest tokens first; 1 keeps all."""
    top_k: Whole | None = Field(default=None, ge=1, le=10_000_000)
    """How many of the likeliest tokens are kept; null keeps all."""
    max_tokens: Whole = Field(default=512, ge=1, le=MOST_TOKENS)
    """Tokens after which a response is cut off (its `finish` is then "length")."""

    def drawn_by(self, seed: int) -> int:
        """The seed that responses are drawn by: always 0 where nothing is drawn, so that it is in no key."""
        return seed if self.temperature else 0


def parameters(sampling: Sampling, seed: int, stop_ids: tuple[int, ...]) -> dict[str, Any]:
    """One response's sampling in vLLM's words; greedy decoding takes the likeliest token and no seed."""
    greedy = sampling.temperature == 0
    return {
        "temperature": sampling.temperature,
        "top_p": 1.0 if greedy else sampling.top_p,
        "top_k": 0 if greedy else sampling.top_k or 0,
        "seed": None if greedy else seed,
        "max_tokens": sampling.max_tokens,
        "stop_token_ids": list(stop_ids),
    }


def seed_of(seed: int, row: str, sample: int) -> int:
    """A seed of this response alone, so that it comes out the same whatever was finished before; 63 bits."""
    digest = hashlib.sha256(json.dumps([seed, row, sample]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Gathered:
    """Responses that come in any order, put together by question.

    Raises:
        StageFailed: the rows are samples already, and several of each are asked for.
    """

    def __init__(self, sampling: Sampling, columns: Sequence[str]) -> None:
        if sampling.n > 1 and "sample" in columns:
            raise StageFailed("these rows are samples already: ask for one response to each (n = 1)")
        self._n = sampling.n
        self._expected: dict[str, int] = {}
        self._begun: dict[str, list[Row]] = {}

    def expect(self, id: object, count: int) -> None:
        """Say how many samples of a question come, where these are not all."""
        if count != self._n:
            self._expected[str(id)] = count

    def add(self, row: Row) -> list[Row] | None:
        """The question's responses in the order of their samples, once the last of them is added."""
        if self._n == 1:
            return [row]
        begun = self._begun.setdefault(str(row["id"]), [])
        begun.append(row)
        if len(begun) < self._expected.get(str(row["id"]), self._n):
            return None
        return sorted(self._begun.pop(str(row["id"])), key=lambda one: one["sample"])
