"""Which examples a training sees when, and a batch of them as tensors."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.kinds.methods import Example
from tasks.scoring.likelihood import Batch

if TYPE_CHECKING:
    import torch


def epoch_steps(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[list[int]]:
    """Example numbers of each optimiser step of an epoch, of like length, in an order that depends on nothing but the
    seed and the epoch. A step with fewer examples than the others comes last."""
    order = list(range(len(lengths)))
    rng = random.Random(f"{seed}/{epoch}")
    rng.shuffle(order)
    whole = len(order) - len(order) % batch
    steps = []
    for start in range(0, whole, 8 * batch):
        alike = sorted(order[start : min(whole, start + 8 * batch)], key=lambda i: lengths[i])
        steps += [alike[at : at + batch] for at in range(0, len(alike), batch)]
    rng.shuffle(steps)
    return steps + ([order[whole:]] if whole < len(order) else [])


@dataclass(frozen=True)
class ExampleBatch:
    """A few examples padded to one length, with what the method brought along; see `tasks.kinds.methods.Predicted`."""

    tokens: Batch
    weights: "torch.Tensor | None"
    reference: "torch.Tensor | None"

    @classmethod
    def of(cls, examples: Sequence[Example], device: Any) -> "ExampleBatch":
        import torch

        tokens = Batch.of([sequence for example in examples for sequence in example.sequences], pad=0)
        weights = reference = None
        if any(example.weights is not None for example in examples):
            each = [numbers for example in examples for numbers in _weights(example)]
            weights = torch.cat([torch.as_tensor(numbers, dtype=torch.float32) for numbers in each]).to(device)
        if all(example.reference for example in examples):
            reference = torch.cat([nll for example in examples for nll in example.reference]).to(device)
        return cls(tokens.to(device), weights, reference)


def _weights(example: Example) -> Sequence[Any]:
    if example.weights is not None:
        return example.weights
    return [[1.0] * len(sequence.response_ids) for sequence in example.sequences]
