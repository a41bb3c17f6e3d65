"""One training as it is handed to the training loop."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks.kinds.methods import Method
from tasks.models.model import Model


@dataclass(frozen=True)
class Training:
    """What is trained, on what, and where the files go."""

    method: Method
    model: Model
    examples: Path
    """Parquet file of examples; see `tasks.training.examples`."""
    folder: Path
    """Gets `adapter/` and `probe.json`."""
    scratch: Path
    """Keeps checkpoints until the artifact is complete."""
    seed: int
    start: Path | None = None
    """Folder of the adapter that the training starts from; None: a new one, drawn from the seed."""
    progress: Callable[[int, int], None] = lambda done, total: None
    """Told the optimiser steps done, and of how many."""
    log: Callable[[str], None] = lambda text: None
    """Told what a reader of the run's log wants to know, a line each."""
