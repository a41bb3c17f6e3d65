"""How a study ended, and what its flow run says of it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from data.visible import visible
from flows.execution.failure import Failure
from flows.planning.plan import Plan
from tasks.comparison.cell import Cell
from tasks.comparison.results import Results
from tasks.storage.artifacts import Artifact

CELLS_NAMED = 3
"""Cells that a failed step's line names; of more than these it gives the number."""


@dataclass
class Outcome:
    """How a study ended."""

    plan: Plan
    report: Artifact | None = None
    compared: Artifact | None = None
    published: Path | None = None
    """The report in the results folder."""
    ran: int = 0
    hits: int = 0
    failed: dict[str, Failure] = field(default_factory=dict)
    """Why each step has no artifact that failed or was not run, by run name."""
    pilot: Mapping[str, Any] = field(default_factory=dict)
    """What a pilot dropped and saved, as JSON-able data; empty without one."""
    missing: dict[Cell, Failure] = field(default_factory=dict)
    """The cells that no number was found for, and why."""
    wrong_input: str | None = None
    bug: BaseException | None = None
    """The first error that is nobody's input and no failure a stage foresees."""

    @property
    def counts(self) -> str:
        """How many stages ran, were found, and have no artifact."""
        return f"{self.ran} stages run, {self.hits} found in the store, {len(self.failed)} failed or left out"

    def state(self) -> State[Any]:
        """The state in which the flow run ends: Completed, or Failed with what failed, why, and what to run."""
        if not self.failed:
            # A run that only looked things up is told from one that worked.
            name = "Cached" if not self.ran else "Completed"
            return Completed(name=name, message=visible("\n".join(self.found())), data=self)
        return Failed(message=visible(self.message()), data=StudyFailed(self))

    def found(self) -> list[str]:
        """The answer, how many stages it took, and where the report is."""
        lines = [f"{self.counts}."]
        if self.compared is not None and self.published is not None:
            verdicts = Results.read(self.compared.folder).verdicts
            said = (*(verdict["sentence"] for verdict in verdicts), *self.pilot.get("lines", ()))
            lines = [*said, *lines, f"Report: {self.published.absolute()}"]
        return lines

    def message(self) -> str:
        """One line for each failed step: which, why, and the cells that have no number for it; then what to run."""
        lost = f"{len(self.failed)} of {len(self.plan.nodes)} steps" + (
            f", {len(self.missing)} of {len(self.plan.cells)} cells" if self.missing else ""
        )
        again = (
            "What is finished is kept. Fix the cause and do only the rest: Retry of this run, or "
            f"mothertongue run {self.plan.study.name}"
        )
        return "\n".join([f"{lost} are missing.", *self.lines(), again])

    def lines(self) -> list[str]:
        """One line for each failed step: which, why, and the cells that have no number for it."""
        without: dict[str, list[str]] = defaultdict(list)
        for cell, failure in self.missing.items():
            without[failure.step].append(self.plan.cells[cell].run_name.partition(" ")[2])
        return [
            f"{name}: {' '.join(failure.reason.split())}{_cells(sorted(without[name]))}"
            for name, failure in self.failed.items()
            if not failure.not_run
        ]


class StudyFailed(RuntimeError):
    """A study that has steps without an artifact."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message())
        self.outcome = outcome


def _cells(names: list[str]) -> str:
    if not names:
        return ""
    if len(names) > CELLS_NAMED:
        return f" ({len(names)} cells)"
    return f" (cell{'s' if len(names) > 1 else ''} {', '.join(names)})"
