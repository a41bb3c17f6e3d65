"""The likelihood of a training's examples, by the model before its first step or after its last one."""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.kinds.methods import Example
from tasks.scoring.likelihood import Likelihood, negative_log_likelihoods
from tasks.training.adapter import forward_format

if TYPE_CHECKING:
    import torch

FILE, DRAFT = "reference.safetensors", "reference.unfinished"


def token_nlls(likelihood: Likelihood, examples: Sequence[Example], at_once: int) -> "list[list[torch.Tensor]]":
    """Negative log-likelihood of each response token of each sequence of each example: float32 (tokens,), on the CPU.

    Args:
        likelihood: of a model in evaluation mode.
        at_once: how many sequences of the longest kind a pass may hold; fewer where memory runs out.

    Raises:
        MemoryError: not even one sequence fits.
    """
    sequences = [sequence for example in examples for sequence in example.sequences]
    budget = at_once * max(len(sequence.ids) for sequence in sequences)
    with forward_format(likelihood.device):
        found = dict(negative_log_likelihoods(likelihood, sequences, budget, _InThisThread()))
    numbers = iter(range(len(sequences)))
    return [[found[next(numbers)] for _ in example.sequences] for example in examples]


def kept(
    folder: Path, examples: Sequence[Example], made_by: str, measure: "Callable[[], list[list[torch.Tensor]]]"
) -> "list[list[torch.Tensor]]":
    """What an earlier try of the training has measured; where it has not, or by other software, it is measured now.

    Args:
        folder: outlives a killed trainer.
        made_by: what must be the same for the numbers to be the same.
    """
    import torch
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file

    counts = [len(sequence.response_ids) for example in examples for sequence in example.sequences]
    try:
        with safe_open(folder / FILE, "pt") as file:
            flat, metadata = file.get_tensor("nll"), file.metadata()
        if metadata == {"made_by": made_by, "sha256": _digest(flat)} and len(flat) == sum(counts):
            parts = iter(flat.split(counts))
            return [[next(parts) for _ in example.sequences] for example in examples]
    except (OSError, SafetensorError):
        pass  # there is none, or a machine that lost power has not written it all
    measured = measure()
    flat = torch.cat([nll for example in measured for nll in example])
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"nll": flat}, folder / DRAFT, {"made_by": made_by, "sha256": _digest(flat)})
    with (folder / DRAFT).open("rb") as file:
        os.fsync(file.fileno())
    (folder / DRAFT).rename(folder / FILE)
    return measured


def _digest(tensor: "torch.Tensor") -> str:
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


class _InThisThread(Executor):
    """Runs what is submitted at once: a trainer has one thread, and autocast is a thread's own."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
