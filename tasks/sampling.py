"""How responses are drawn from a model."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Sampling(BaseModel):
    """Sampling values of one generation; all of them change the result, so all are part of the key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int = Field(default=1, ge=1, le=10_000)
    """Samples a question."""
    temperature: float = Field(default=0.0, ge=0.0, le=10.0)
    """0 is greedy: the likeliest token, always."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of probability kept, likeliest tokens first; 1 keeps all."""
    top_k: int | None = Field(default=None, ge=1)
    """How many of the likeliest tokens are kept; null keeps all."""
    max_tokens: int = Field(default=512, ge=1)
    """Tokens after which a response is cut off (its `finish` is then "length")."""


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
