"""What is kept of an unfinished training, so that it goes on where a killed one was, to the same bytes.

transformers keeps pickles beside the weights. Here everything is safetensors and JSON: the adapter's parameters, the
optimiser's state, the schedule, the random generators, the losses so far. It lies in the artifact's scratch folder, and
goes when the artifact is complete.
"""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from data.digest import file_digest
from tasks.pipeline.versions import versions

SECONDS = 10.0
"""How often a training is kept."""
SHARE = 0.05
"""Most of the time that may go into keeping: a large adapter is kept less often."""
NAME, DRAFT = "checkpoint-", "unfinished"
TENSORS = "training.safetensors"
STATE = "trainer_state.json"
"""transformers' own name; it looks for this file when a training goes on."""
FACTS = "training.json"
FORMAT = 1
"""Of what is written here; another one is not read."""
BY = ("python", "torch", "transformers", "accelerate", "peft", "trl")


class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: where they lie.
        facts: what a trainer must know before it goes on; can be written as JSON.
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self._folder = folder
        self._facts = facts
        self._next = time.monotonic() + SECONDS

    @property
    def due(self) -> bool:
        """Whether it is time for one."""
        return time.monotonic() >= self._next

    def keep(self, trainer: Any, seconds: float) -> None:
        """Keep a training between two optimiser steps, in place of what was kept before.

        Args:
            seconds: how long the training has taken so far, all tries together.
        """
        started = time.monotonic()
        draft = self._folder / DRAFT
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            self._write(draft, trainer, seconds)
            before = _all(self._folder)
            draft.rename(self._folder / f"{NAME}{trainer.state.global_step:09d}")
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        finally:
            now = time.monotonic()
            self._next = now + max(SECONDS, (now - started) / SHARE)
        for older in before:
            shutil.rmtree(older)

    def _write(self, draft: Path, trainer: Any, seconds: float) -> None:
        from safetensors.torch import save_file

        state = trainer.optimizer.state_dict()
        save_file(_tensors(trainer, state["state"]), draft / TENSORS)
        trainer.state.save_to_json(str(draft / STATE))
        written = {
            "facts": self._facts,
            "made_by": made_by(),
            "seconds": seconds,
            "groups": state["param_groups"],
            "schedule": trainer.lr_scheduler.state_dict(),
            "sha256": {name: file_digest(draft / name) for name in (TENSORS, STATE)},
        }
        (draft / FACTS).write_text(json.dumps(written), encoding="utf-8")
        for name in (TENSORS, STATE, FACTS):  # the older one goes only when this one is on the disk
            with (draft / name).open("rb") as file:
                os.fsync(file.fileno())


def made_by() -> dict[str, Any]:
    """What must be the same for a training to go on to the same bytes: its key does not tell of these."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"format": FORMAT, "device": device, **{name: version for name, version in versions().items() if name in BY}}


def newest(folder: Path) -> Path | None:
    """The newest checkpoint that is whole and can be gone on with here; whatever else there is of any is taken away."""
    shutil.rmtree(folder / DRAFT, ignore_errors=True)
    fit = None
    for found in reversed(_all(folder)):
        if fit is None and _is_fit(found):
            fit = found
        else:
            shutil.rmtree(found)
    return fit


def discard(folder: Path) -> None:
    """Take every checkpoint away."""
    for found in _all(folder):
        shutil.rmtree(found)


def read(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint says of its training: `facts` as they were given, and `seconds` so far."""
    return dict(json.loads((checkpoint / FACTS).read_text(encoding="utf-8")))


def restore_parameters(checkpoint: Path, trainer: Any) -> None:
    """Give the adapter the parameters that were kept."""
    import torch
    from safetensors import safe_open

    with safe_open(checkpoint / TENSORS, "pt") as tensors, torch.no_grad():
        for name, parameter in _trained(trainer).items():
            parameter.copy_(tensors.get_tensor(f"parameter {name}"))


def restore_optimiser(checkpoint: Path, trainer: Any) -> list[Any]:
    """Put the optimiser and the schedule where they were; returns the loss of each step so far."""
    from safetensors.torch import load_file

    kept = read(checkpoint)
    tensors = load_file(checkpoint / TENSORS)
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        what, *where = name.split(" ")
        if what == "optimiser":
            state.setdefault(int(where[0]), {})[where[1]] = tensor
    trainer.optimizer.load_state_dict({"state": state, "param_groups": kept["groups"]})
    trainer.lr_scheduler.load_state_dict(kept["schedule"])
    return list(tensors["losses"].to(trainer.args.device))


def restore_random(checkpoint: Path) -> None:
    """Put torch's random generators, which draw the dropout, where they were."""
    import torch
    from safetensors import safe_open

    with safe_open(checkpoint / TENSORS, "pt") as tensors:
        torch.set_rng_state(tensors.get_tensor("random cpu"))
        if torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors.get_tensor("random cuda"))


def _tensors(trainer: Any, state: dict[int, dict[str, Any]]) -> dict[str, Any]:
    import torch

    tensors = {f"parameter {name}": parameter.detach() for name, parameter in _trained(trainer).items()}
    for number, values in state.items():
        tensors |= {f"optimiser {number} {name}": value for name, value in values.items()}
    tensors["losses"] = torch.stack(trainer.losses)
    tensors["random cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random cuda"] = torch.cuda.get_rng_state()
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _trained(trainer: Any) -> dict[str, Any]:
    return {name: parameter for name, parameter in trainer.model.named_parameters() if parameter.requires_grad}


def _all(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob(f"{NAME}*"))


def _is_fit(checkpoint: Path) -> bool:
    try:
        kept = read(checkpoint)
        if kept["made_by"] != made_by():
            return False
        return all(file_digest(checkpoint / name) == digest for name, digest in kept["sha256"].items())
    except (OSError, ValueError, KeyError):  # a machine that lost power has not written it all
        return False
