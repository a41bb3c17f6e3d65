"""Training a LoRA adapter on responses: TRL's SFTTrainer, with what costs time at every step left out.

At a million parameters a stock step spends a third of its time beside the model: entropy and accuracy of each token,
a walk over all parameters to count operations, a norm over frozen ones, wrapped loaders and per-step logging. The
trainer here keeps TRL's and transformers' loop, optimiser handling, schedule and seeds, and overrides the step: logits
for response tokens only, no attention mask (`tasks.scoring.likelihood`), clipping over the adapter's parameters.
"""

import json
import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.models.rendering import Rendered
from tasks.resources import disk
from tasks.resources.errors import StageFailed, Transient
from tasks.scoring.likelihood import Likelihood, out_of_memory, release_memory
from tasks.storage.rows import Rows
from tasks.training import checkpoint, probe
from tasks.training.batches import Batches
from tasks.training.checkpoint import Checkpoints

if TYPE_CHECKING:
    from tasks.kinds.methods import Training

CLIP = 1.0
"""Largest norm of the adapter's gradient."""
CURVE_POINTS = 200
LOSS_LINES = 10
"""How often a training says its loss."""


@dataclass(frozen=True)
class Settings:
    """How an adapter is trained; see `tasks.methods.sft.Sft`."""

    epochs: int
    learning_rate: float
    batch: int
    rank: int
    alpha: int
    dropout: float
    targets: str | tuple[str, ...]
    schedule: str
    warmup: float
    weight_decay: float


def train_on_responses(training: "Training", settings: Settings) -> dict[str, Any]:
    """Train an adapter and write `adapter/` and `probe.json`; goes on from what `training.scratch` has of it. Out of
    memory halves the micro-batch, down to one row, then trades time for memory (gradient checkpointing); the rows of an
    optimiser step stay the same.

    Raises:
        StageFailed: the loss is not finite, or the adapter changes nothing.
        Transient: memory ran out with a single row.
    """
    examples = [Rendered(row["ids"], row["prompt"]) for row in Rows([training.examples])]
    for example in examples:
        assert 0 < example.prompt_length < len(example.ids), "a row without a prompt or without a response token"
    micro, checkpointing = min(settings.batch, len(examples)), False
    if begun := checkpoint.newest(training.scratch):
        facts = checkpoint.read(begun)["facts"]
        micro, checkpointing = facts["micro"], facts["checkpointing"]
    while True:
        try:
            return _train(training, settings, examples, micro, checkpointing, begun)
        except Exception as error:
            if not out_of_memory(error):
                raise
            if checkpointing:
                raise Transient(f"out of memory while training with one row at a time: {error}") from error
        release_memory()
        checkpoint.discard(training.scratch)
        begun = None
        micro, checkpointing = (micro + 1) // 2 if micro > 1 else 1, micro == 1
        slower = ", with recomputed activations" if checkpointing else ""
        training.log(f"out of memory: beginning again with {micro} rows at a time{slower}")


def _train(
    training: "Training",
    settings: Settings,
    examples: list[Rendered],
    micro: int,
    checkpointing: bool,
    begun: Path | None,
) -> dict[str, Any]:
    import torch

    batches = Batches(examples, settings.batch, micro, training.seed)
    trainer = _trainer(training, settings, batches, micro, checkpointing)
    trainer.train(resume_from_checkpoint=None if begun is None else str(begun))
    losses = torch.stack(trainer.losses).tolist()
    seconds = trainer.seconds
    _all_finite(losses)
    model = trainer.model.eval()
    found = probe.probe(model, examples)
    (training.folder / "probe.json").write_text(json.dumps(found), encoding="utf-8")
    if all(row["base"] == row["adapted"] for row in found["rows"]):
        raise StageFailed(
            f"the adapter changes nothing after {trainer.state.global_step} steps: its log-probabilities are the base "
            "model's; try more rows or epochs, a higher learning rate, or no warm-up"
        )
    _save(model, training)
    tokens = settings.epochs * sum(len(example.ids) for example in examples)
    per_step = math.ceil(min(settings.batch, len(examples)) / micro)
    return {
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "loss": _thinned(losses),
        "steps": trainer.state.global_step,
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds, 1),
        "train_seconds": round(seconds, 3),
        "rows": len(examples),
        "micro_batch": micro,
        "accumulation": per_step,
        "gradient_checkpointing": checkpointing,
        "device": str(trainer.args.device),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }


def _trainer(training: "Training", settings: Settings, batches: Batches, micro: int, checkpointing: bool) -> Any:
    """The trainer, its model loaded and its adapter drawn from the seed."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from torch.nn.utils import clip_grad_norm_
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    cuda = torch.cuda.is_available()
    kept = Checkpoints(training.scratch, {"micro": micro, "checkpointing": checkpointing})
    cast = (lambda: torch.autocast("cuda", torch.bfloat16)) if cuda else nullcontext

    class Progress(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            done, total = state.global_step, state.max_steps
            training.progress(done, total)
            if done * LOSS_LINES // total > (done - 1) * LOSS_LINES // total:
                training.log(f"step {done:,} of {total:,}: loss {_recent(trainer.losses, total):.4g}")
            if kept.due and done < total:
                _all_finite(torch.stack(trainer.losses).tolist())
                try:
                    kept.keep(trainer, trainer.seconds)
                except Exception as error:
                    if (full := disk.said(error)) is None:
                        raise
                    training.log(f"step {done:,} of {total:,} is not kept: {full} ({training.scratch})")

    class Lean(SFTTrainer):
        """See the module's docstring. `losses` gets each optimiser step's mean loss per response token."""

        def get_train_dataloader(self) -> Any:
            self.losses: list[torch.Tensor] = []
            self.started = time.perf_counter()
            self.likelihood = Likelihood(self.model)
            if self.likelihood.note:
                training.log(self.likelihood.note)
            assert self.model is not None
            self.trained = [p for p in self.model.parameters() if p.requires_grad]
            self.model.train()
            return batches

        def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
            samples = [batch for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
            self.losses.append(torch.zeros((), device=device))
            return samples, sum(len(batch.targets) for batch in samples)

        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
            with cast():
                loss = self.likelihood.nll(inputs.to(self.likelihood.device)).sum() / num_items_in_batch
            loss.backward()
            self.losses[-1] += loss.detach()
            if self.state.global_step % 100 == 0:
                _all_finite([float(self.losses[-1])])
            return loss.detach()

        def floating_point_ops(self, inputs: Any) -> int:
            return 0

        def _clip_grad_norm(self, model: Any) -> Any:
            return clip_grad_norm_(self.trained, CLIP)

        @property
        def seconds(self) -> float:
            """How long the training has taken, all tries together."""
            return time.perf_counter() - self.started

        # What follows transformers calls where a training goes on; its own reads pickles.

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            checkpoint.restore_parameters(Path(resume_from_checkpoint), self)

        def _load_optimizer_and_scheduler(self, checkpoint_folder: str | None) -> None:
            if checkpoint_folder is not None:
                kept_here = Path(checkpoint_folder)
                self.losses = checkpoint.restore_optimiser(kept_here, self)
                self.started -= checkpoint.read(kept_here)["seconds"]
                training.log(f"goes on after step {self.state.global_step:,} of {self.state.max_steps:,}")

        def _load_rng_state(self, checkpoint_folder: str | None) -> None:
            if checkpoint_folder is not None:
                checkpoint.restore_random(Path(checkpoint_folder))

    torch.use_deterministic_algorithms(True, warn_only=True)
    model = AutoModelForCausalLM.from_pretrained(
        training.model.path,
        revision=training.model.revision or None,
        trust_remote_code=training.model.remote_code,
        use_safetensors=True,
        dtype=torch.bfloat16 if cuda else torch.float32,
    )
    args = SFTConfig(
        output_dir=str(training.scratch),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=math.ceil(min(settings.batch, len(batches.dataset)) / micro),
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule if settings.schedule != "constant" else "constant_with_warmup",
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        optim="adamw_torch_fused",
        seed=training.seed,
        data_seed=training.seed,
        use_cpu=not cuda,
        bf16=False,
        gradient_checkpointing=checkpointing,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        max_length=None,
        packing=False,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    first = batches.dataset[0]
    labels = [token if mask else -100 for token, mask in zip(first.ids, first.response_mask, strict=True)]
    trainer = Lean(
        model=model,
        args=args,
        train_dataset=Dataset.from_dict({"input_ids": [first.ids], "labels": [labels]}),
        data_collator=dict,
        processing_class=AutoTokenizer.from_pretrained(
            training.model.path,
            revision=training.model.revision or None,
            trust_remote_code=training.model.remote_code,
        ),
        callbacks=[Progress()],
        peft_config=LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=settings.targets if isinstance(settings.targets, str) else list(settings.targets),
            task_type="CAUSAL_LM",
        ),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _recent(losses: Sequence[Any], total: int) -> float:
    """Mean loss of the steps since the last line about it."""
    steps = losses[-max(1, total // LOSS_LINES) :]
    return float(sum(steps) / len(steps))


def _all_finite(losses: Sequence[float]) -> None:
    for step, loss in enumerate(losses):
        if not math.isfinite(loss):
            raise StageFailed(f"the training loss is {loss} (step {step + 1}): try a lower learning rate")


def _save(model: Any, training: "Training") -> None:
    """Write the adapter, with the same bytes for the same adapter: no paths, no order that a hash seed decides."""
    folder = training.folder / "adapter"
    model.save_pretrained(str(folder))
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = training.model.name
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=1, sort_keys=True), encoding="utf-8")


def _thinned(losses: list[float]) -> list[float]:
    """At most `CURVE_POINTS` means of neighbouring steps."""
    size = math.ceil(len(losses) / CURVE_POINTS)
    groups = [losses[start : start + size] for start in range(0, len(losses), size)]
    return [round(sum(group) / len(group), 5) for group in groups]
