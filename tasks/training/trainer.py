"""The training loop: optimiser steps over a method's examples, and what was seen at each of them."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tasks.kinds.methods import Example, Method, Predicted
from tasks.resources.errors import StageFailed
from tasks.scoring.likelihood import Likelihood
from tasks.training.adapter import forward_format
from tasks.training.batches import ExampleBatch, epoch_steps

if TYPE_CHECKING:
    pass

CLIP = 1.0
"""Largest norm of the adapter's gradient."""
CHECKED_EVERY = 100
"""Steps after which the loss is looked at: doing so makes a GPU wait."""


class Trainer:
    """Trains an adapter by AdamW, on logits of response tokens only (`tasks.scoring.likelihood`).

    A plain loop: with logits, batches and checkpoints of our own, all that transformers' Trainer added were private
    methods to override. Both give the same adapters, byte for byte.

    Args:
        method: whose settings and loss are used.
        model: see `adapter.load`.
        likelihood: of the model.
        examples: what is trained on, each of a denominator above 0.
        micro: examples of a forward pass.
        seed: decides the order of the examples.
    """

    def __init__(
        self, method: Method, model: Any, likelihood: Likelihood, examples: Sequence[Example], micro: int, seed: int
    ) -> None:
        import torch
        from transformers import get_scheduler

        self._method = method
        self._model = model
        self._likelihood = likelihood
        self._examples = examples
        self._micro = micro
        self._seed = seed
        self._steps_per_epoch = math.ceil(len(examples) / method.batch)
        self.device = likelihood.device
        self.total_steps = method.epochs * self._steps_per_epoch
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        """What is trained, by name."""
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=method.learning_rate, weight_decay=method.weight_decay, fused=True
        )
        self.scheduler = get_scheduler(
            "constant_with_warmup" if method.schedule == "constant" else method.schedule,
            self.optimizer,
            num_warmup_steps=math.ceil(method.warmup * self.total_steps),
            num_training_steps=self.total_steps,
        )
        self.history: list[torch.Tensor] = []
        """Of each step its loss and, in the order of `watched`, what the method watches: float32 (1 + watched,)."""
        self.watched: tuple[str, ...] = ()
        self.started = time.perf_counter()

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return len(self.history)

    @property
    def seconds(self) -> float:
        """How long the training has taken, all tries together."""
        return time.perf_counter() - self.started

    def losses(self) -> list[float]:
        """The mean loss of each step."""
        import torch

        return torch.stack(self.history)[:, 0].tolist() if self.history else []

    def steps(self) -> Iterator[int]:
        """Do the steps that are left; yields the number done after each.

        Raises:
            StageFailed: the loss is not finite.
        """
        lengths = [example.tokens for example in self._examples]
        self._model.train()
        for epoch in range(self._method.epochs):
            steps = epoch_steps(lengths, self._method.batch, self._seed, epoch)
            for chosen in steps[max(0, self.step - epoch * self._steps_per_epoch) :]:
                self._do([self._examples[index] for index in chosen])
                if self.step % CHECKED_EVERY == 1:
                    check_finite([float(self.history[-1][0])], self.step)
                yield self.step

    def _do(self, examples: Sequence[Example]) -> None:
        """One optimiser step; the examples come in parts where memory is short."""
        import torch
        from torch.nn.utils import clip_grad_norm_

        seen: torch.Tensor | None = None
        denominator = sum(map(self._method.denominator, examples))
        for start in range(0, len(examples), self._micro):
            batch = ExampleBatch.of(examples[start : start + self._micro], self.device)
            with forward_format(self.device):
                nll = self._likelihood.nll(batch.tokens)
                found = self._method.loss(Predicted(nll, batch.weights, batch.reference, batch.tokens.counts))
                loss = found.value / denominator
            loss.backward()
            self.watched = tuple(found.watched)
            values = torch.stack([loss.detach(), *(value.detach() / denominator for value in found.watched.values())])
            seen = values if seen is None else seen + values
        assert seen is not None
        clip_grad_norm_(self.parameters.values(), CLIP)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        self.history.append(seen)


def check_finite(losses: Sequence[float], first: int = 1) -> None:
    """See that a training has not diverged.

    Args:
        losses: of the steps from number `first` on.

    Raises:
        StageFailed: it has.
    """
    for step, loss in enumerate(losses, first):
        if not math.isfinite(loss):
            raise StageFailed(f"the training loss is {loss} (step {step}): try a lower learning rate")


def thinned(values: Sequence[float], points: int) -> list[float]:
    """At most `points` means of neighbouring steps."""
    size = math.ceil(len(values) / points)
    groups = [values[start : start + size] for start in range(0, len(values), size)]
    return [round(sum(group) / len(group), 5) for group in groups]
