"""Direct preference optimisation: of two responses to one prompt, the student learns to prefer the chosen one.

The loss is written out here: TRL's DPOTrainer computes it inside a loop, a data collator (which ends every rejected
text with an end-of-sequence token) and checkpoints of its own.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from data.bounds import Real, Share
from tasks.kinds.methods import Example, Loss, Method, Predicted
from tasks.models.rendering import Rendered, Renderer
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row

if TYPE_CHECKING:
    import torch

COLLAPSE = 1.0
"""Nats a token by which the chosen responses' log-probability may fall before the training is called collapsed: their
perplexity is then e times what it was. That it falls somewhat is usual (Razin et al. 2024, arXiv 2410.08847; Pal et al.
2024, arXiv 2402.13228), and neither they nor TRL name a limit; this one is ours."""


class Dpo(Method):
    """The sigmoid loss of Rafailov et al. 2023 (arXiv 2305.18290), equation 7, averaged over the pairs of a step.

    Rows have a `response` (chosen) and a `rejected` one. Where `rejected_ends` is false, the rejected text is a prefix
    of a response, and no tokens that end a turn follow it. The reference is the adapter that the training starts from,
    or the base model.
    """

    takes: ClassVar[Literal["responses", "pairs"]] = "pairs"
    measured_after: ClassVar[bool] = True

    kind: Literal["dpo"] = "dpo"
    learning_rate: Share = Field(5e-6, description="peak learning rate")
    beta: Real = Field(0.1, gt=0, le=100, description="how strongly the student is held to the reference")

    @property
    def reference(self) -> Literal["base", "start"] | None:
        return "start"

    def examples(self, rows: Sequence[Row], renderer: Renderer, prompt: str) -> list[Example]:
        return [Example(row["id"], [renderer.row(prompt, row), _rejected(row, renderer, prompt)]) for row in rows]

    def loss(self, predicted: Predicted) -> Loss:
        from torch.nn.functional import logsigmoid

        assert predicted.reference is not None, "the loop computes what `reference` asks for"
        policy, reference = (-predicted.per_sequence(nll) for nll in (predicted.nll, predicted.reference))
        rewards = self.beta * (policy - reference)
        margins = rewards[0::2] - rewards[1::2]
        watched = {"chosen": policy[0::2].sum(), "rejected": policy[1::2].sum(), "margin": margins.sum()}
        return Loss(-logsigmoid(margins).sum(), watched)

    def facts(
        self, examples: Sequence[Example], after: "Sequence[list[torch.Tensor]]", log: Callable[[str], None]
    ) -> dict[str, Any]:
        """Log-probabilities in nats a sequence, means over all pairs, before the first step and after the last."""
        import torch

        start, end = (
            -torch.tensor([[float(tokens.double().sum()) for tokens in pair] for pair in nlls], dtype=torch.float64)
            for nlls in ([example.reference for example in examples], after)
        )
        chosen, rejected = (end - start).T
        margins = self.beta * (chosen - rejected)
        fall = -float(chosen.sum()) / sum(len(example.reference[0]) for example in examples)
        collapsed = not fall <= COLLAPSE
        if collapsed:
            log(
                f"collapsed: the log-probability of chosen responses fell by {fall:.2f} nats a token (more than "
                f"{COLLAPSE:g}); try a lower learning rate, fewer epochs or a larger beta"
            )
        return {
            "chosen_start": float(start[:, 0].mean()),
            "chosen_end": float(end[:, 0].mean()),
            "rejected_start": float(start[:, 1].mean()),
            "rejected_end": float(end[:, 1].mean()),
            "margin": float(margins.mean()),
            "margin_above_zero": float((margins > 0).double().mean()),
            "chosen_above_rejected_start": float((start[:, 0] > start[:, 1]).double().mean()),
            "chosen_above_rejected_end": float((end[:, 0] > end[:, 1]).double().mean()),
            "chosen_fall_per_token": fall,
            "collapsed": collapsed,
        }


def _rejected(row: Row, renderer: Renderer, prompt: str) -> Rendered:
    if row.get("rejected") is None:
        raise StageFailed(f"row {row['id']}: it has no rejected response")
    rendered = renderer.row(prompt, row, row["rejected"])
    if row.get("rejected_ends") in (None, True):
        return rendered
    ids = rendered.ids[: -len(renderer.end_ids)]
    if len(ids) == rendered.prompt_length:
        raise StageFailed(f"row {row['id']}: its rejected prefix has no token")
    return Rendered(ids, rendered.prompt_length)
