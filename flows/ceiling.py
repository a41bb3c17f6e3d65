"""How well a bundled model answers once it is trained on its own right responses, with the trainer that studies use."""

import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.abacus.families import FAMILIES
from data.abacus.final_answer import is_right
from data.abacus.inference import answers, chat
from data.abacus.splits import draw

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ROWS = 300
"""Own right responses to train on, one a question."""
SAMPLES = 8
"""Samples a question at temperature 1, of which the first right one is trained on."""


def ceilings(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", folder: Path, rows: int
) -> dict[str, float]:
    """By family: greedy accuracy on `rows` test questions after three epochs on up to `ROWS` own verified responses.

    Args:
        folder: where the model lies.
    """
    return {name: _ceiling(model, tokenizer, folder, name, rows) for name in FAMILIES}


def _ceiling(model: Any, tokenizer: Any, folder: Path, family: str, rows: int) -> float:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from tasks.kinds.methods import Example
    from tasks.methods.sft import Sft
    from tasks.models.model import Model
    from tasks.models.rendering import Rendered
    from tasks.training import examples
    from tasks.training.loop import train
    from tasks.training.training import Training

    torch.manual_seed(0)
    kept: list[Example] = []
    for number, (prompt, reply) in enumerate(_own(model, tokenizer, family)):
        head = tokenizer(chat(tokenizer, prompt), add_special_tokens=False)["input_ids"]
        tail = tokenizer(reply + str(tokenizer.eos_token), add_special_tokens=False)["input_ids"]
        kept.append(Example(str(number), [Rendered(head + tail, len(head))], None))
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "out").mkdir()
        examples.write(kept, place / "examples.parquet")
        train(
            Training(
                method=Sft(epochs=3, learning_rate=0.001),
                model=Model(folder.name, str(folder), "", ""),
                examples=place / "examples.parquet",
                folder=place / "out",
                scratch=place / "checkpoints",
                seed=0,
            )
        )
        base = AutoModelForCausalLM.from_pretrained(folder)
        trained = PeftModel.from_pretrained(base, place / "out" / "adapter").merge_and_unload().eval()
    kind, rng = FAMILIES[family], random.Random(f"ceiling {family}")
    problems = [draw(kind, "test", rng) for _ in range(rows)]
    replies = answers(trained, tokenizer, [kind.ask(problem, rng) for problem in problems])
    return sum(is_right(reply, kind.work(p).answer) for reply, p in zip(replies, problems, strict=True)) / rows


def _own(model: Any, tokenizer: Any, family: str) -> list[tuple[str, str]]:
    """Questions of the training split and a right response to each, where one is among the samples."""
    kind, rng = FAMILIES[family], random.Random(f"own {family}")
    problems = [draw(kind, "train", rng) for _ in range(ROWS)]
    prompts = [kind.ask(problem, rng) for problem in problems]
    replies = answers(model, tokenizer, [prompt for prompt in prompts for _ in range(SAMPLES)], temperature=1.0)
    found: list[tuple[str, str]] = []
    for k, (prompt, problem) in enumerate(zip(prompts, problems, strict=True)):
        gold = kind.work(problem).answer
        right = [reply for reply in replies[k * SAMPLES : (k + 1) * SAMPLES] if is_right(reply, gold)]
        found += [(prompt, right[0])] if right else []
    return found
