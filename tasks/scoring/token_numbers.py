"""What a student makes of each response token, kept with the response: its negative log-likelihood and its rank.

Both come from the forward pass that gives the perplexity (tasks/score.py). They are kept as bytes: a list of numbers
would be made into one Python object a token wherever a row is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

NLL, RANK = "nll_of_tokens", "rank_of_tokens"
COLUMNS = (NLL, RANK)
"""What `score` adds: of each response token, the end of the turn included, nats (little-endian float32) and
its rank among all tokens (a byte; 1 is the likeliest, `MOST_RANK` stands for all from there on)."""
MOST_RANK = 255


def packed(nll: np.ndarray, rank: np.ndarray) -> dict[str, bytes]:
    """The two columns of a response, for nats and ranks of its tokens, each (tokens,)."""
    import numpy as np

    clipped = np.minimum(rank, MOST_RANK).astype(np.uint8)
    return {NLL: nll.astype("<f4").tobytes(), RANK: clipped.tobytes()}


def unpacked(nll: bytes, rank: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Nats (float32) and ranks (uint8) of a response's tokens, each (tokens,), where the bytes lie."""
    import numpy as np

    return np.frombuffer(nll, "<f4"), np.frombuffer(rank, np.uint8)
