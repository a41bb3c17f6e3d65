"""A training from its examples to its adapter: again with fewer rows at a time where memory runs out, on from where an
earlier try was killed, and with what is measured before and after."""

import json
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.kinds.methods import Example
from tasks.resources import disk
from tasks.resources.errors import StageFailed, Transient
from tasks.scoring.likelihood import Likelihood, out_of_memory, release_memory
from tasks.training import adapter, checkpoint, measuring, probe
from tasks.training.checkpoint import Checkpoints
from tasks.training.examples import read
from tasks.training.trainer import Trainer, check_finite, thinned
from tasks.training.training import Training

if TYPE_CHECKING:
    import torch

CURVE_POINTS = 200
LOSS_LINES = 10
"""How often a training says its loss."""


@dataclass(frozen=True)
class Fit:
    """How a training fits into memory. The rows of an optimiser step are the same however it does."""

    micro: int
    """Examples of a forward pass."""
    recompute: bool = False
    """Whether activations are computed again on the backward pass."""

    def smaller(self) -> "Fit":
        if self.micro > 1:
            return Fit((self.micro + 1) // 2)
        return Fit(1, recompute=True)


def train(training: Training) -> dict[str, Any]:
    """Train an adapter and write `adapter/` and `probe.json`; goes on from what `training.scratch` has of it. Out of
    memory halves the micro-batch, down to one row, then recomputes activations.

    Returns:
        Facts for the manifest, the method's own among them.

    Raises:
        StageFailed: the loss is not finite, the adapter changes nothing, or it cannot start from the one it is given.
        Transient: memory ran out with a single row.
    """
    examples = read(training.examples)
    fit = Fit(min(training.method.batch, len(examples)))
    if begun := checkpoint.newest(training.scratch):
        fit = Fit(**checkpoint.read(begun)["facts"])
    while True:
        try:
            return _train(training, examples, fit, begun)
        except Exception as error:
            if not out_of_memory(error):
                raise
            if fit.recompute:
                raise Transient(f"out of memory while training with one row at a time: {error}") from error
        release_memory()
        checkpoint.discard(training.scratch)
        begun, fit = None, fit.smaller()
        slower = ", with recomputed activations" if fit.recompute else ""
        training.log(f"out of memory: beginning again with {fit.micro} rows at a time{slower}")


def _train(training: Training, examples: list[Example], fit: Fit, begun: Path | None) -> dict[str, Any]:
    method = training.method
    model = adapter.load(training, fit.recompute).eval()
    likelihood = Likelihood(model)
    if likelihood.note:
        training.log(likelihood.note)
    first = [example.sequences[0] for example in examples[: probe.ROWS]]
    before = None if training.start is None else probe.log_probabilities(likelihood, first)
    examples = method.prepared(_with_reference(training, model, likelihood, examples, fit.micro))
    trained_on = [example for example in examples if method.denominator(example) > 0]
    trainer = Trainer(method, model, likelihood, trained_on, fit.micro, training.seed)
    if begun is not None:
        checkpoint.restore(begun, trainer)
        training.log(f"goes on after step {trainer.step:,} of {trainer.total_steps:,}")
    _do_steps(training, trainer, fit)
    losses = trainer.losses()
    seconds = trainer.seconds
    check_finite(losses)
    model.eval()
    probed = probe.probe(model, likelihood, first)
    (training.folder / "probe.json").write_text(json.dumps(probed), encoding="utf-8")
    if [row["adapted"] for row in probed["rows"]] in (before, [row["base"] for row in probed["rows"]]):
        raise StageFailed(
            f"the adapter changes nothing after {trainer.step} steps: its log-probabilities are those it started with; "
            "try more rows or epochs, a higher learning rate, or no warm-up"
        )
    after: Sequence[list[torch.Tensor]] = ()
    if method.measured_after:
        after = measuring.token_nlls(likelihood, examples, fit.micro)
    adapter.save(model, training.folder / "adapter", training.model)
    tokens = method.epochs * sum(len(sequence.ids) for example in trained_on for sequence in example.sequences)
    curves = {
        name: thinned([float(values[place]) for values in trainer.history], CURVE_POINTS)
        for place, name in enumerate(trainer.watched, 1)
    }
    return {
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "loss": thinned(losses, CURVE_POINTS),
        **({"watched": curves} if curves else {}),
        "steps": trainer.step,
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds, 1),
        "train_seconds": round(seconds, 3),
        "rows": len(examples),
        **({"rows_without_weight": left} if (left := len(examples) - len(trained_on)) else {}),
        "micro_batch": fit.micro,
        "accumulation": math.ceil(min(method.batch, len(trained_on)) / fit.micro),
        "gradient_checkpointing": fit.recompute,
        "device": str(trainer.device),
        "trainable_parameters": sum(parameter.numel() for parameter in trainer.parameters.values()),
        **method.facts(examples, after, training.log),
    }


def _with_reference(
    training: Training, model: Any, likelihood: Likelihood, examples: list[Example], micro: int
) -> list[Example]:
    """The examples with their likelihood under the method's reference, where it has one."""
    reference = training.method.reference
    if reference is None:
        return examples

    def measure() -> "list[list[torch.Tensor]]":
        # A new adapter changes nothing, and is the base model.
        with model.disable_adapter() if reference == "base" else nullcontext():
            return measuring.token_nlls(likelihood, examples, micro)

    made_by = json.dumps(checkpoint.made_by(), sort_keys=True)
    nlls = measuring.kept(training.scratch, examples, made_by, measure)
    return [replace(example, reference=nll) for example, nll in zip(examples, nlls, strict=True)]


def _do_steps(training: Training, trainer: Trainer, fit: Fit) -> None:
    checkpoints = Checkpoints(training.scratch, {"micro": fit.micro, "recompute": fit.recompute})
    total = trainer.total_steps
    for done in trainer.steps():
        training.progress(done, total)
        if done * LOSS_LINES // total > (done - 1) * LOSS_LINES // total:
            training.log(f"step {done:,} of {total:,}: {_recent(trainer)}")
        if checkpoints.due and done < total:
            check_finite(trainer.losses())
            try:
                checkpoints.keep(trainer)
            except Exception as error:
                if (full := disk.error_text(error)) is None:
                    raise
                training.log(f"step {done:,} of {total:,} is not kept: {full} ({training.scratch})")


def _recent(trainer: Trainer) -> str:
    """Means of the steps since the last line about them."""
    import torch

    steps = trainer.history[-max(1, trainer.total_steps // LOSS_LINES) :]
    means = torch.stack(steps).mean(0).tolist()
    return ", ".join(f"{name} {mean:.4g}" for name, mean in zip(("loss", *trainer.watched), means, strict=True))
