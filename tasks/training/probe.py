"""What a new adapter says of a few rows, to attest later that an engine serves it."""

from collections.abc import Sequence
from typing import Any

from tasks.models.rendering import Rendered
from tasks.scoring.likelihood import Batch, Likelihood

ROWS = 4


def probe(model: Any, likelihood: Likelihood, sequences: Sequence[Rendered]) -> dict[str, Any]:
    """Log-probabilities of each response token of a few training rows, without (`base`) and with the adapter."""
    adapted = log_probabilities(likelihood, sequences)
    with model.disable_adapter():
        base = log_probabilities(likelihood, sequences)
    rows = [
        {
            "prompt_ids": sequence.ids[: sequence.prompt_length],
            "response_ids": sequence.response_ids,
            "base": without,
            "adapted": adapted,
        }
        for sequence, without, adapted in zip(sequences[:ROWS], base, adapted, strict=True)
    ]
    return {"rows": rows}


def log_probabilities(likelihood: Likelihood, sequences: Sequence[Rendered]) -> list[list[float]]:
    """Of each response token of the first few sequences, one at a time, by the model as it is now."""
    import torch

    with torch.inference_mode():
        return [
            [-value for value in likelihood.nll(Batch.of([sequence], 0, likelihood.device)).tolist()]
            for sequence in sequences[:ROWS]
        ]
