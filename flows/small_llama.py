"""A small Llama from nothing: its shape, its forward pass written out, and the optimizers it is trained with.

Where the processor multiplies bfloat16 matrices faster than float32 ones (AMX, AVX-512 BF16), products run in it
against float32 weights; the forward pass is written out for that. What is saved is a stock float32 `LlamaForCausalLM`.
"""

import time
from typing import TYPE_CHECKING, Any

from data.abacus.tokenizer import POSITIONS

if TYPE_CHECKING:
    from torch import Tensor, dtype
    from torch.optim import AdamW
    from transformers import LlamaForCausalLM


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
