"""Fine-tuning speed: the project's trainer beside a plain PyTorch loop and TRL's stock SFTTrainer, in one process.

    python -m tests.bench.finetuning                    # abacus size: about 1 M parameters, rows of about 60 tokens
    python -m tests.bench.finetuning --parameters 100   # 100 M random-weight parameters

All three train the same rows in batches of the same rows, one torch thread, LoRA rank 16 on all linear layers, and take
turns, so that other load on the machine falls on each alike. Prints training tokens/s, the best of the rounds, and
ratios to the plain loop.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tasks.kinds.methods import Example
from tasks.methods.sft import Sft
from tasks.models.model import Model, resolve
from tasks.models.rendering import Rendered
from tasks.scoring.likelihood import Batch
from tasks.training.batches import epoch_steps
from tasks.training.examples import write
from tasks.training.loop import train
from tasks.training.training import Training
from tests.bench.models import build

METHOD = Sft(epochs=1, learning_rate=1e-3)


def rows(count: int, tokens: int) -> list[Rendered]:
    """Random rows around a length, a third of it prompt, as in the abacus world."""
    rng = random.Random(0)
    made = []
    for _ in range(count):
        length = max(9, round(rng.gauss(tokens, tokens / 4)))
        made.append(Rendered([rng.randrange(3, 500) for _ in range(length)], length // 3))
    return made


def lora(model: Model) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32)
    return get_peft_model(network, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))


def padded(batch: Batch) -> dict[str, Any]:
    """The batch as most loops have it: ids, attention mask and labels."""
    import torch

    labels = torch.full_like(batch.ids, -100)
    labels[batch.rows, batch.columns + 1] = batch.targets
    lengths = torch.zeros(len(batch.ids), dtype=torch.long).scatter_reduce(0, batch.rows, batch.columns + 2, "amax")
    mask = (torch.arange(batch.ids.shape[1])[None] < lengths[:, None]).long()
    return {"input_ids": batch.ids, "attention_mask": mask, "labels": labels}


def plain(model: Model, examples: list[Rendered]) -> float:
    """Seconds of a plain PyTorch loop."""
    import torch
    from transformers import get_cosine_schedule_with_warmup

    network = lora(model).train()
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0)
    steps = epoch_steps([len(example.ids) for example in examples], METHOD.batch, 0, 0)
    scheduler = get_cosine_schedule_with_warmup(optimizer, 1, len(steps))
    ready = [padded(Batch.of([examples[index] for index in step], 0)) for step in steps]
    losses = []
    started = time.perf_counter()
    for batch in ready:
        loss = network(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return time.perf_counter() - started


def stock(model: Model, examples: list[Rendered]) -> float:
    """Seconds of TRL's SFTTrainer as it comes, without checkpointing of activations."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    steps = epoch_steps([len(example.ids) for example in examples], METHOD.batch, 0, 0)
    ordered = [examples[index] for step in steps for index in step]
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=lora(model),
            args=SFTConfig(
                output_dir=folder,
                per_device_train_batch_size=METHOD.batch,
                num_train_epochs=1,
                learning_rate=1e-3,
                lr_scheduler_type="cosine",
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                logging_steps=10,
                shuffle_dataset=False,
                train_sampling_strategy="sequential",
            ),
            train_dataset=Dataset.from_dict(
                {"input_ids": [e.ids for e in ordered], "completion_mask": [e.response_mask for e in ordered]}
            ),
            processing_class=AutoTokenizer.from_pretrained(model.path),
        )
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started


def ours(model: Model, examples: list[Rendered]) -> float:
    """Seconds of the project's trainer, from the first batch to the last loss."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(
            [Example(f"q{number}", [example]) for number, example in enumerate(examples)], folder / "examples.parquet"
        )
        training = Training(METHOD, model, folder / "examples.parquet", folder, folder / "scratch", 0)
        return float(train(training)["train_seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=float, default=1.0, help="million parameters of the random-weight model")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    small = options.parameters < 10
    examples = rows(options.rows or (320 if small else 32), options.tokens)
    tokens = sum(len(example.ids) for example in examples)
    with tempfile.TemporaryDirectory() as folder:
        model = resolve(str(build(Path(folder), millions=options.parameters)))
        ways: dict[str, Callable[[Model, list[Rendered]], float]] = {"plain loop": plain, "stock": stock, "ours": ours}
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(options.rounds):
            for name, way in ways.items():
                best[name] = min(best[name], way(model, examples))
    print(
        f"{options.parameters:g} M parameters, {len(examples)} rows, {tokens} tokens, best of {options.rounds} rounds"
    )
    for name, seconds in best.items():
        print(f"{name:<12}{tokens / seconds:>10,.0f} tokens/s {best['plain loop'] / seconds:>8.2f} of the plain loop")


if __name__ == "__main__":
    main()
