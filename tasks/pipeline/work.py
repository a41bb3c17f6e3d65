"""What a running stage is handed: its folder, the runtime, and ways to say how far it is."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.pipeline.runtime import Runtime
from tasks.storage.rows import Row


@dataclass
class Work:
    """What a running stage is handed: a folder for its files, the runtime, and a way to say how far it is."""

    folder: Path
    """Files written here become the artifact."""
    runtime: Runtime
    run_name: str
    facts: dict[str, Any]
    """What the stage wants to say of its result; kept in the manifest."""
    total: int = 0
    """Rows of the first input of a per-row stage, the ones finished on an earlier try included."""
    made: int = 0
    """Rows a per-row stage has made in this try."""
    partial: bool = False
    """Whether only a share of a per-row stage's rows is at hand: what can only be decided over all of them is left
    unfinished, for the one who puts the shares together."""
    elsewhere: float = 0.0
    """Seconds of the stage's slot that others took to make shares of the rows."""
    unit: str = "rows"
    """What progress counts."""
    relatives: str = ""
    """The name under which other artifacts are found that rows may be taken over from."""
    taken: Counter[str] = field(default_factory=Counter)
    """Rows taken over from other artifacts, by their keys."""
    missing_samples: Callable[[Row, int], Sequence[int]] = lambda row, n: range(n)
    """Which of an input row's samples a per-row stage is to draw: of so many, those that were not taken over."""

    @property
    def scratch(self) -> Path:
        """A folder that outlives a failed try and is emptied when the artifact is complete."""
        path = self.folder / "scratch"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def progress(self, done: int, total: int) -> None:
        self.runtime.listener("progress", self.run_name, {"done": done, "total": total, "unit": self.unit})

    def note(self, text: str) -> None:
        """One line for the person watching."""
        self.runtime.listener("note", self.run_name, {"text": text})

    def log(self, text: str) -> None:
        """One line for who reads the log of this run."""
        self.runtime.listener("log", self.run_name, {"text": text})
