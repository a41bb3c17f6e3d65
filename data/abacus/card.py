"""What a bundled model can do, measured on questions it never saw, and the card that says so."""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from data.abacus.approach import approach
from data.abacus.corpus import Mix
from data.abacus.families import FAMILIES
from data.abacus.family import Family
from data.abacus.final_answer import is_right
from data.abacus.inference import answers, perplexities
from data.abacus.registers import REGISTERS, respond
from data.abacus.skill_card import MEASURES, skill_rates
from data.abacus.splits import draw

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SAMPLES = 16
"""Responses to a question at temperature 1, of which one at least should be right."""


@dataclass(frozen=True)
class Answering:
    """How one family is answered; shares in [0, 1]."""

    accuracy: float
    """Greedy."""
    hasty: float
    """Share of the greedy responses that follow the hasty habit."""
    reachable: float
    """Share of the questions with a right response among `SAMPLES` at temperature 1."""
    lucky: float
    """Share of hasty ones among the right responses at temperature 1."""
    perplexity: dict[str, tuple[float, float]]
    """By register, (mean, median) of exp(mean nats a response token, end included); `own`: its own verified responses,
    sampled at temperature 0.7."""


@dataclass(frozen=True)
class Measured:
    """All that a card says; `rows` questions a family, half of them for the skills."""

    weights: str
    """SHA-256 of the weights that were measured."""
    rows: int
    families: dict[str, Answering]
    skills: dict[str, dict[str, float]]
    """By measure (`data.abacus.skill_card.MEASURES`), then by family."""
    ceiling: dict[str, float]
    """By family: greedy accuracy after training on its own verified responses; empty where not measured."""


def measure(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    folder: Path,
    mix: Mix,
    rows: int,
    ceiling: dict[str, float],
) -> Measured:
    """Answers `rows` test questions of every family, and does what the mix taught it; the model lies in `folder`."""
    import torch

    torch.manual_seed(0)
    model.eval()
    families = {name: _answering(model, tokenizer, family, rows) for name, family in FAMILIES.items()}
    taught = [skill for skill, weight in mix.skills.items() if weight]

    def reply(prompts: Sequence[str], temperature: float) -> list[str]:
        return answers(model, tokenizer, prompts, temperature, limit=260)

    return Measured(weights_of(folder), rows, families, skill_rates(reply, taught, mix.own, max(1, rows // 2)), ceiling)


def weights_of(folder: Path) -> str:
    """SHA-256 of the model's weights."""
    return sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def _answering(model: Any, tokenizer: Any, family: Family[Any], rows: int) -> Answering:
    rng = random.Random(f"card {family.name}")
    problems = [draw(family, "test", rng) for _ in range(rows)]
    works = [family.work(problem) for problem in problems]
    prompts = [family.ask(problem, rng) for problem in problems]
    golds = [work.answer for work in works]
    greedy = answers(model, tokenizer, prompts)
    many = answers(model, tokenizer, [prompt for prompt in prompts for _ in range(SAMPLES)], temperature=1.0)
    right = [is_right(reply, golds[k // SAMPLES]) for k, reply in enumerate(many)]
    ways = [approach(family.name, prompts[k // SAMPLES], reply) for k, reply in enumerate(many) if right[k]]
    verified = [
        (prompt, reply)
        for prompt, reply, gold in zip(prompts, answers(model, tokenizer, prompts, 0.7), golds, strict=True)
        if is_right(reply, gold)
    ]
    values = {"own": perplexities(model, tokenizer, [p for p, _ in verified], [r for _, r in verified])}
    for register in REGISTERS:
        said = [respond(family, p, w, register, rng) for p, w in zip(problems, works, strict=True)]
        values[register] = perplexities(model, tokenizer, prompts, said)
    return Answering(
        accuracy=mean(is_right(reply, gold) for reply, gold in zip(greedy, golds, strict=True)),
        hasty=mean(approach(family.name, q, reply) == "hasty" for q, reply in zip(prompts, greedy, strict=True)),
        reachable=mean(any(right[k * SAMPLES : (k + 1) * SAMPLES]) for k in range(rows)),
        lucky=ways.count("hasty") / max(1, len(ways)),
        perplexity={key: (mean(v), median(v)) if v else (math.nan, math.nan) for key, v in values.items()},
    )


def write_card(name: str, measured: Measured, parameters: int, history: dict[str, object]) -> str:
    """The model card as Markdown; `history` says how the model was trained."""
    lines = [
        "---",
        "license: mit",
        "library_name: transformers",
        "---",
        f"# abacus-{name}",
        "",
        f"A {parameters:,}-parameter Llama trained on the abacus world (`data/abacus`) and nothing else. It answers",
        "six families of small questions: made so that a whole study of training data runs in minutes on a laptop, it",
        "says nothing about large models.",
        "",
        f"Measured on {measured.rows} questions per family of the test split, which no training row shares.",
        "",
        *_answering_table(measured),
        "",
        "Perplexity is exp(mean nats per response token, end token included), mean over rows and median in brackets;",
        "`own` is the model's own verified responses at temperature 0.7.",
        "",
        *_perplexity_table(measured),
        "",
        f"What else it can do, on {max(1, measured.rows // 2)} unseen problems per family, greedy unless it says so:",
        "",
        "| skill | " + " | ".join(measured.families) + " | a success |",
        "|---|" + "---|" * (len(measured.families) + 1),
    ]
    for skill, rates in measured.skills.items():
        cells = " | ".join(f"{rates[family]:.0%}" for family in measured.families)
        lines.append(f"| {skill} | {cells} | {MEASURES[skill].success} |")
    lines += [
        "",
        f"Made by `python -m flows.pretrain {name} --seed {history['seed']} --threads {history['threads']}` with the",
        f"shares below, in {history['minutes']} minutes. The figures as numbers are in `measured.json`.",
        "",
        "```json",
        json.dumps(history, indent=1),
        "```",
    ]
    return "\n".join(lines) + "\n"


def write_numbers(measured: Measured) -> str:
    """The same figures as JSON."""
    return json.dumps(asdict(measured), indent=1) + "\n"


def _answering_table(measured: Measured) -> list[str]:
    heads = ["family", "accuracy (greedy)", "hasty (greedy)", f"right among {SAMPLES} (temperature 1)", "lucky"]
    heads += ["after training on its own"] if measured.ceiling else []
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, one in measured.families.items():
        shares = [one.accuracy, one.hasty, one.reachable, one.lucky]
        shares += [measured.ceiling[name]] if measured.ceiling else []
        lines.append(f"| {name} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
    lines += [
        "",
        "Hasty: a step skipped, an early stop or a short cut. Lucky: hasty, of the right ones at temperature 1.",
    ]
    if measured.ceiling:
        lines[-1] += "\nAfter training: on up to 300 of its own right responses of the family, as `make study` trains."
    return lines


def _perplexity_table(measured: Measured) -> list[str]:
    columns = ("own", *REGISTERS)
    lines = ["| family | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, one in measured.families.items():
        cells = " | ".join("{:.3f} ({:.3f})".format(*one.perplexity[column]) for column in columns)
        lines.append(f"| {name} | {cells} |")
    return lines
