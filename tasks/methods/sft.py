"""Supervised fine-tuning: the student learns to give each response, token by token."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from data.bounds import Real
from tasks.kinds.methods import Example, Loss, Method, Predicted
from tasks.models.rendering import Rendered, Renderer
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row

if TYPE_CHECKING:
    import torch

    from tasks.kinds.methods import Numbers


class Sft(Method):
    """Cross-entropy over response tokens, averaged by weight over the tokens of an optimiser step.

    A row may bring `token_weights`, one number for each token of its response and of the end of its turn; absent or
    null is 1 for all. `mask_above` sets the weight of surprising tokens to 0, which stay in the input (Selective Token
    Masking, Wu et al. 2025, arXiv 2501.14315). `masked` puts others of each response in their place, as many as are
    surprising in it: controls that tell what masking these tokens does from what masking any does.
    """

    takes: ClassVar[Literal["responses", "pairs"]] = "responses"

    kind: Literal["sft"] = "sft"
    mask_above: Real | None = Field(
        None,
        ge=1,
        le=1e9,
        description="response tokens whose perplexity under the base model is above this are left out of the loss, "
        "such as 2.5; null: none",
    )
    masked: Literal["surprising", "random", "lowest"] = Field(
        "surprising",
        description="with mask_above, which tokens are left out: surprising: those above it. As controls, as many of "
        "each response: random: any of its tokens, the same for all seeds; lowest: its least surprising ones",
    )

    @model_validator(mode="after")
    def _masks_something(self) -> "Sft":
        if self.masked != "surprising" and self.mask_above is None:
            raise ValueError(f"`masked: {self.masked}` needs `mask_above`, above which a token is surprising")
        return self

    @property
    def reference(self) -> Literal["base", "start"] | None:
        return None if self.mask_above is None else "base"

    def examples(self, rows: Sequence[Row], renderer: Renderer, prompt: str) -> list[Example]:
        found = []
        for row in rows:
            rendered = renderer.row(prompt, row)
            found.append(Example(row["id"], [rendered], _weights(row, rendered)))
        return found

    def prepared(self, examples: list[Example]) -> list[Example]:
        if self.mask_above is not None:
            examples = [replace(example, weights=[self._unmasked_weights(example)]) for example in examples]
        if not any(map(self.denominator, examples)):
            why = f"mask_above: {self.mask_above} masks them all" if self.mask_above else "token_weights are all 0"
            raise StageFailed(f"no response token of the {len(examples)} rows is left to learn from: {why}")
        return examples

    def denominator(self, example: Example) -> float:
        if example.weights is None:
            return float(len(example.sequences[0].response_ids))
        return float(sum(example.weights[0]))

    def loss(self, predicted: Predicted) -> Loss:
        return Loss((predicted.nll if predicted.weights is None else predicted.nll * predicted.weights).sum())

    def facts(
        self, examples: Sequence[Example], after: "Sequence[list[torch.Tensor]]", log: Callable[[str], None]
    ) -> dict[str, Any]:
        if self.mask_above is None:
            return {}
        masked = sum(int(self._is_masked(example).sum()) for example in examples)
        return {"masked_share": masked / sum(len(example.reference[0]) for example in examples)}

    def _is_masked(self, example: Example) -> "torch.Tensor":
        """Which response tokens are left out, for their perplexity, e to the nats of one token: bool (tokens,)."""
        import torch

        assert self.mask_above is not None
        nll = example.reference[0]
        surprising = nll > math.log(self.mask_above)
        if self.masked == "surprising":
            return surprising
        order = nll.argsort(stable=True)
        if self.masked == "random":
            draw = torch.Generator().manual_seed(_seed_of(example))
            order = torch.randperm(len(nll), generator=draw)
        chosen = torch.zeros_like(surprising)
        chosen[order[: int(surprising.sum())]] = True
        return chosen

    def _unmasked_weights(self, example: Example) -> "torch.Tensor":
        import torch

        weights = torch.ones(len(example.reference[0])) if example.weights is None else example.weights[0]
        return torch.as_tensor(weights).masked_fill(self._is_masked(example), 0.0)


def _seed_of(example: Example) -> int:
    """Of what is drawn for an example: the same whichever examples it is trained with."""
    said = repr((example.id, example.sequences[0].response_ids))
    return int.from_bytes(hashlib.sha256(said.encode()).digest()[:7], "big")


def _weights(row: Row, rendered: Rendered) -> "list[Numbers] | None":
    weights = row.get("token_weights")
    if weights is None:
        return None
    tokens = len(rendered.response_ids)
    if len(weights) != tokens:
        raise StageFailed(
            f"row {row['id']}: token_weights has {len(weights)} numbers; allowed is one for each of the {tokens} "
            "tokens of the response and the end of its turn"
        )
    for weight in weights:
        if weight is None or not (math.isfinite(weight) and weight >= 0):
            raise StageFailed(f"row {row['id']}: token_weights has {weight}; allowed are numbers from 0 up")
    return [[float(weight) for weight in weights]]
