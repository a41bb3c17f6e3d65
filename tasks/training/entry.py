"""Where a trainer process begins."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tasks.kinds.methods import kinds_by_name
from tasks.models.model import Model
from tasks.training.loop import train
from tasks.training.training import Training


def preload() -> None:
    """Import what every training needs. Starts no thread and touches no device, so that processes can be forked."""
    import pyarrow.parquet  # noqa: F401
    import torch.optim
    import torch.utils.checkpoint  # noqa: F401
    from peft import LoraConfig, get_peft_model  # noqa: F401
    from transformers import AutoModelForCausalLM, get_scheduler  # noqa: F401
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping
    from transformers.models.llama import modeling_llama  # noqa: F401

    from tasks.training import folded_lora  # noqa: F401

    get_checkpoint_conversion_mapping("llama")  # makes the table of all models, of which each load would make its own
    kinds_by_name()


def run(job: Mapping[str, Any], progress: Callable[[int, int], None], log: Callable[[str], None]) -> dict[str, Any]:
    """Do the training that `tasks.finetune` has written down; returns its facts. See `loop.train`."""
    import torch

    torch.set_num_threads(1)
    method = job["method"]
    return train(
        Training(
            method=kinds_by_name()[method["kind"]].model_validate(method),
            model=Model(**job["model"]),
            examples=Path(job["examples"]),
            folder=Path(job["folder"]),
            scratch=Path(job["scratch"]),
            seed=job["seed"],
            start=None if job["start"] is None else Path(job["start"]),
            progress=progress,
            log=log,
        )
    )
