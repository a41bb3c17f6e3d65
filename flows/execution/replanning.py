"""Replanning after failures: what is left of a study, and why each cell that is missing is missing."""

from collections.abc import Iterable

from data.errors import InputError
from flows.execution.failure import Failure
from flows.execution.scheduler import Scheduler
from flows.planning.plan import Plan, expand
from tasks.comparison.cell import Arm, Cell
from tasks.pipeline.stage import Node
from tasks.resources.errors import Transient
from tasks.select import few
from tasks.storage.joined_rows import JoinedRows

Causes = dict[str, Failure | None]
"""What failed first of each step and all it needs, by its recipe."""
NOT_STARTED = Failure("another step", "nothing more was started")


class Replanning:
    """Runs a plan, and plans it anew without the origins and benchmarks that failures take away.

    Args:
        whole: the study as it was meant.
    """

    def __init__(self, whole: Plan, scheduler: Scheduler) -> None:
        self.plan = whole
        """What is left of it."""
        self._whole = whole
        self._scheduler = scheduler
        self._keys = scheduler.runtime.keys
        self._short: dict[str, set[str]] = {}
        self._left_out: dict[tuple[Arm, int], Failure] = {}

    def run(self) -> None:
        """Run all but the conclusion; where something is lost, what remains without it, until nothing more is lost.

        Nothing costly starts before the checks have passed over the benchmarks that remain, nor where the study asks
        for questions in a way that can't be met; and in a strict run nothing at all after a failure.
        """
        scheduler = self._scheduler
        scheduler.run(self.plan.checks)
        if any(isinstance(error, InputError) for error in scheduler.errors):
            return
        while not (scheduler.strict and scheduler.failed):
            passed = all(check.recipe in scheduler.done for check in self.plan.checks)
            if passed:
                scheduler.run(self._steps())
                self._find_short()
            elif any(self._found_leak(check) for check in self.plan.checks):
                return
            self.plan = expand(self._whole.study, scheduler.failed, self._short).within(self._whole)
            scheduler.run(self.plan.checks)
            if not any(cell.trained for cell in self.plan.cells):
                return
            if passed and all(
                node.recipe in scheduler.done or node.recipe in scheduler.failed for node in self._steps()
            ):
                return

    @property
    def missing(self) -> dict[Cell, Failure]:
        """The cells that were planned and not made, each with the failure that it is missing for."""
        causes: Causes = {}
        return {cell: self._cause_of_cell(cell, causes) for cell in self._whole.cells if not self._made(cell)}

    @property
    def failed(self) -> dict[str, Failure]:
        """Why there is no artifact of each step, by run name; steps aside that were not run, and made after replanning
        under the same name."""
        scheduler = self._scheduler
        made = {node.run_name for node in self._steps() if node.recipe in scheduler.done} if self.plan.cells else set()
        return {
            failure.step: failure
            for failure in scheduler.failed.values()
            if not (failure.not_run and failure.step in made)
        }

    def _steps(self) -> list[Node]:
        compared, page = self.plan.conclusion()
        return [node for node in self.plan.nodes if node.recipe not in (compared.recipe, page.recipe)]

    def _found_leak(self, check: Node) -> bool:
        """Whether a check failed by itself: all that it reads is there."""
        return bool(check.upstream) and check.recipe in self._scheduler.failed and self._all_done(check.upstream)

    def _all_done(self, nodes: Iterable[Node]) -> bool:
        return all(node.recipe in self._scheduler.done for node in nodes)

    def _made(self, cell: Cell) -> bool:
        return cell in self.plan.cells and self.plan.cells[cell].recipe in self._scheduler.done

    def _find_short(self) -> None:
        """Note which origins a failed selection is to do without: those that alone have too few responses for it."""
        for selection in self.plan.selections:
            chosen, pool = selection.node, selection.rows
            needed = [node for rows in pool.values() for node in (rows.verdicts, rows.perplexities)]
            if chosen.recipe not in self._scheduler.failed or not self._all_done(needed):
                continue
            try:
                opened = {node.recipe: self._keys.open(node) for node in needed}
            except (Transient, OSError):  # not to be had just now: nobody knows how many there are
                continue
            there = {recipe: artifact.rows() for recipe, artifact in opened.items() if artifact}
            responses = {
                origin: JoinedRows(there[rows.verdicts.recipe], there[rows.perplexities.recipe])
                for origin, rows in pool.items()
                if rows.verdicts.recipe in there and rows.perplexities.recipe in there
            }
            match = chosen.values["match"]
            counts = few(responses, match, chosen.values["longest"])
            if len(counts) == len(pool):
                continue
            self._short.setdefault(chosen.recipe, set()).update(counts)
            for origin, (count, kept_out) in counts.items():
                why = (
                    f"{origin} has {count} questions with a response that may be taken{kept_out}, at least "
                    f"{match.minimum} are needed (match.minimum)"
                )
                self._left_out.update(dict.fromkeys(selection.arms[origin], Failure(chosen.run_name, why)))

    def _cause_of_cell(self, cell: Cell, causes: Causes) -> Failure:
        """What failed that a cell is missing for."""
        if cell in self.plan.cells:
            return self._cause(self.plan.cells[cell], causes) or NOT_STARTED
        arm = (cell.of, cell.seed)
        offered = self._whole.offered.get(arm)
        responses = [] if offered is None else [offered.verdicts, offered.perplexities]
        failed = next(filter(None, (self._cause(node, causes) for node in responses)), None)
        return failed or self._left_out.get(arm) or self._cause(self._whole.cells[cell], causes) or NOT_STARTED

    def _cause(self, node: Node, causes: Causes) -> Failure | None:
        """What failed first of a step and all it needs, whether or not it was its turn; None where nothing did."""
        if node.recipe not in causes:
            failure = self._scheduler.failed.get(node.recipe)
            if failure is not None and not failure.not_run:
                causes[node.recipe] = failure
            elif node.recipe in self._scheduler.done:
                causes[node.recipe] = None
            else:
                causes[node.recipe] = next(
                    filter(None, (self._cause(needed, causes) for needed in node.upstream)), None
                )
        return causes[node.recipe]
