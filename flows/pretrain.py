"""Trains the bundled models of the abacus world, measures them, and writes their model cards.

    python -m flows.pretrain base --seed 0       # from nothing; the three others go on from it
    python -m flows.pretrain student --seed 0
    python -m flows.pretrain teacher --seed 0 --out somewhere/abacus-teacher

A plain loop: whole rows packed into windows without padding, loss on response tokens (in the base's training on a part
of the questions too). The model, its forward pass and its optimizers are in flows/small_llama.py.
"""

import argparse
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.abacus.card import measure, write_card, write_numbers
from data.abacus.corpus import BASE, STUDENT, TEACHER, TUTOR, Mix, sample
from data.abacus.tokenizer import ASSISTANT, BOS, END, USER, build_tokenizer
from flows.ceiling import ceilings
from flows.small_llama import fresh_model, optimizers, product_dtype, response_loss

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

MODELS = Path(__file__).resolve().parent.parent / "data" / "models"
HISTORY = "training.json"
"""In a model's folder: how it was trained."""
WINDOW = 384
"""Tokens in a packed training sequence; the longest row has about as many."""


@dataclass(frozen=True)
class Recipe:
    """One model's shape and training; sizes in units of the hidden vector, lengths in tokens."""

    mix: Mix
    hidden: int
    layers: int
    inner: int
    tokens: int
    batch: int = 1_920
    matrix_rate: float = 0.006
    vector_rate: float = 0.003
    decay: float = 0.5
    """Last part of the training over which the rates fall to zero."""
    start: str | None = None
    """The bundled model whose weights it goes on from; None: from nothing."""


RECIPES = {
    "base": Recipe(mix=BASE, hidden=128, layers=4, inner=384, tokens=10_200_000),
    "student": Recipe(STUDENT, 128, 4, 384, 5_000_000, matrix_rate=0.004, vector_rate=0.002, start="abacus-base"),
    "teacher": Recipe(TEACHER, 128, 4, 384, 10_000_000, matrix_rate=0.004, vector_rate=0.002, start="abacus-base"),
    "tutor": Recipe(TUTOR, 128, 4, 384, 8_000_000, matrix_rate=0.004, vector_rate=0.002, start="abacus-base"),
}


def windows(
    recipe: Recipe, tokenizer: "PreTrainedTokenizerFast", seed: int | str
) -> Iterator[tuple[list[int], list[bool]]]:
    """Packed training windows: `WINDOW` + 1 token ids, and which of them are learnt: response tokens, mostly.

    Each begins at the beginning of a row, and a row that its end cuts off begins the next one too, so that no response
    is learnt without its question.
    """
    rng = random.Random(f"corpus {seed}")
    ids: list[int] = []
    mask: list[bool] = []
    starts: list[int] = []
    made = 0
    while True:
        mix = recipe.mix.at(made * WINDOW / recipe.tokens)
        rows = [sample(mix, rng) for _ in range(256)]
        prompts = tokenizer([f"{BOS}{USER}{r.prompt}{ASSISTANT}" for r in rows], add_special_tokens=False)["input_ids"]
        answers = tokenizer([f"{r.response}{END}" for r in rows], add_special_tokens=False)["input_ids"]
        for row, prompt, answer in zip(rows, prompts, answers, strict=True):
            starts.append(len(ids))
            ids += prompt + answer
            mask += [row.whole] * len(prompt) + [True] * len(answer)
        at = 0
        while at + WINDOW + 1 <= len(ids):
            end = at + WINDOW + 1
            yield ids[at:end], mask[at:end]
            made += 1
            at = max((start for start in starts if at < start < end), default=end)
            starts = [start for start in starts if start >= at]
        ids, mask, starts = ids[at:], mask[at:], [start - at for start in starts]


def train(
    model: "LlamaForCausalLM", recipe: Recipe, tokenizer: "PreTrainedTokenizerFast", seed: int | str, out: Path
) -> None:
    """Trains `model` on `recipe.tokens` tokens; keeps the newest weights in `out` about every two minutes."""
    import torch

    half = product_dtype()
    print(f"matrix products in {half}", flush=True)
    muon, adam = optimizers(model, recipe.vector_rate, half)
    feed = windows(recipe, tokenizer, seed)
    steps = recipe.tokens // recipe.batch
    start = saved = time.monotonic()
    losses: list[float] = []
    for step in range(steps):
        taken = [next(feed) for _ in range(recipe.batch // WINDOW)]
        ids = torch.tensor([w[0] for w in taken])
        mask = torch.tensor([w[1] for w in taken])
        loss = response_loss(model, ids[:, :-1], ids[:, 1:], mask[:, 1:], half)
        loss.backward()
        share = min(1.0, (step + 1) / 50, (steps - step) / (steps * recipe.decay))
        muon.step(recipe.matrix_rate * share)
        adam.param_groups[0]["lr"] = recipe.vector_rate * share
        adam.step()
        adam.zero_grad()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"the loss is {losses[-1]} at step {step}; lower the rates")
        if step % 50 == 49:
            speed = (step + 1) * recipe.batch / (time.monotonic() - start)
            print(f"step {step + 1}/{steps} loss {sum(losses[-50:]) / 50:.4f} {speed:.0f} tokens/s", flush=True)
        if time.monotonic() - saved > 120 or step == steps - 1:
            model.save_pretrained(out)
            saved = time.monotonic()


def main() -> None:
    """Command line: which model, seed, tokens, threads, where to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", choices=sorted(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", type=int, help="training tokens (default: the recipe's)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start", type=Path, help="folder of the model to go on from (default: the recipe's)")
    parser.add_argument("--out", type=Path, help="folder to write (default: data/models/abacus-<model>)")
    parser.add_argument("--measure-only", action="store_true", help="no training: measure the model in --out")
    parser.add_argument("--rows", type=int, default=100, help="unseen questions per family to measure on")
    args = parser.parse_args()

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(args.threads)
    recipe = RECIPES[args.model]
    recipe = replace(recipe, tokens=args.tokens or recipe.tokens)
    out: Path = args.out or MODELS / f"abacus-{args.model}"
    tokenizer: Any
    model: Any
    if args.measure_only:
        tokenizer = AutoTokenizer.from_pretrained(out)
        model = AutoModelForCausalLM.from_pretrained(out)
        history = json.loads((out / HISTORY).read_text())
    else:
        if recipe.start:
            tokenizer = AutoTokenizer.from_pretrained(args.start or MODELS / recipe.start)
            model = AutoModelForCausalLM.from_pretrained(args.start or MODELS / recipe.start)
        else:
            tokenizer = build_tokenizer()
            model = fresh_model(
                recipe.hidden,
                recipe.layers,
                recipe.inner,
                args.seed,
                tokens=len(tokenizer),
                pad=tokenizer.pad_token_id,
                bos=tokenizer.bos_token_id,
                end=tokenizer.eos_token_id,
            )
        out.mkdir(parents=True, exist_ok=True)
        tokenizer.save_pretrained(out)
        began = time.monotonic()
        train(model, recipe, tokenizer, args.seed, out)
        minutes = round((time.monotonic() - began) / 60, 1)
        history = {"seed": args.seed, "minutes": minutes, "threads": args.threads, **asdict(recipe)}
        (out / HISTORY).write_text(json.dumps(history, indent=1) + "\n")
    model.eval()
    reached = ceilings(model, tokenizer, out, args.rows) if recipe.mix.hasty else {}
    measured = measure(model, tokenizer, out, recipe.mix, args.rows, reached)
    card = write_card(args.model, measured, model.num_parameters(), history)
    (out / "README.md").write_text(card, encoding="utf-8")
    (out / "measured.json").write_text(write_numbers(measured), encoding="utf-8")
    print(card)


if __name__ == "__main__":
    main()
