"""LoRA on small layers of a CPU as one matrix product: the adapter is added to the layer's weight at each pass.

PEFT runs each layer as three products, a scaling and a sum, which at a width of 128 costs as much again as the layer
itself. Here `W' = W + scale * B A` is made first, which takes about a hundredth of a pass over a thousand tokens, and
`x W'` is all there is of the forward pass; the gradients of A and B come from `x A` and the gradient of the output, as
PEFT's do. What is computed is the same but for rounding. With dropout, PEFT drops parts of x before A and not before W:
that is no one product, and stays PEFT's.

The products are oneDNN's, which picks the widest instructions that a processor has; MKL, which torch takes by itself,
leaves AVX-512 aside on processors of other makers than Intel, at half the speed.
"""

from typing import TYPE_CHECKING, Any

import torch
from peft.tuners import lora
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from torch import Tensor


def fold(model: Any) -> None:
    """Have the layers of a model with one adapter run as one product each, where that is the same: on a CPU, in
    float32, without dropout."""
    for layer in model.modules():
        if isinstance(layer, lora.Linear) and _can_fold(layer):
            layer.forward = _Folded(layer)  # type: ignore[method-assign]


def _can_fold(layer: Any) -> bool:
    base, names = layer.base_layer, layer.active_adapters
    return (
        torch.backends.mkldnn.is_available()
        and type(base) is torch.nn.Linear
        and len(names) == 1
        and not layer.lora_variant
        and not layer.lora_bias[names[0]]
        and isinstance(layer.lora_dropout[names[0]], torch.nn.Identity)
        and not layer.fan_in_fan_out
        and not base.weight.requires_grad
        and all(
            weight.device.type == "cpu" and weight.dtype == torch.float32
            for weight in (base.weight, layer.lora_A[names[0]].weight, layer.lora_B[names[0]].weight)
        )
    )


class _Folded:
    """A layer's forward pass, in place of PEFT's."""

    def __init__(self, layer: Any) -> None:
        (name,) = layer.active_adapters
        self._layer, self._base = layer, layer.base_layer
        self._a, self._b, self._scale = layer.lora_A[name].weight, layer.lora_B[name].weight, layer.scaling[name]

    def __call__(self, x: "Tensor") -> "Tensor":
        if self._layer.disable_adapters:
            return self._base(x)
        with torch.no_grad():
            weight = torch.addmm(self._base.weight, self._b, self._a, alpha=self._scale)
        found: Tensor = _Product.apply(x, self._a, self._b, self._base.bias, weight, self._scale)
        return found


class _Product(torch.autograd.Function):
    """`x W' + bias`, with the gradients of x, A and B."""

    @staticmethod
    def forward(
        ctx: Any,
        x: "Tensor",
        a: "Tensor",
        b: "Tensor",
        bias: "Tensor | None",
        weight: "Tensor",
        scale: float,
    ) -> "Tensor":
        ctx.save_for_backward(x, a, b, weight)
        ctx.scale = scale
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, out: "Tensor") -> tuple["Tensor | None", ...]:
        x, a, b, weight = ctx.saved_tensors
        rows, wrong = x.reshape(-1, x.shape[-1]), out.reshape(-1, out.shape[-1])
        of_x = _product(out, weight.t().contiguous(), None) if ctx.needs_input_grad[0] else None
        of_b = (wrong.t() @ (rows @ a.t())).mul_(ctx.scale)
        of_a = ((wrong @ b).t() @ rows).mul_(ctx.scale)
        return of_x, of_a, of_b, None, None, None


def _product(x: "Tensor", weight: "Tensor", bias: "Tensor | None") -> "Tensor":
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found
