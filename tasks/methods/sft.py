"""Supervised fine-tuning: the student learns to give each response, token by token, through a LoRA adapter."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from data.errors import InputError, shown
from tasks.bounds import MOST_TOKENS, Real, Share, Whole
from tasks.methods import Method, Training
from tasks.model import Model
from tasks.render import Renderer
from tasks.rows import Row
from tasks.safetensors_header import tensors
from tasks.training.lora import Settings, train_on_responses

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

    def check(self, model: Model) -> None:
        folder = Path(model.path)
        if isinstance(self.targets, str) or not folder.is_dir():
            return
        held = {part for path in folder.glob("*.safetensors") for name in tensors(path) for part in name.split(".")}
        if not any(target.rpartition(".")[2] in held for target in self.targets):
            raise InputError(
                f"method.targets: {shown(list(self.targets))} are no layers of {model.name}; allowed: all-linear, or "
                "names of layers such as q_proj"
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
