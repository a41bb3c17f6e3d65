"""How likely a model finds responses: vocabulary logits only where a response token is predicted.

Rows are padded on the right and run without an attention mask: under causal attention no real token sees a pad, and
the kernels need build no mask. The final projection, the dear part with a large vocabulary, is done in float32 for
response positions only, in chunks, so that memory stays flat.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.render import Rendered

if TYPE_CHECKING:
    import torch

CHUNK_BYTES = 1 << 26
"""Memory the float32 logits of one chunk may take."""


@dataclass(frozen=True)
class Batch:
    """Rows padded to one length.

    `ids` is (rows, tokens); `rows` and `columns`, each (n,), point at the positions whose next token belongs to a
    response, row by row; `targets` (n,) are those next tokens; `counts` says how many belong to each row.
    """

    ids: "torch.Tensor"
    rows: "torch.Tensor"
    columns: "torch.Tensor"
    targets: "torch.Tensor"
    counts: list[int]

    @classmethod
    def of(cls, examples: Sequence[Rendered], pad: int, device: Any = "cpu") -> "Batch":
        import torch

        longest = max(len(example.ids) for example in examples)
        ids = torch.tensor([example.ids + [pad] * (longest - len(example.ids)) for example in examples])
        counts = [len(example.ids) - example.prompt_length for example in examples]
        rows = torch.repeat_interleave(torch.arange(len(examples)), torch.tensor(counts))
        columns = torch.cat([torch.arange(e.prompt_length - 1, len(e.ids) - 1) for e in examples])
        return cls(ids, rows, columns, ids[rows, columns + 1], counts).to(device)

    def to(self, device: Any) -> "Batch":
        ids, rows, columns, targets = (
            tensor.to(device, non_blocking=True) for tensor in (self.ids, self.rows, self.columns, self.targets)
        )
        return Batch(ids, rows, columns, targets, self.counts)


class Likelihood:
    """A causal language model taken apart into its body and its head, whatever its architecture calls them.

    Where the two, put together, do not give the model's own logits (an unknown scaling after the head), the whole
    model is run instead; the numbers are the same and only memory suffers.
    """

    def __init__(self, model: Any) -> None:
        import torch

        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.device = base.get_input_embeddings().weight.device
        self._model = base
        self._body = base.get_decoder()
        self._head = base.get_output_embeddings()
        config = base.config.get_text_config()
        self._cap = getattr(config, "final_logit_softcapping", None)
        self._scale = getattr(config, "logit_scale", None) or 1.0 / (getattr(config, "logits_scaling", None) or 1.0)
        self.vocabulary = int(self._head.weight.shape[0])
        self._apart = self._body is not base
        if self._apart:
            with torch.no_grad():
                sample = torch.arange(8, device=self.device)[None] % self.vocabulary
                whole = base(input_ids=sample, use_cache=False).logits.float()
                parts = self._logits(self._hidden(sample))
                self._apart = bool(torch.allclose(whole, parts, atol=1e-4 + 1e-2 * float(whole.abs().max())))

    def _hidden(self, ids: "torch.Tensor") -> "torch.Tensor":
        if self._apart:
            return self._body(input_ids=ids, use_cache=False).last_hidden_state
        return self._model(input_ids=ids, use_cache=False).logits

    def _logits(self, hidden: "torch.Tensor") -> "torch.Tensor":
        """Float32 logits (n, vocabulary) of chosen positions (n, width)."""
        if not self._apart:
            return hidden.float()
        logits = self._head(hidden).float()
        if self._scale != 1.0:
            logits = logits * self._scale
        if self._cap is not None:
            logits = self._cap * (logits / self._cap).tanh()
        return logits

    def nll(self, batch: Batch) -> "torch.Tensor":
        """Negative log-likelihood, in nats, of every response token of the batch: float32 (n,). Differentiable."""
        import torch
        from torch.nn.functional import cross_entropy
        from torch.utils.checkpoint import checkpoint

        chosen = self._hidden(batch.ids)[batch.rows, batch.columns]

        def part(hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return cross_entropy(self._logits(hidden), targets, reduction="none")

        size = max(1, CHUNK_BYTES // (4 * self.vocabulary))
        if len(chosen) <= size:
            return part(chosen, batch.targets)
        pieces = zip(chosen.split(size), batch.targets.split(size), strict=True)
        if torch.is_grad_enabled():
            return torch.cat([checkpoint(part, *piece, use_reentrant=False) for piece in pieces])
        return torch.cat([part(*piece) for piece in pieces])


def negative_log_likelihoods(
    model: Any,
    examples: Sequence[Rendered],
    budget: int,
    turn: Any = None,
    halved: Callable[[int], None] = lambda budget: None,
) -> Iterator[tuple[int, "torch.Tensor"]]:
    """Score rendered rows, shortest first.

    Args:
        model: a transformers causal language model in evaluation mode, or a `Likelihood` of one.
        examples: prompt and response ids of each row.
        budget: tokens a forward pass may hold, padding included. Halved when memory runs out.
        turn: a lock held during each forward pass, where several threads share the model.
        halved: told the smaller budget when memory ran out.

    Yields:
        The row's index and the negative log-likelihood of each of its response tokens, float32 on the CPU.

    Raises:
        MemoryError: not even one row fits.
    """
    import torch

    likelihood = model if isinstance(model, Likelihood) else Likelihood(model)
    waiting = sorted(range(len(examples)), key=lambda index: len(examples[index].ids))
    while waiting:
        taken = _fitting(examples, waiting, budget)
        try:
            with turn or nullcontext(), torch.inference_mode():
                nll = likelihood.nll(Batch.of([examples[index] for index in waiting[:taken]], 0, likelihood.device))
                batch = nll.cpu()
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            if taken == 1:
                raise MemoryError(f"one row of {len(examples[waiting[0]].ids)} tokens does not fit") from error
            budget = max(1, taken * len(examples[waiting[taken - 1]].ids) // 2)
            halved(budget)
            release_memory()
            continue
        counts = [len(examples[index].ids) - examples[index].prompt_length for index in waiting[:taken]]
        yield from zip(waiting[:taken], batch.split(counts), strict=True)
        waiting = waiting[taken:]


def _fitting(examples: Sequence[Rendered], waiting: Sequence[int], budget: int) -> int:
    """How many of the shortest waiting rows fit the budget when padded to the longest of them; at least one."""
    taken = 1
    while taken < len(waiting) and (taken + 1) * len(examples[waiting[taken]].ids) <= budget:
        taken += 1
    return taken


def out_of_memory(error: BaseException) -> bool:
    """Whether torch says that the device's, or the machine's, memory is full."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def release_memory() -> None:
    """Give what torch holds but nothing uses back to the device."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
