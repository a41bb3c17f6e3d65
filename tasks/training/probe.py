"""What a new adapter says of a few rows, to attest later that an engine serves it."""

from collections.abc import Sequence
from typing import Any

from tasks.models.rendering import Rendered
from tasks.scoring.likelihood import Batch, Likelihood

ROWS = 4


def probe(model: Any, examples: Sequence[Rendered]) -> dict[str, Any]:
    """Log-probabilities of each response token of a few training rows, without and with the adapter."""
    import torch

    likelihood = Likelihood(model)

    def log_probabilities(example: Rendered) -> list[float]:
        with torch.inference_mode():
            return [-value for value in likelihood.nll(Batch.of([example], 0, likelihood.device)).tolist()]

    rows = []
    for example in examples[:ROWS]:
        with model.disable_adapter():
            base = log_probabilities(example)
        rows.append(
            {
                "prompt_ids": example.ids[: example.prompt_length],
                "response_ids": example.response_ids,
                "base": base,
                "adapted": log_probabilities(example),
            }
        )
    return {"rows": rows}
