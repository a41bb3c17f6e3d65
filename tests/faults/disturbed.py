"""A real study to which something happens: begun, caught at work, gone on with, held against one left in peace."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from tests.faults.left_behind import nothing_is_left, running
from tests.flows.test_study import environment
from tests.waiting import PATIENCE, until

NAME = "faults"
STUDY = [
    *("--set", f"name={NAME}"),
    *("--set", "train=[abacus/boxes]"),
    *("--set", "evaluate=[abacus/boxes]"),
    *("--set", "origins={human: {}, self: {samples: 8, temperature: 0.7, max_tokens: 120}}"),
    *("--set", "questions={train: 200, evaluate: 600}"),
    *("--set", "method.epochs=1"),
    *("--set", "seeds=[0]"),
]
STAGES = (
    *("questions", "leak", "references", "generate", "verify", "score"),
    *("select", "training_rows", "finetune", "attest", "evaluate", "compare", "report"),
)
"""In the order of the chain."""
MOST_SECONDS = 30.0
"""Work that may be done again."""
GO_ON = f"go on with: mothertongue run abacus --set name={NAME}"


@dataclass
class Disturbed:
    """A study in a folder of its own, with a store, slots and a Prefect home of its own.

    Args:
        peace: the folder of the study to which nothing happens.
        lacking: stages whose artifacts the store does not have yet; all others are there from the beginning.
    """

    folder: Path
    peace: Path
    lacking: Sequence[str] = STAGES
    environment: dict[str, str] = field(default_factory=dict)
    at: Path | None = None
    """Where the store is; in the folder if not given."""
    store: Path = field(init=False)
    process: "subprocess.Popen[bytes]" = field(init=False)
    _begun: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.environment = {**environment(self.folder), **self.environment}
        self._fill()

    def _fill(self) -> None:
        """Make the store, with what is in it at first."""
        self.store = self.at or self.folder / "store"
        self.environment["MOTHERTONGUE_STORE"] = str(self.store)
        for name in self._there_at_first():
            (self.store / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.peace / "store" / name, self.store / name)

    def _there_at_first(self) -> list[str]:
        whole = self.peace / "store"
        names = (path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
        return [str(name) for name in names if name.parts[0] not in ("locks", *self.lacking)]

    # Running it

    def begin(self, *before: str, **environment: str) -> None:
        """Start the run as a person does. `before` goes before the command."""
        self._begun += 1
        with self.said_in.open("wb") as said:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "flows.main", "run", "abacus", *STUDY],
                cwd=self.folder,
                env={**self.environment, **environment},
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )

    @property
    def said_in(self) -> Path:
        return self.folder / f"said-{self._begun}"

    @property
    def said(self) -> str:
        """What the person has seen of the present run."""
        return self.said_in.read_text(encoding="utf-8")

    def ends(self, code: int, patience: float = PATIENCE) -> float:
        """Wait for its end; returns the seconds that took."""
        since = time.monotonic()
        assert self.process.wait(timeout=patience) == code, self.said
        return time.monotonic() - since

    def end(self) -> None:
        """After a test that has failed: kill what runs still."""
        if self._begun and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def go_on(self, *before: str, **environment: str) -> None:
        """Run the same command again, to its good end."""
        self.begin(*before, **environment)
        self.ends(0)

    def works_at(self, stage: str, rows: bool = False, held: bool = False) -> list[Path]:
        """Wait until the stage is at work; returns the folders of its unfinished artifacts.

        Args:
            rows: it has kept rows, too.
            held: leave the run's own process suspended. Nothing is returned where the stage was passed meanwhile.
        """

        def unfinished() -> list[Path]:
            return [
                each
                for each in (self.store / stage).glob("*")
                if not (each / "manifest.json").exists() and (not rows or list(each.glob("parts/*.parquet")))
            ]

        def there() -> bool:
            assert self.process.poll() is None, self.said
            return bool(unfinished()) or self._whole(stage)

        until(there, f"{stage} did not begin", pause=0.01 if rows else 0.002)
        if held:
            self.process.send_signal(signal.SIGSTOP)
        found = unfinished()
        assert found or held, f"{stage} was passed too fast"
        return found

    def _whole(self, stage: str) -> bool:
        return {path.parent.name for path in (self.store / stage).glob("*/manifest.json")} == {
            path.parent.name for path in (self.peace / "store" / stage).glob("*/manifest.json")
        }

    def processes(self, part: str = "") -> list[int]:
        """Those of its processes in whose command line this is, the oldest first."""
        return sorted(pid for pid, command in running(self.folder) if part in command)

    # Looking at what has become of it

    @property
    def finished(self) -> dict[str, int]:
        """When each manifest in the store was written."""
        return finished(self.store)

    def kept(self, stage: str) -> dict[str, int]:
        """How many rows of its input each unfinished artifact of the stage has kept the output of, by key."""
        ids: dict[str, set[str]] = {}
        for path in (self.store / stage).glob("*/parts/*.parquet"):
            ids.setdefault(path.parent.parent.name, set()).update(pq.read_table(path, columns=["id"])["id"].to_pylist())
        return {key: len(of) for key, of in ids.items()}

    def not_kept(self, stage: str) -> float:
        """Seconds of work at the stage that would be done again if everything ended now."""
        times: dict[Path, float] = {}
        for path in (self.store / stage).glob("*/parts/*.parquet"):
            times[path.parent] = max(times.get(path.parent, 0.0), path.stat().st_mtime)
        return max(time.time() - last for last in times.values())

    def manifest(self, stage: str, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.store / stage / key / "manifest.json").read_text(encoding="utf-8"))
        return found

    def asked_for_the_rest(self, stage: str, kept: dict[str, int]) -> None:
        """The model was asked for no row again that was kept."""
        for key, rows in kept.items():
            table = pq.read_table(self.store / stage / key / "rows.parquet", columns=["id"])
            total = len(set(table["id"].to_pylist()))
            assert 0 < rows < total, "it happened too late to tell"
            assert self.manifest(stage, key)["facts"]["prompts"] == total - rows, "kept rows were asked for again"

    def ended_well(self, before: dict[str, int], without: Sequence[str] = ()) -> None:
        """It has the results of the study in peace, and made nothing again that was finished before.

        Args:
            before: `finished`, when it happened.
            without: stages that were made, too, of what was left when an arm had failed.
        """
        same_results(self.folder, self.peace)
        now = self.finished
        assert {name: now.get(name) for name in before} == before, "something finished was made again"
        more = now.keys() ^ finished(self.peace / "store").keys()
        assert not [name for name in more if name.partition("/")[0] not in without]

    def nothing_is_left(self) -> None:
        nothing_is_left(self.folder)


def finished(store: Path) -> dict[str, int]:
    """When each manifest was written, of what was set aside as damaged not."""
    whole = (path for path in store.glob("*/*/manifest.json") if path.parent.parent.name != "damaged")
    return {str(path.relative_to(store)): path.stat().st_mtime_ns for path in whole}


def same_results(one: Path, other: Path, study: str = NAME) -> None:
    for name in ("items.parquet", "summary.csv", "perplexity.csv"):
        read = pd.read_parquet if name.endswith("parquet") else pd.read_csv
        pd.testing.assert_frame_equal(*(read(folder / "runs" / study / name) for folder in (one, other)), rtol=1e-4)


def measured(**facts: float | str) -> None:
    """For who reads the test's output: `pytest -rP`."""
    print(
        "measured:",
        ", ".join(
            f"{name} {value:.1f}" if isinstance(value, float) else f"{name} {value}" for name, value in facts.items()
        ),
    )
