"""Settings that all methods share: passes over the rows, AdamW with a schedule, and LoRA (Hu et al. 2021)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from data import kinds
from data.bounds import MOST_TOKENS, Real, Share, Whole
from data.errors import InputError, shown
from tasks.models.model import Model
from tasks.models.safetensors_header import tensors


class TrainingSettings(BaseModel):
    """How an adapter is trained, whatever the method's loss."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
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

    @property
    def longest(self) -> int | None:
        """Tokens a sequence may have; None for the model's context. Longer rows are left out by `select`, for all arms
        alike, and never by the method."""
        return self.max_tokens

    def check(self, models: Sequence[Model], where: str) -> None:
        """See, without loading them, that the models have the layers that get an adapter.

        Args:
            where: the key of the study file that says the method.

        Raises:
            InputError: one has not; names the option.
        """
        folders = [Path(model.path) for model in models]
        if isinstance(self.targets, str) or not all(folder.is_dir() for folder in folders):
            return
        matrices = [_matrices(folder) for folder in folders]
        for target in self.targets:
            if not any(_names_one_of(layers, target) for layers in matrices):
                names = sorted({layer.rpartition(".")[2] for layers in matrices for layer in layers})
                raise InputError(f"{where}.targets: {kinds.unknown('layer', target, ['all-linear', *names])}")
        for model, layers in zip(models, matrices, strict=True):
            if not any(_names_one_of(layers, target) for target in self.targets):
                raise InputError(
                    f"{where}.targets: {shown(list(self.targets))} are no layers of {model.name}; allowed: all-linear, "
                    "or names of layers such as q_proj"
                )


def _matrices(folder: Path) -> set[str]:
    """The layers of a model that are matrices, which alone can get an adapter."""
    return {
        name.rpartition(".")[0]
        for path in folder.glob("*.safetensors")
        for name, shape in tensors(path).items()
        if len(shape) == 2 and name.endswith((".weight", ".qweight"))
    }


def _names_one_of(layers: set[str], target: str) -> bool:
    """Whether a target names one of the layers, by PEFT's rule: a whole name, or the end of one after a dot."""
    return any(layer == target or layer.endswith(f".{target}") for layer in layers)
