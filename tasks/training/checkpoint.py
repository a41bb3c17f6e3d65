"""What is kept of an unfinished training, so that it goes on where a killed one was, to the same bytes.

Everything is safetensors and JSON, and no pickle: the adapter's parameters, the optimiser's state, the schedule, the
random generators, the losses so far. It lies in the artifact's scratch folder, and goes when the artifact is complete.
"""

import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.digest import file_digest
from tasks.pipeline.versions import versions

if TYPE_CHECKING:
    from tasks.training.trainer import Trainer

DECIDES_NO_RESULT = True

SECONDS = 10.0
"""How often a training is kept."""
SHARE = 0.05
"""Most of the time that may go into keeping: a large adapter is kept less often."""
NAME, DRAFT = "checkpoint-", "unfinished"
TENSORS = "training.safetensors"
FACTS = "training.json"
FORMAT = 2
"""Of what is written here; another one is not read."""
BY = ("python", "torch", "transformers", "peft")


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

    def keep(self, trainer: "Trainer") -> None:
        """Keep a training between two optimiser steps, in place of what was kept before."""
        started = time.monotonic()
        draft = self._folder / DRAFT
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            self._write(draft, trainer)
            before = _all(self._folder)
            draft.rename(self._folder / f"{NAME}{trainer.step:09d}")
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        finally:
            now = time.monotonic()
            self._next = now + max(SECONDS, (now - started) / SHARE)
        for older in before:
            shutil.rmtree(older)

    def _write(self, draft: Path, trainer: "Trainer") -> None:
        from safetensors.torch import save_file

        state = trainer.optimizer.state_dict()
        save_file(_tensors(trainer, state["state"]), draft / TENSORS)
        written = {
            "facts": self._facts,
            "made_by": made_by(),
            "seconds": trainer.seconds,
            "groups": state["param_groups"],
            "schedule": trainer.scheduler.state_dict(),
            "sha256": file_digest(draft / TENSORS),
        }
        (draft / FACTS).write_text(json.dumps(written), encoding="utf-8")
        for name in (TENSORS, FACTS):  # the older one goes only when this one is on the disk
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


def restore(checkpoint: Path, trainer: "Trainer") -> None:
    """Put the adapter, the optimiser, the schedule, the random generators, the losses and the clock where they were."""
    import torch
    from safetensors.torch import load_file

    facts = read(checkpoint)
    tensors = load_file(checkpoint / TENSORS)
    with torch.no_grad():
        for name, parameter in trainer.parameters.items():
            parameter.copy_(tensors[f"parameter {name}"])
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        what, *where = name.split(" ")
        if what == "optimiser":
            state.setdefault(int(where[0]), {})[where[1]] = tensor
    trainer.optimizer.load_state_dict({"state": state, "param_groups": facts["groups"]})
    trainer.scheduler.load_state_dict(facts["schedule"])
    trainer.history = list(tensors["history"].to(trainer.device))
    trainer.started -= facts["seconds"]
    torch.set_rng_state(tensors["random cpu"])  # which draws the dropout
    if torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random cuda"])


def _tensors(trainer: "Trainer", state: dict[int, dict[str, Any]]) -> dict[str, Any]:
    import torch

    tensors = {f"parameter {name}": parameter.detach() for name, parameter in trainer.parameters.items()}
    for number, values in state.items():
        tensors |= {f"optimiser {number} {name}": value for name, value in values.items()}
    tensors["history"] = torch.stack(trainer.history)
    tensors["random cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random cuda"] = torch.cuda.get_rng_state()
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _all(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob(f"{NAME}*"))


def _is_fit(checkpoint: Path) -> bool:
    try:
        kept = read(checkpoint)
        if kept["made_by"] != made_by():
            return False
        return bool(file_digest(checkpoint / TENSORS) == kept["sha256"])
    except (OSError, ValueError, KeyError):  # a machine that lost power has not written it all
        return False
