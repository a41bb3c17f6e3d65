"""Supervised fine-tuning: the student learns to give each response, token by token, through a LoRA adapter."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from data import kinds
from data.bounds import MOST_TOKENS, Real, Share, Whole
from data.errors import InputError, shown
from tasks.kinds.methods import Method, Training
from tasks.models.model import Model
from tasks.models.rendering import Renderer
from tasks.models.safetensors_header import tensors
from tasks.storage.rows import Row
from tasks.training.loop import Settings, train_on_responses

Layers = Annotated[tuple[str, ...], Field(min_length=1, max_length=200)]


class Sft(Method):
    """Cross-entropy over response tokens, averaged over the tokens of a batch; AdamW; LoRA (Hu et al. 2021)."""

    kind: Literal["sft"] = "sft"
    epochs: Whole = Field(3, gt=0, le=1000, description="passes over the training rows")
    learning_rate: Share = Field(2e-4, description="peak learning rate")
    batch: Whole = Field(16, gt=0, le=65_536, description="rows an optimiser step sees")
    rank: Whole = Field(16, gt=0, le=4096, description="LoRA rank")
    alpha: Whole = Field(32, gt=0, le=65_536, description="LoRA scale: the adapter counts alpha / rank times")
    dropout: Real = Field(0.0, ge=0, lt=1, description="dropout before each adapter")
    targets: Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1, max_length=200)] = Field(
        "all-linear", description="layers that get an adapter"
    )
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="how the learning rate falls")
    warmup: Real = Field(0.03, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    weight_decay: Real = Field(0.0, ge=0, le=10, description="AdamW weight decay")
    max_tokens: Whole | None = Field(
        None, gt=1, le=MOST_TOKENS, description="longer rows are left out of all arms alike; null: the context"
    )

    def check(self, models: Sequence[Model]) -> None:
        folders = [Path(model.path) for model in models]
        if isinstance(self.targets, str) or not all(folder.is_dir() for folder in folders):
            return
        held = [_matrices(folder) for folder in folders]
        for target in self.targets:
            if not any(_is_one(target, layers) for layers in held):
                names = sorted({layer.rpartition(".")[2] for layers in held for layer in layers})
                raise InputError(f"method.targets: {kinds.unknown('layer', target, ['all-linear', *names])}")
        for model, layers in zip(models, held, strict=True):
            if not any(_is_one(target, layers) for target in self.targets):
                raise InputError(
                    f"method.targets: {shown(list(self.targets))} are no layers of {model.name}; allowed: all-linear, "
                    "or names of layers such as q_proj"
                )

    def prepare(self, rows: list[Row], renderer: Renderer, prompt: str) -> list[Row]:
        examples = []
        for row in rows:
            rendered = renderer.row(prompt, row)
            examples.append(
                {"id": row["id"], "tokens": len(rendered.ids), "ids": rendered.ids, "prompt": rendered.prompt_length}
            )
        return examples

    def train(self, training: Training) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in Settings.__dataclass_fields__}
        return train_on_responses(training, Settings(**fields))

    @property
    def longest(self) -> int | None:
        return self.max_tokens


def _matrices(folder: Path) -> set[str]:
    """The layers of a model that are matrices, which alone can get an adapter."""
    return {
        name.rpartition(".")[0]
        for path in folder.glob("*.safetensors")
        for name, shape in tensors(path).items()
        if len(shape) == 2 and name.endswith((".weight", ".qweight"))
    }


def _is_one(target: str, layers: set[str]) -> bool:
    """Whether a target names layers, by PEFT's rule: a whole name, or the end of one after a dot."""
    return any(layer == target or layer.endswith(f".{target}") for layer in layers)
