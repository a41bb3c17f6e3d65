"""Trains the bundled models of the abacus world, measures them, and writes their model cards.

    python -m flows.pretrain base --seed 0       # from nothing; the three others go on from it
    python -m flows.pretrain student --seed 0
    python -m flows.pretrain teacher --seed 0 --out somewhere/abacus-teacher

A plain loop: whole rows packed into windows without padding, loss on response tokens (in the base's training on a part
of the questions too), Muon for the matrices inside the layers and AdamW for the rest. Where the processor multiplies
bfloat16 matrices faster than float32 ones (AMX, AVX-512 BF16), products run in it against float32 weights; the forward
pass is written out for that. What is saved is a stock float32 `LlamaForCausalLM`.
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
from data.abacus.tokenizer import ASSISTANT, BOS, END, POSITIONS, USER, build_tokenizer
from flows.ceiling import ceilings

if TYPE_CHECKING:
    from torch import Tensor, dtype
    from torch.optim import AdamW
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
    "base": Recipe(mix=BASE, hidden=128, layers=4, inner=384, tokens=14_000_000),
    "student": Recipe(STUDENT, 128, 4, 384, 5_000_000, matrix_rate=0.004, vector_rate=0.002, start="abacus-base"),
    "teacher": Recipe(TEACHER, 128, 4, 384, 7_000_000, matrix_rate=0.004, vector_rate=0.002, start="abacus-base"),
    "tutor": Recipe(TUTOR, 128, 4, 384, 7_000_000, matrix_rate=0.004, vector_rate=0.002, start="abacus-base"),
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


def fresh_model(
    hidden: int, layers: int, inner: int, seed: int, *, tokens: int, pad: int, bos: int | None, end: int
) -> "LlamaForCausalLM":
    """A Llama with random weights; heads of 32, which every attention kernel of vLLM can serve.

    Args:
        hidden, inner: widths between and inside the layers; `hidden` is a multiple of 32.
        tokens: size of the vocabulary; `pad`, `bos` and `end` are ids in it.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokens,
            hidden_size=hidden,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 32,
            num_key_value_heads=hidden // 32,
            head_dim=32,
            max_position_embeddings=POSITIONS,
            tie_word_embeddings=True,
            initializer_range=0.02,
            rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
            pad_token_id=pad,
            bos_token_id=bos,
            eos_token_id=end,
            dtype="float32",
        )
    )


def rotations(length: int) -> "tuple[Tensor, Tensor]":
    """Cosines and sines of the rotary positions, each [length, 32]."""
    import torch

    angles = torch.outer(torch.arange(length).float(), 10_000.0 ** (-torch.arange(0, 32, 2).float() / 32))
    both = torch.cat([angles, angles], dim=-1)
    return both.cos(), both.sin()


def product_dtype() -> "dtype":
    """bfloat16 where this machine's matrix products are faster in it than in float32, else float32; measured."""
    import torch

    def seconds(kind: "dtype") -> float:
        left, right = torch.ones(1024, 128, dtype=kind), torch.ones(128, 768, dtype=kind)
        taken: list[float] = []
        for _ in range(7):
            start = time.perf_counter()
            for _ in range(5):
                left @ right
            taken.append(time.perf_counter() - start)
        return min(taken)

    return torch.bfloat16 if seconds(torch.bfloat16) < seconds(torch.float32) else torch.float32


def response_loss(
    model: "LlamaForCausalLM", ids: "Tensor", targets: "Tensor", mask: "Tensor", half: "dtype"
) -> "Tensor":
    """Mean negative log-likelihood, in nats, of the response tokens; all three tensors are [windows, width]."""
    import torch.nn.functional as F

    return F.cross_entropy(logits(model, ids, mask, half), targets[mask])


def logits(model: "LlamaForCausalLM", ids: "Tensor", mask: "Tensor", half: "dtype") -> "Tensor":
    """Logits, float32 [tokens, vocabulary], of what follows each of the tokens in `mask`; both are [windows, width].

    The same function as the model's own forward pass, with its matrix products in `half`.
    """
    import torch
    import torch.nn.functional as F

    inside: Any = model.model
    count, width = ids.shape
    cos, sin = rotations(width)
    x = F.embedding(ids, inside.embed_tokens.weight)

    def turned(y: "Tensor") -> "Tensor":
        y = y.view(count, width, -1, 32).transpose(1, 2).float()
        return y * cos + torch.cat([-y[..., 16:], y[..., :16]], dim=-1) * sin

    for layer in inside.layers:
        attention, mlp = layer.self_attn, layer.mlp
        h = F.rms_norm(x, x.shape[-1:], layer.input_layernorm.weight, 1e-5).to(half)
        joint = torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]).to(half)
        q, k, v = F.linear(h, joint).chunk(3, dim=-1)
        v = v.view(count, width, -1, 32).transpose(1, 2).float()
        y = F.scaled_dot_product_attention(turned(q), turned(k), v, is_causal=True)
        y = y.transpose(1, 2).reshape(count, width, -1).to(half)
        x = x + F.linear(y, attention.o_proj.weight.to(half))
        h = F.rms_norm(x, x.shape[-1:], layer.post_attention_layernorm.weight, 1e-5).to(half)
        gate, up = F.linear(h, torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]).to(half)).chunk(2, dim=-1)
        x = x + F.linear(F.silu(gate) * up, mlp.down_proj.weight.to(half))
    h = F.rms_norm(x, x.shape[-1:], inside.norm.weight, 1e-5)[mask].to(half)
    return F.linear(h, inside.embed_tokens.weight.to(half)).float()


class Muon:
    """Momentum made orthogonal by five Newton-Schulz steps (Jordan et al. 2024), for matrices only.

    Matrices of one shape go through the steps together, which keeps a small model's optimizer cheap.
    """

    def __init__(self, matrices: "list[Tensor]", half: "dtype") -> None:
        import torch

        self.half = half
        self.groups: list[list[Tensor]] = []
        for shape in dict.fromkeys(m.shape for m in matrices):
            self.groups.append([m for m in matrices if m.shape == shape])
        self.momenta = [torch.zeros(len(group), *group[0].shape) for group in self.groups]

    def step(self, rate: float, momentum: float = 0.95) -> None:
        """Moves every matrix against its gradient and clears the gradients."""
        import torch

        with torch.no_grad():
            for group, kept in zip(self.groups, self.momenta, strict=True):
                gradient = torch.stack([m.grad for m in group if m.grad is not None])
                kept.lerp_(gradient, 1 - momentum)
                update = gradient.lerp(kept, momentum)
                rows, columns = update.shape[-2:]
                y = (update.mT if rows > columns else update).to(self.half)
                y = y / (y.norm(dim=(-2, -1), keepdim=True) + 1e-7)
                for _ in range(5):
                    a = y @ y.mT
                    y = 3.4445 * y + (-4.7750 * a + 2.0315 * (a @ a)) @ y
                y = (y.mT if rows > columns else y).float()
                for matrix, change in zip(group, y, strict=True):
                    matrix.mul_(1 - 0.01 * rate).sub_(change, alpha=rate * max(1.0, rows / columns) ** 0.5)
                    matrix.grad = None


def optimizers(model: "LlamaForCausalLM", vector_rate: float, half: "dtype") -> "tuple[Muon, AdamW]":
    """Muon for the matrices inside the layers, AdamW for the embeddings and vectors."""
    import torch

    inside = list(model.model.layers.parameters())
    vectors = [model.model.embed_tokens.weight, model.model.norm.weight, *(p for p in inside if p.ndim == 1)]
    adam = torch.optim.AdamW(vectors, lr=vector_rate, betas=(0.9, 0.98), weight_decay=0.0)
    return Muon([p for p in inside if p.ndim == 2], half), adam


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
