"""What a bundled model can do, measured on questions it never saw, and the card that says so."""

import json
import math
import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from data.abacus.families import FAMILIES
from data.abacus.registers import REGISTERS, respond
from data.abacus.splits import draw

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MARK = "Final answer: "


@dataclass(frozen=True)
class Measured:
    """Accuracies in [0, 1]; perplexities as (mean, median) of exp(mean nats a response token, end included)."""

    rows: int
    accuracy: dict[str, float]
    perplexity: dict[str, dict[str, tuple[float, float]]]
    """By family, then by register; `own` is the model's own verified responses, sampled at temperature 0.7."""


def is_right(response: str, gold: str) -> bool:
    """Whether the text after the last final-answer mark is the gold answer."""
    return response.rpartition(MARK)[2].strip() == gold and MARK in response


def answers(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    temperature: float = 0.0,
    limit: int = 160,
) -> list[str]:
    """The model's responses to the prompts, at most `limit` tokens each; greedy at temperature 0."""
    import torch

    replies: list[str] = []
    texts = [_chat(tokenizer, prompt) for prompt in prompts]
    for at in range(0, len(texts), 128):
        inputs = tokenizer(
            texts[at : at + 128], add_special_tokens=False, return_tensors="pt", padding=True, padding_side="left"
        )
        sampling: dict[str, Any] = {"do_sample": True, "temperature": temperature} if temperature else {}
        with torch.no_grad():
            made: Any = model.generate(  # type: ignore[operator]
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=limit,
                pad_token_id=tokenizer.pad_token_id,
                **(sampling or {"do_sample": False}),
            )
        new = made[:, inputs["input_ids"].shape[1] :]
        replies += [str(reply) for reply in tokenizer.batch_decode(new, skip_special_tokens=True)]
    return replies


def perplexities(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str], responses: Sequence[str]
) -> list[float]:
    """exp of the mean nats over each response's tokens, the end token included."""
    import torch

    found: list[float] = []
    pairs = list(zip(prompts, responses, strict=True))
    for at in range(0, len(pairs), 64):
        heads = [tokenizer(_chat(tokenizer, p), add_special_tokens=False)["input_ids"] for p, _ in pairs[at : at + 64]]
        tails = [
            tokenizer(r + str(tokenizer.eos_token), add_special_tokens=False)["input_ids"]
            for _, r in pairs[at : at + 64]
        ]
        width = max(len(h) + len(t) for h, t in zip(heads, tails, strict=True))
        ids = torch.full((len(heads), width), int(tokenizer.pad_token_id))
        for k, (head, tail) in enumerate(zip(heads, tails, strict=True)):
            ids[k, : len(head) + len(tail)] = torch.tensor(head + tail)
        with torch.no_grad():
            logits = model(input_ids=ids).logits[:, :-1].log_softmax(-1)
        nats = -logits.gather(-1, ids[:, 1:, None])[..., 0]
        for k, (head, tail) in enumerate(zip(heads, tails, strict=True)):
            found.append(math.exp(nats[k, len(head) - 1 : len(head) + len(tail) - 1].mean().item()))
    return found


def measure(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", rows: int) -> Measured:
    """Greedy accuracy and perplexity per register on `rows` test questions of every family."""
    import torch

    torch.manual_seed(0)
    model.eval()
    accuracy: dict[str, float] = {}
    perplexity: dict[str, dict[str, tuple[float, float]]] = {}
    for name, family in FAMILIES.items():
        rng = random.Random(f"card {name}")
        problems = [draw(family, "test", rng) for _ in range(rows)]
        works = [family.work(problem) for problem in problems]
        prompts = [family.ask(problem, rng) for problem in problems]
        golds = [work.answer for work in works]
        greedy = answers(model, tokenizer, prompts)
        accuracy[name] = mean(is_right(r, g) for r, g in zip(greedy, golds, strict=True))
        sampled = answers(model, tokenizer, prompts, temperature=0.7)
        own = [(p, r) for p, r, g in zip(prompts, sampled, golds, strict=True) if is_right(r, g)]
        values = {"own": perplexities(model, tokenizer, [p for p, _ in own], [r for _, r in own])}
        for register in REGISTERS:
            said = [respond(family, p, w, register, rng) for p, w in zip(problems, works, strict=True)]
            values[register] = perplexities(model, tokenizer, prompts, said)
        perplexity[name] = {key: (mean(v), median(v)) if v else (math.nan, math.nan) for key, v in values.items()}
    return Measured(rows, accuracy, perplexity)


def write_card(name: str, measured: Measured, parameters: int, history: Sequence[dict[str, object]]) -> str:
    """The model card as Markdown; `history` has one entry for each training that made the model."""
    columns = ("own", *REGISTERS)
    lines = [
        "---",
        "license: mit",
        "library_name: transformers",
        "---",
        f"# abacus-{name}",
        "",
        f"A {parameters:,}-parameter Llama trained from nothing on the abacus world (`data/abacus`), in the parts",
        "below. It answers six families of small questions and nothing else: made so that a whole study of training",
        "data runs in minutes on a laptop, it says nothing about large models.",
        "",
        f"Measured on {measured.rows} questions per family of the test split, which no training row shares.",
        "Accuracy is greedy. Perplexity is exp(mean nats per response token, end token included), mean over rows and",
        "median in brackets; `own` is the model's own verified responses at temperature 0.7.",
        "",
        "| family | accuracy | " + " | ".join(f"ppl {c}" for c in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for family, accuracy in measured.accuracy.items():
        cells = " | ".join("{:.3f} ({:.3f})".format(*measured.perplexity[family][c]) for c in columns)
        lines.append(f"| {family} | {accuracy:.1%} | {cells} |")
    lines += [
        "",
        "Trained in this order by `python -m flows.pretrain`, each part going on from the one before (`--start`), with",
        "the shares that are given (minutes on one core of a busy CPU; `code` with a `+` was not committed). The world",
        "was changed between some of them: a run from nothing gives a model of this kind, not this one.",
    ]
    lines += ["", "```json", *(json.dumps(part) for part in history), "```"]
    return "\n".join(lines) + "\n"


def code_version() -> str:
    """The commit of this checkout, with a plus when files differ from it; `unknown` outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _chat(tokenizer: "PreTrainedTokenizerBase", prompt: str) -> str:
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
    )
    return str(text)
