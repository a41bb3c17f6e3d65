"""Methods: how the student learns. One file a method, each with one subclass of `Method`; its name is the file's.

A method says which rows it takes, which token sequences a row becomes, and the loss over them. Batches, optimiser,
checkpoints, memory and processes are the training loop's (`tasks.training`), which names no method.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from data import kinds
from tasks.kinds.training_settings import TrainingSettings
from tasks.models.rendering import Rendered, Renderer
from tasks.storage.rows import Row

if TYPE_CHECKING:
    import torch

    Numbers = Sequence[float] | torch.Tensor


@dataclass(frozen=True)
class Example:
    """One training row as token sequences, each a prompt and a response. All of a method's examples have as many."""

    id: str
    """The row's."""
    sequences: list[Rendered]
    """`probe.json` shows the first of each example."""
    weights: "list[Numbers] | None" = None
    """For each sequence, a weight for each of its response tokens. None: 1 for all."""
    reference: "list[torch.Tensor]" = field(default_factory=list)
    """For each sequence, the negative log-likelihood (nats) of each of its response tokens under `Method.reference`:
    float32 (tokens,). The training loop fills it in."""

    @property
    def tokens(self) -> int:
        """Length of the longest sequence."""
        return max(len(sequence.ids) for sequence in self.sequences)


@dataclass(frozen=True)
class Predicted:
    """What the model makes of a batch of examples: one number a response token (n in all), in order."""

    nll: "torch.Tensor"
    """Negative log-likelihood in nats, float32 (n,), differentiable."""
    weights: "torch.Tensor | None"
    """(n,); None: 1 for all."""
    reference: "torch.Tensor | None"
    """(n,): as `Example.reference`; None for a method without."""
    counts: Sequence[int]
    """Response tokens of each sequence. An example's sequences follow each other."""

    def per_sequence(self, values: "torch.Tensor") -> "torch.Tensor":
        """Sums of `values` (n,) over the tokens of each sequence: (sequences,)."""
        import torch

        return torch.stack([part.sum() for part in values.split(list(self.counts))])


@dataclass(frozen=True)
class Loss:
    """A loss, and what else is of interest about a batch: sums over its examples, which the loop divides by the sum of
    `Method.denominator` over an optimiser step."""

    value: "torch.Tensor"
    """Scalar, differentiable."""
    watched: "Mapping[str, torch.Tensor]" = field(default_factory=dict)
    """Scalars by name, the same names for every batch; kept for each step."""


class Method(TrainingSettings, ABC):
    """One way to learn. Its settings and its code are part of an adapter's key."""

    takes: ClassVar[Literal["responses", "pairs"]]
    """Rows it trains on: one `response` each, or a `response` and a `rejected` one."""
    measured_after: ClassVar[bool] = False
    """Whether `facts` needs the examples' likelihood under the trained adapter: another pass over them."""

    @property
    def reference(self) -> Literal["base", "start"] | None:
        """Whose likelihood of the examples the method needs, computed once before the first step: the base model's,
        that of the adapter it starts from (the base model where it starts from none), or nobody's."""
        return None

    @abstractmethod
    def examples(self, rows: Sequence[Row], renderer: Renderer, prompt: str) -> list[Example]:
        """One example for each row, in order. Runs where the study runs.

        Raises:
            InputError, StageFailed: a row cannot be trained on; names it.
        """

    def prepared(self, examples: list[Example]) -> list[Example]:
        """The examples as they are trained on, made once, when `Example.reference` is known."""
        return examples

    def denominator(self, example: Example) -> float:
        """What the example counts in the mean that the loss of an optimiser step is. An example of 0 is left out."""
        return 1.0

    @abstractmethod
    def loss(self, predicted: Predicted) -> Loss:
        """The loss of a batch, summed over its examples."""

    def facts(
        self, examples: Sequence[Example], after: "Sequence[list[torch.Tensor]]", log: Callable[[str], None]
    ) -> dict[str, Any]:
        """What the adapter's manifest says beside what it says for every method.

        Args:
            examples: as `prepared` returned them.
            after: negative log-likelihoods as in `Example.reference`, of the trained adapter, where `measured_after`.
            log: told what a reader of the run's log wants to know, a line each.
        """
        return {}

    def identity(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return {**fields, "code": type(self)}


@functools.cache
def kinds_by_name() -> Mapping[str, type[Method]]:
    """Every method by name."""
    return {
        name: kinds.only_class(kinds.load("tasks.methods", name, "method"), Method)  # type: ignore[type-abstract]
        for name in kinds.names("tasks.methods")
    }
