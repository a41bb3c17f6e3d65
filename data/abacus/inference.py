"""What a bundled model answers, and how likely it finds responses: a plain batched loop over transformers."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def answers(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    temperature: float = 0.0,
    limit: int = 160,
) -> list[str]:
    """The model's responses to the prompts, at most `limit` tokens each; greedy at temperature 0."""
    import torch

    texts = [chat(tokenizer, prompt) for prompt in prompts]
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    replies = [""] * len(texts)
    for start in range(0, len(order), 256):
        batch = order[start : start + 256]
        inputs = tokenizer(
            [texts[at] for at in batch],
            add_special_tokens=False,
            return_tensors="pt",
            padding=True,
            padding_side="left",
        )
        sampling: dict[str, Any] = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {}
        with torch.no_grad():
            made: Any = model.generate(  # type: ignore[operator]
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=limit,
                pad_token_id=tokenizer.pad_token_id,
                **(sampling or {"do_sample": False}),
            )
        new = made[:, inputs["input_ids"].shape[1] :]
        for at, reply in zip(batch, tokenizer.batch_decode(new, skip_special_tokens=True), strict=True):
            replies[at] = str(reply)
    return replies


def perplexities(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str], responses: Sequence[str]
) -> list[float]:
    """exp of the mean nats over each response's tokens, the end token included."""
    import torch

    found: list[float] = []
    pairs = list(zip(prompts, responses, strict=True))
    for at in range(0, len(pairs), 64):
        heads = [tokenizer(chat(tokenizer, p), add_special_tokens=False)["input_ids"] for p, _ in pairs[at : at + 64]]
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


def chat(tokenizer: "PreTrainedTokenizerBase", prompt: str) -> str:
    """The prompt as the user's turn, in the chat template's words."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
    )
    return str(text)
