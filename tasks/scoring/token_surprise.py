"""Where in a response the student is surprised: the negative log-likelihood of each token, before any fine-tuning.

The values are those of the forward pass that gives the perplexity (tasks/score.py). A study has too many tokens to keep
them all: of each artifact about `KEPT` rows keep theirs, chosen by a digest of the question's id, so that all origins
keep the same questions, whatever was scored first and however often the stage was resumed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

KEPT = 256
COLUMNS = ("token_nll", "token_text")
"""What `score` adds: nats of each response token, the end of the turn included, and each token's text; null in most
rows. The texts joined are the response; those of the end of the turn are empty."""
PLACES = 20
CURVES = ("student", "train_benchmark", "arm", "origin", "place", "nll", "low", "high", "responses")
INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


def kept(id: object, share: float) -> bool:
    """Whether a question's responses keep their tokens, when this share (0 to 1) of all questions does."""
    drawn = int.from_bytes(hashlib.sha256(f"surprise {id}".encode()).digest()[:8], "big")
    return drawn < share * 2**64


def pieces(ids: Sequence[int], end_ids: Sequence[int], text: Callable[[tuple[int, ...]], str]) -> list[str]:
    """The text of each response token, "" for those that end the turn.

    A token is decoded together with the one before it, since some tokenizers put the space between two words there. A
    character that several tokens spell is with the last of them.

    Args:
        ids: the response's token ids.
        end_ids: the ids that end a turn.
        text: decodes ids.
    """
    ending = len(end_ids) if list(ids[-len(end_ids) :]) == list(end_ids) else 0
    said = tuple(ids[: len(ids) - ending])
    found: list[str] = []
    start, read = 0, 0
    for end in range(1, len(said) + 1):
        before = text(said[start:read]) if read else ""
        both = text(said[start:end])
        if both.endswith(INCOMPLETE) and end < len(said):
            found.append("")
            continue
        found.append(both[len(before) :])
        start, read = read, end
    return [*found, *[""] * ending]


def profile(nll: Sequence[float], places: int = PLACES) -> np.ndarray:
    """Mean nats a token in each of `places` equal parts of a response, (places,); a token across two counts in both.

    The mean of the profile is the response's mean.
    """
    import numpy as np

    total = np.concatenate([[0.0], np.cumsum(np.asarray(nll, dtype=np.float64))])
    ends = np.interp(np.linspace(0, len(nll), places + 1), np.arange(len(nll) + 1), total)
    return np.asarray(np.diff(ends) * places / len(nll))


def curves(responses: pd.DataFrame) -> pd.DataFrame:
    """The mean profile of each student, training benchmark and arm (`CURVES`), over the responses trained on that kept
    their tokens, with a 95 % t-interval; `place` is the middle of a part, 0 to 1."""
    import numpy as np
    import pandas as pd
    from scipy.special import stdtrit

    rows: list[tuple[Any, ...]] = []
    known = responses[responses["token_nll"].notna()]
    for (student, benchmark, arm), group in known.groupby(["student", "train_benchmark", "arm"], sort=True):
        origin = group["origin"].iloc[0]
        used = group[group["chosen"]] if group["chosen"].any() else group
        found = np.stack([profile(each) for each in used["token_nll"]])
        count = len(found)
        mean = found.mean(axis=0)
        reach = np.full(PLACES, np.nan)
        if count > 1:
            reach = stdtrit(count - 1, 0.975) * found.std(axis=0, ddof=1) / np.sqrt(count)
        places = (np.arange(PLACES) + 0.5) / PLACES
        rows += [
            (student, benchmark, arm, origin, place, value, value - width, value + width, count)
            for place, value, width in zip(places, mean, reach, strict=True)
        ]
    return pd.DataFrame(rows, columns=list(CURVES))


def tokens(texts: Iterable[str], nll: Iterable[float]) -> list[tuple[str, float, int]]:
    """Text, nats and number of each readable piece: tokens that only together spell a character are one piece, with the
    sum of their nats. What ends the turn comes last, with an empty text."""
    found: list[tuple[str, float, int]] = []
    waiting, count = 0.0, 0
    for text, value in zip(texts, nll, strict=True):
        waiting, count = waiting + float(value), count + 1
        if text:
            found.append((text, waiting, count))
            waiting, count = 0.0, 0
    return [*found, ("", waiting, count)] if count else found
