"""How a study ended, and what its flow run says of it."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.plan import Plan
from tasks.stage import Node
from tasks.store import Artifact

SKIPPED = "not run, since"
"""How the reason of a step begins that was left out because another one failed."""
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
    failed: dict[str, str] = field(default_factory=dict)
    """Why each failed or skipped step has no artifact, by run name."""
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
            return Completed(name="Cached" if not self.ran else "Completed", message=f"{self.counts}.", data=self)
        return Failed(message=self.message(), data=StudyFailed(self))

    def message(self) -> str:
        """One line for each failed step: which, why, and the cells that have no number for it; then what to run."""
        without = self._cells_without_number()
        lost = f"{len(self.failed)} of {len(self.plan.nodes)} steps" + (
            f", {len(set().union(*without.values()))} of {len(self.plan.cells)} cells" if without else ""
        )
        lines = [f"{lost} are missing."]
        for name, why in self.failed.items():
            if not why.startswith(SKIPPED):
                lines.append(f"{name}: {' '.join(why.split())}{_cells(sorted(without.get(name, ())))}")
        lines.append(
            "What is finished is kept. Mend the cause and do only the rest: Retry of this run, or "
            f"mothertongue run {self.plan.study.name}"
        )
        return "\n".join(lines)

    def _cells_without_number(self) -> dict[str, set[str]]:
        """The cells that no number was found for, by the failed steps that they need."""
        needs: dict[str, frozenset[str]] = {}

        def failed_steps(node: Node) -> frozenset[str]:
            if node.key not in needs:
                own = {node.run_name} if node.run_name in self.failed else set()
                needs[node.key] = frozenset(own).union(*(failed_steps(needed) for needed in node.upstream))
            return needs[node.key]

        found: dict[str, set[str]] = defaultdict(set)
        for node in self.plan.cells.values():
            for name in failed_steps(node):
                found[name].add(node.run_name.partition(" ")[2])
        return found


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
