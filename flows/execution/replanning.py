"""What is left of a study when steps of it fail: the other arms, among themselves, and why each lost cell is lost."""

from typing import NamedTuple

from data.errors import InputError
from flows.execution.scheduler import Walk
from flows.planning.plan import Plan, expand
from tasks.comparison.cell import Arm, Cell
from tasks.pipeline.stage import Node
from tasks.resources.errors import Transient
from tasks.select import few
from tasks.storage.artifacts import Store
from tasks.storage.joined_rows import JoinedRows

SKIPPED = "not run, since"
"""How the reason of a step begins that was left out because another one failed."""
MOST_SAID = 300
"""Characters of a reason that a cell repeats; the step's own line has all of it."""


class Loss(NamedTuple):
    """Why a cell is missing: the step that failed, and what it said."""

    step: str
    why: str

    def __str__(self) -> str:
        return f"{self.step} failed: {self.why if len(self.why) <= MOST_SAID else self.why[: MOST_SAID - 1] + '…'}"


Known = dict[str, Loss | None]
"""What failed of each step and all it needs, by its key."""
NOT_RUN = Loss("another step", "nothing more was started")


class Remaining:
    """A plan on its walk, planned anew without the origins and benchmarks that are lost on the way.

    Args:
        whole: the study as it was meant.
        store: where the walk's artifacts are.
    """

    def __init__(self, whole: Plan, walk: Walk, store: Store) -> None:
        self.plan = whole
        """What is left of it."""
        self._whole = whole
        self._walk = walk
        self._store = store
        self._short: dict[str, set[str]] = {}
        self._left_out: dict[tuple[Arm, int], Loss] = {}

    def go_on(self) -> None:
        """Walk through all but the conclusion; where something is lost, through what remains, until nothing more is.

        Nothing costly starts before the gates have passed over the benchmarks that remain, nor where the study asks for
        questions in a way that can't be met; and with a strict walk nothing at all after a failure.
        """
        walk = self._walk
        walk.through(self.plan.gates)
        if any(isinstance(error, InputError) for error in walk.errors):
            return
        while not (walk.strict and walk.failed):
            passed = all(gate.key in walk.done for gate in self.plan.gates)
            if passed:
                walk.through(self._steps())
                self._find_short()
            elif any(gate.key in walk.failed and gate.upstream and self._all_done(gate) for gate in self.plan.gates):
                return  # a leak
            self.plan = expand(self._whole.study, walk.failed, self._short)
            walk.through(self.plan.gates)
            if not any(cell.trained for cell in self.plan.cells):
                return
            if passed and all(node.key in walk.done or node.key in walk.failed for node in self._steps()):
                return

    @property
    def missing(self) -> dict[Cell, Loss]:
        """The cells that were planned and not made, each with the failure that it is missing for."""
        known: Known = {}
        return {cell: self._why(cell, known) for cell in self._whole.cells if not self._made(cell)}

    @property
    def failed(self) -> dict[str, str]:
        """Why there is no artifact of each step, by run name; steps that were made after all among the others aside."""
        walk = self._walk
        made = {node.run_name for node in self._steps() if node.key in walk.done} if self.plan.cells else set()
        return {
            walk.names[key]: why
            for key, why in walk.failed.items()
            if not (why.startswith(SKIPPED) and walk.names[key] in made)
        }

    def _steps(self) -> list[Node]:
        compared, page = self.plan.conclusion()
        return [node for node in self.plan.nodes if node.key not in (compared.key, page.key)]

    def _all_done(self, node: Node) -> bool:
        return all(needed.key in self._walk.done for needed in node.upstream)

    def _made(self, cell: Cell) -> bool:
        return cell in self.plan.cells and self.plan.cells[cell].key in self._walk.done

    def _find_short(self) -> None:
        """Note which origins a failed selection is to do without: those that alone have too few responses for it."""
        for selection in self.plan.selections:
            chosen, pool = selection.node, selection.rows
            needed = [node for rows in pool.values() for node in (rows.verdicts, rows.perplexities)]
            if chosen.key not in self._walk.failed or not all(node.key in self._walk.done for node in needed):
                continue
            try:
                opened = {node.key: self._store.open(node.stage.name, node.key) for node in needed}
            except (Transient, OSError):  # not to be had just now: nobody knows how many there are
                continue
            there = {key: artifact.rows() for key, artifact in opened.items() if artifact}
            responses = {
                origin: JoinedRows(there[rows.verdicts.key], there[rows.perplexities.key])
                for origin, rows in pool.items()
                if rows.verdicts.key in there and rows.perplexities.key in there
            }
            match = chosen.values["match"]
            counts = few(responses, match, chosen.values["longest"])
            if len(counts) == len(pool):
                continue
            self._short.setdefault(chosen.key, set()).update(counts)
            for origin, (count, kept_out) in counts.items():
                why = (
                    f"{origin} has {count} questions with a response that may be taken{kept_out}, at least "
                    f"{match.minimum} are needed (match.minimum)"
                )
                self._left_out.update(dict.fromkeys(selection.arms[origin], Loss(chosen.run_name, why)))

    def _why(self, cell: Cell, known: Known) -> Loss:
        if cell in self.plan.cells:
            return self._loss(self.plan.cells[cell], known) or NOT_RUN
        arm = (cell.of, cell.seed)
        offered = self._whole.offered.get(arm)
        responses = [] if offered is None else [offered.verdicts, offered.perplexities]
        lost = next(filter(None, (self._loss(node, known) for node in responses)), None)
        return lost or self._left_out.get(arm) or self._loss(self._whole.cells[cell], known) or NOT_RUN

    def _loss(self, node: Node, known: Known) -> Loss | None:
        """What failed first of a step and all it needs, whether or not the walk came to it; None where nothing did."""
        if node.key not in known:
            why = self._walk.failed.get(node.key)
            if why is not None and not why.startswith(SKIPPED):
                known[node.key] = Loss(node.run_name, " ".join(why.split()))
            elif node.key in self._walk.done:
                known[node.key] = None
            else:
                known[node.key] = next(filter(None, (self._loss(needed, known) for needed in node.upstream)), None)
        return known[node.key]
