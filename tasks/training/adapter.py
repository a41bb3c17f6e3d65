"""The model that is trained: a frozen base model with a LoRA adapter, new or loaded; and the adapter's files."""

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tasks.kinds.training_settings import TrainingSettings
from tasks.models.model import Model
from tasks.resources.errors import StageFailed
from tasks.scoring.likelihood import SMALL
from tasks.training.training import Training

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def load(training: Training, recompute: bool = False) -> Any:
    """The base model with an adapter drawn from the seed, or with the weights of the one that the training starts from.

    Layers of a model below `SMALL` parameters are computed by `folded_lora`, where it can; PEFT computes all others.

    Args:
        recompute: whether activations are computed again on the backward pass, which takes less memory (gradient
            checkpointing).

    Raises:
        StageFailed: the adapter it starts from has another rank, scale or layers than the method's settings say.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, set_seed

    from tasks.training import folded_lora

    torch.use_deterministic_algorithms(True, warn_only=True)
    settings = training.method
    cuda = torch.cuda.is_available()
    network = AutoModelForCausalLM.from_pretrained(
        training.model.path,
        revision=training.model.revision or None,
        trust_remote_code=training.model.remote_code,
        use_safetensors=True,
        dtype=torch.bfloat16 if cuda else torch.float32,
    )
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.targets if isinstance(settings.targets, str) else list(settings.targets),
        task_type="CAUSAL_LM",
    )
    set_seed(training.seed)
    model = get_peft_model(network, config).to("cuda" if cuda else "cpu")
    if training.start is not None:
        _set_weights(model, training.start, settings)
    if sum(parameter.numel() for parameter in network.parameters()) < SMALL:
        folded_lora.fold(model)
    if recompute:
        model.enable_input_require_grads()  # or no gradient would flow into the first layer's frozen input
        model.gradient_checkpointing_enable()
    set_seed(training.seed)
    return model


def forward_format(device: Any) -> AbstractContextManager[Any]:
    """The number format of forward passes: bfloat16 where a GPU computes, float32 otherwise."""
    import torch

    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


def _set_weights(model: Any, start: Path, settings: TrainingSettings) -> None:
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    weights = load_file(start / WEIGHTS)
    alpha = json.loads((start / CONFIG).read_text(encoding="utf-8"))["lora_alpha"]
    rank = next(len(tensor) for name, tensor in weights.items() if "lora_A" in name)
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    wanted = {name: tensor.shape for name, tensor in get_peft_model_state_dict(model).items()}
    if (rank, alpha) != (settings.rank, settings.alpha):
        raise StageFailed(
            f"the adapter to start from has rank {rank} and alpha {alpha}, and method {settings.kind} says rank "
            f"{settings.rank} and alpha {settings.alpha}; allowed are the same for both"
        )
    if shapes != wanted:
        raise StageFailed(
            f"the adapter to start from is on the layers {_layers(shapes)}, and method {settings.kind} says "
            f"{_layers(wanted)}; allowed are the same for both (targets)"
        )
    set_peft_model_state_dict(model, weights)


def _layers(names: Any) -> str:
    return ", ".join(sorted({name.partition(".lora_")[0].rpartition(".")[2] for name in names}))


def save(model: Any, folder: Path, base: Model) -> None:
    """Write an adapter, with the same bytes for the same adapter: no paths, no order that a hash seed decides."""
    model.save_pretrained(str(folder))
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base.name
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=1, sort_keys=True), encoding="utf-8")
