"""How likely a model finds responses: vocabulary logits only where a response token is predicted.

Rows are padded on the right and run without an attention mask: under causal attention no real token sees a pad, and
the kernels need build no mask. The final projection, the dear part with a large vocabulary, is done for response
positions only, in chunks, so that memory stays flat.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.models.rendering import Rendered

if TYPE_CHECKING:
    import torch

CHUNK_BYTES = 1 << 26
"""Memory the float32 logits of one chunk may take."""
CACHE_BYTES = 3 << 20
"""On a CPU, the widest activation of a pass stays in the cache: 1.6 times the speed of 8,192 tokens at a time, at 1 M
parameters."""
SMALL = 30_000_000
"""Parameters below which several passes at once, of one torch thread each, are faster on a CPU than one pass of several
threads: the work between two joins is too short, and on a busy machine joining took four times as long as computing."""
MOST_PASSES = 8
"""Forward passes at once."""
TOLERANCE = 1e-3
"""Nats a token by which body and head may be off the whole model."""
SAMPLE = 16
"""Tokens that are looked at."""
LOUD = 50.0
"""The largest logit where one is made on purpose."""


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

    Where the two, put together, do not give the model's own log-probabilities to `TOLERANCE` (an unknown scaling after
    the head), the whole model is run instead; the numbers are the model's own and only memory suffers.
    """

    note: str = ""
    """One line where the whole model is run."""

    def __init__(self, model: Any) -> None:
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.device = base.get_input_embeddings().weight.device
        self._model = base
        self._body = base.get_decoder()
        self._head = base.get_output_embeddings()
        config = base.config.get_text_config()
        self._cap = getattr(config, "final_logit_softcapping", None)
        self._factor = getattr(config, "logit_scale", None)
        self._divisor = getattr(config, "logits_scaling", None)
        self.vocabulary = int(config.vocab_size)
        self.on_cpu = self.device.type == "cpu"
        self.small = sum(parameter.numel() for parameter in base.parameters()) < SMALL
        widest = max(config.hidden_size, getattr(config, "intermediate_size", None) or 4 * config.hidden_size)
        self.cached_tokens = max(512, CACHE_BYTES // (4 * widest))
        self._apart = True
        if difference := self._difference():
            self._apart = False
            self.note = f"{type(base).__name__} is run whole, which takes more memory: {difference}"

    def _difference(self) -> str:
        """What is different between the model's own log-probabilities and those of body and head; empty: nothing is.

        The second look is at hidden states so large that the largest logit is `LOUD`: a cap hides in small ones.
        """
        import torch

        if self._head is None or self._body is self._model:
            return "it cannot be taken apart into body and head"
        sample = torch.arange(3, 3 + SAMPLE, device=self.device)[None] % self.vocabulary
        training = self._model.training
        self._model.eval()
        factor = 1.0

        def amplify(body: Any, given: Any, output: Any) -> Any:
            output.last_hidden_state = output.last_hidden_state * factor
            return output

        try:
            with torch.no_grad():
                hidden = self._hidden(sample)
                loudest = float(self._head(hidden).abs().max())
                for factor in (1.0, LOUD / max(loudest, 1e-6)):
                    with self._body.register_forward_hook(amplify):
                        whole = self._model(input_ids=sample, use_cache=False).logits.float().log_softmax(-1)
                    apart = self._logits(hidden * factor).log_softmax(-1)
                    if not (off := float((whole - apart).abs().max())) <= TOLERANCE:
                        return f"its body and head alone are {off:.2g} nats a token off its own log-probabilities"
        except Exception as error:
            if out_of_memory(error):
                raise
            return f"its body and head cannot be run alone ({type(error).__name__})"
        finally:
            self._model.train(training)
        return ""

    def _hidden(self, ids: "torch.Tensor") -> "torch.Tensor":
        if self._apart:
            return self._body(input_ids=ids, use_cache=False).last_hidden_state
        return self._model(input_ids=ids, use_cache=False).logits

    def _logits(self, hidden: "torch.Tensor") -> "torch.Tensor":
        """Float32 logits (n, vocabulary) of chosen positions (n, width), scaled in the model's own precision."""
        if not self._apart:
            return hidden.float()
        logits = self._head(hidden)
        if self._factor is not None:
            logits = logits * self._factor
        if self._divisor is not None:
            logits = logits / self._divisor
        if self._cap is not None:
            logits = self._cap * (logits / self._cap).tanh()
        return logits.float()

    def nll(self, batch: Batch) -> "torch.Tensor":
        """Negative log-likelihood, in nats, of every response token of the batch: float32 (n,). Differentiable."""
        import torch
        from torch.nn.functional import cross_entropy
        from torch.utils.checkpoint import checkpoint

        def part(hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return cross_entropy(self._logits(hidden), targets, reduction="none")

        pieces = self._pieces(batch)
        if len(pieces) > 1 and torch.is_grad_enabled():
            return torch.cat([checkpoint(part, *piece, use_reentrant=False) for piece in pieces])
        return torch.cat([part(*piece) for piece in pieces])

    def nll_and_rank(self, batch: Batch) -> "torch.Tensor":
        """The same, and below it each token's rank among all tokens, 1 for the likeliest: float32 (2, n).

        A rank is one more than the number of tokens that are likelier.
        """
        import torch
        from torch.nn.functional import cross_entropy

        def part(hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            logits = self._logits(hidden)
            rank = 1 + (logits > logits.gather(1, targets[:, None])).sum(1)
            return torch.stack([cross_entropy(logits, targets, reduction="none"), rank.float()])

        return torch.cat([part(*piece) for piece in self._pieces(batch)], 1)

    def _pieces(self, batch: Batch) -> "list[tuple[torch.Tensor, torch.Tensor]]":
        """Hidden states of the positions before response tokens, and these tokens, as many at a time as fit a chunk."""
        chosen = self._hidden(batch.ids)[batch.rows, batch.columns]
        size = max(1, CHUNK_BYTES // (4 * self.vocabulary))
        return list(zip(chosen.split(size), batch.targets.split(size), strict=True))


def pass_threads(likelihood: Likelihood) -> ThreadPoolExecutor:
    """Threads that run forward passes. A small model on a CPU gets a few, each with one torch thread; any other one."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count, threads = (min(MOST_PASSES, cores), 1) if likelihood.on_cpu and likelihood.small else (1, cores)
    return ThreadPoolExecutor(count, "likelihood", initializer=torch.set_num_threads, initargs=(threads,))


def negative_log_likelihoods(
    model: Any,
    examples: Sequence[Rendered],
    budget: int,
    pool: Executor | None = None,
    halved: Callable[[int], None] = lambda budget: None,
    ranks: bool = False,
) -> Iterator[tuple[int, "torch.Tensor"]]:
    """Score rendered rows, in batches of like length, shortest first. Of rows that are the same (a model often writes
    the same response twice) one is computed.

    Args:
        model: a transformers causal language model in evaluation mode, or a `Likelihood` of one.
        examples: prompt and response ids of each row.
        budget: tokens a forward pass may hold, padding included; on a CPU, no more than its cache holds. A batch that
            memory has no room for is split.
        pool: `pass_threads` of the model, where several callers share it.
        halved: told the smaller budget when memory ran out.
        ranks: give each token's rank too.

    Yields:
        The row's index and the negative log-likelihood of each of its response tokens, float32 (tokens,) on the CPU;
        with ranks, (2, tokens) as `Likelihood.nll_and_rank`.

    Raises:
        MemoryError: not even one row fits.
    """
    import torch

    likelihood = model if isinstance(model, Likelihood) else Likelihood(model)

    def scored(batch: list[int]) -> list[tuple[int, torch.Tensor]]:
        with torch.inference_mode():
            padded = Batch.of([examples[index] for index in batch], 0, likelihood.device)
            found = likelihood.nll_and_rank(padded) if ranks else likelihood.nll(padded)
            return list(zip(batch, found.cpu().split(padded.counts, -1), strict=True))

    same: dict[tuple[int, ...], list[int]] = {}
    for index, example in enumerate(examples):
        same.setdefault((example.prompt_length, *example.ids), []).append(index)
    copies = {numbers[0]: numbers for numbers in same.values()}
    limit = min(budget, likelihood.cached_tokens) if likelihood.on_cpu else budget
    own = pass_threads(likelihood) if pool is None else None
    waiting = {(own or pool).submit(scored, batch): batch for batch in _batches(examples, copies, limit)}  # type: ignore[union-attr]
    try:
        while waiting:
            for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                batch = waiting.pop(done)
                try:
                    found = done.result()
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error):
                        raise
                    longest = len(examples[batch[-1]].ids)
                    if len(batch) == 1:
                        raise MemoryError(f"one row of {longest} tokens does not fit") from error
                    half = len(batch) // 2
                    halved(half * longest)
                    release_memory()
                    for part in (batch[:half], batch[half:]):
                        waiting[(own or pool).submit(scored, part)] = part  # type: ignore[union-attr]
                    continue
                yield from ((copy, nll) for index, nll in found for copy in copies[index])
    finally:
        for future in waiting:
            future.cancel()
        if own is not None:
            own.shutdown(cancel_futures=True)


def _batches(examples: Sequence[Rendered], numbers: Iterable[int], budget: int) -> Iterator[list[int]]:
    """Row numbers by length, in batches that fit the budget when padded to their longest; at least one row each."""
    batch: list[int] = []
    for index in sorted(numbers, key=lambda index: len(examples[index].ids)):
        if batch and (len(batch) + 1) * len(examples[index].ids) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


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
