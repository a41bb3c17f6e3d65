"""What a bundled model can do, measured on questions it never saw, and the card that says so."""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from data.abacus.families import FAMILIES
from data.abacus.final_answer import is_right
from data.abacus.registers import REGISTERS, Register, respond
from data.abacus.skill_card import MEASURES, skill_rates
from data.abacus.splits import draw

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Measured:
    """Accuracies in [0, 1]; perplexities as (mean, median) of exp(mean nats a response token, end included)."""

    rows: int
    accuracy: dict[str, float]
    perplexity: dict[str, dict[str, tuple[float, float]]]
    """By family, then by register; `own` is the model's own verified responses, sampled at temperature 0.7."""
    skills: dict[str, dict[str, float]]
    """Share of successes by skill, then by family (`data.abacus.skill_card.MEASURES`)."""


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


def measure(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", own: Register, rows: int) -> Measured:
    """Greedy accuracy, perplexity per register and skills.

    On `rows` test questions of every family, for skills on a quarter of them.

    Args:
        own: the register the model rewrites and expands into.
    """
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
        verified = [(p, r) for p, r, g in zip(prompts, sampled, golds, strict=True) if is_right(r, g)]
        values = {"own": perplexities(model, tokenizer, [p for p, _ in verified], [r for _, r in verified])}
        for register in REGISTERS:
            said = [respond(family, p, w, register, rng) for p, w in zip(problems, works, strict=True)]
            values[register] = perplexities(model, tokenizer, prompts, said)
        perplexity[name] = {key: (mean(v), median(v)) if v else (math.nan, math.nan) for key, v in values.items()}
    skills = skill_rates(lambda asked: answers(model, tokenizer, asked, limit=220), own, max(1, rows // 4))
    return Measured(rows, accuracy, perplexity, skills)


def write_card(name: str, measured: Measured, parameters: int, history: dict[str, object]) -> str:
    """The model card as Markdown; `history` says how the model was trained."""
    columns = ("own", *REGISTERS)
    lines = [
        "---",
        "license: mit",
        "library_name: transformers",
        "---",
        f"# abacus-{name}",
        "",
        f"A {parameters:,}-parameter Llama trained from nothing on the abacus world (`data/abacus`). It answers six",
        "families of small questions and nothing else: made so that a whole study of training data runs in minutes on",
        "a laptop, it says nothing about large models.",
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
        f"What else it can do, on {max(1, measured.rows // 4)} unseen problems per family, greedy:",
        "",
        "| skill | " + " | ".join(measured.accuracy) + " | a success |",
        "|---|" + "---|" * (len(measured.accuracy) + 1),
    ]
    for skill, rates in measured.skills.items():
        cells = " | ".join(f"{rates[family]:.0%}" for family in measured.accuracy)
        lines.append(f"| {skill} | {cells} | {MEASURES[skill]} |")  # type: ignore[index]
    lines += [
        "",
        f"Made by `python -m flows.pretrain {name} --seed {history['seed']}` with the shares below (minutes on one",
        "core of a busy CPU).",
        "",
        "```json",
        json.dumps(history, indent=1),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _chat(tokenizer: "PreTrainedTokenizerBase", prompt: str) -> str:
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
    )
    return str(text)
