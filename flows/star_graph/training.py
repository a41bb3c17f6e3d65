"""SFT of a small Llama from nothing, with the weights kept along the way, and per-step DPO from one of them.

Plain loops: forward pass and optimisers of SFT are those of flows/small_llama.py, the losses are the project's methods.
"""

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.star_graph import END, PAD, StarGraph
from flows.small_llama import fresh_model, logits, optimizers, response_loss
from flows.star_graph.rollouts import Pit
from flows.star_graph.sizes import Sizes
from tasks.kinds.methods import Method, Predicted
from tasks.methods.dpo import Dpo
from tasks.methods.sft import Sft

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM

MATRIX_RATE, VECTOR_RATE = 0.004, 0.002
"""Peak rates of SFT: those of the abacus students."""


@dataclass(frozen=True)
class Checkpoint:
    """The model after `step` steps of SFT."""

    model: "LlamaForCausalLM"
    step: int


def sft(sizes: Sizes, seed: int, train: Sequence[StarGraph], validation: Sequence[StarGraph]) -> dict[str, Checkpoint]:
    """Checkpoints of one training: `well`, where the validation loss is least; `under`, after a quarter of its steps
    (at least the first measurement); `over`, at the end."""
    import torch

    model = fresh_model(
        sizes.hidden, sizes.layers, sizes.inner, seed, tokens=sizes.vocabulary, pad=PAD, bos=None, end=END
    )
    muon, adam = optimizers(model, VECTOR_RATE, torch.float32)
    rng = random.Random(f"order {seed}")
    order: list[StarGraph] = []
    losses: dict[int, float] = {}
    weights: dict[int, dict[str, Tensor]] = {}
    for step in range(1, sizes.sft_steps + 1):
        if len(order) < sizes.batch:
            order = rng.sample(list(train), len(train)) + order
        taken, order = order[-sizes.batch :], order[: -sizes.batch]
        loss = answers_loss(model, taken)
        loss.backward()
        share = min(1.0, step / 50)
        muon.step(MATRIX_RATE * share)
        adam.param_groups[0]["lr"] = VECTOR_RATE * share
        adam.step()
        adam.zero_grad()
        if step % sizes.measured_every == 0:
            with torch.no_grad():
                losses[step] = answers_loss(model, validation).item()
            weights[step] = copy.deepcopy(model.state_dict())
    well = min(losses, key=lambda step: losses[step])
    under = min(losses, key=lambda step: abs(step - well / 4))
    return {
        name: Checkpoint(_with(model, weights[step]), step)
        for name, step in {"under": under, "well": well, "over": max(losses)}.items()
    }


def answers_loss(model: "LlamaForCausalLM", graphs: Sequence[StarGraph]) -> "Tensor":
    """Mean nats of the answers' tokens."""
    import torch

    ids = torch.tensor([[*graph.question, *graph.answer] for graph in graphs])
    mask = torch.zeros_like(ids, dtype=torch.bool)
    mask[:, len(graphs[0].question) :] = True
    return response_loss(model, ids[:, :-1], ids[:, 1:], mask[:, 1:], torch.float32)


def _with(model: "LlamaForCausalLM", weights: "dict[str, Tensor]") -> "LlamaForCausalLM":
    copied = copy.deepcopy(model)
    copied.load_state_dict(weights)
    return copied.eval()


@dataclass(frozen=True)
class Text:
    """Token ids; those from `start` on are learnt."""

    ids: list[int]
    start: int


def pair(pit: Pit) -> list[Text]:
    """Chosen and rejected: after the steps before the pit, the rest of the right answer, and the pit, not ended.

    Where there are steps before, a rollout from them was right, so they are the right answer's.
    """
    before = [*pit.wrong.graph.question, *pit.wrong.response[: pit.at]]
    rest = pit.wrong.graph.answer[pit.at :]
    return [Text(before + rest, len(before)), Text([*before, pit.wrong.response[pit.at]], len(before))]


def per_step_dpo(model: "LlamaForCausalLM", pits: Sequence[Pit], sizes: Sizes, seed: int) -> "LlamaForCausalLM":
    """`model` after DPO on the pairs of the pits, with itself as the reference; itself where there are none."""
    pairs = [pair(pit) for pit in pits]
    return _tuned(model, Dpo(beta=sizes.beta), pairs, sizes, seed) if pairs else model


def positives_only(
    model: "LlamaForCausalLM", graphs: Sequence[StarGraph], sizes: Sizes, seed: int
) -> "LlamaForCausalLM":
    """`model` after as many further steps of SFT on the right answers as DPO takes, with its optimiser and rate."""
    answers = [[Text([*graph.question, *graph.answer], len(graph.question))] for graph in graphs]
    return _tuned(model, Sft(), answers, sizes, seed)


def _tuned(
    model: "LlamaForCausalLM", method: Method, examples: Sequence[list[Text]], sizes: Sizes, seed: int
) -> "LlamaForCausalLM":
    import torch

    tuned, rng = copy.deepcopy(model), random.Random(f"tuning {seed}")
    adam = torch.optim.AdamW(tuned.parameters(), lr=sizes.dpo_rate, weight_decay=0.0)
    for _ in range(sizes.dpo_steps):
        texts = [text for example in rng.choices(examples, k=sizes.batch) for text in example]
        counts = [len(text.ids) - text.start for text in texts]
        with torch.no_grad():
            reference = nll(model, texts) if method.reference else None
        loss = method.loss(Predicted(nll(tuned, texts), None, reference, counts)).value
        (loss / (sizes.batch if method.takes == "pairs" else sum(counts))).backward()
        adam.step()
        adam.zero_grad()
    return tuned


def nll(model: "LlamaForCausalLM", texts: Sequence[Text]) -> "Tensor":
    """Nats of every learnt token, text by text; the padding behind a text changes nothing before it."""
    import torch
    import torch.nn.functional as F

    width = max(len(text.ids) for text in texts)
    ids = torch.tensor([text.ids + [PAD] * (width - len(text.ids)) for text in texts])
    mask = torch.tensor([[text.start <= at < len(text.ids) for at in range(1, width)] for text in texts])
    return F.cross_entropy(logits(model, ids[:, :-1], mask, torch.float32), ids[:, 1:][mask], reduction="none")
