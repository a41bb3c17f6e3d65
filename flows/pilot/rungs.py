"""The rungs of a pilot: with how many questions and seeds it looks at the arms, one look after the other.

On the first rung the arms have few training questions, as many as the share of the study allows that a first look may
cost, and one seed. On those above they are trained at the full size, with one seed more on each.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from data.errors import InputError
from data.options import OptionError
from flows.config.arms import posed_by
from flows.config.consistency import check_sizes
from flows.config.schema import Study
from flows.pilot.price import Operations, shared
from flows.planning.plan import Plan, expand, ordered
from tasks.comparison.cell import Cell
from tasks.comparison.phrasing import listed
from tasks.pipeline.stage import Node


@dataclass(frozen=True)
class Rung:
    """One look at the arms that are left.

    `plan` has its cells: the study's own, or that of the same study at a size that it does not have. `size` is what the
    cells are called by, 0 in a study that names no sizes; `questions` the training questions.
    """

    plan: Plan
    size: int
    questions: int
    seeds: tuple[int, ...]

    def cells(self, arms: Collection[tuple[str, str]]) -> list[Cell]:
        """Those of these arms (student, arm), on the benchmark that each was trained on."""
        of_rung = (cell for cell in in_domain(self.plan) if cell.size == self.size and cell.seed in self.seeds)
        return [cell for cell in of_rung if (cell.student, cell.arm) in arms]

    @property
    def called(self) -> str:
        """What a sentence calls it."""
        seeds = f"seed {self.seeds[0]}" if len(self.seeds) == 1 else f"seeds {listed(list(map(str, self.seeds)))}"
        return f"{self.questions:,} questions, {seeds}"


@dataclass(frozen=True)
class Rungs:
    """All looks, first to last, and what the first is estimated to cost, as a share of the whole study. `common` is
    what the steps cost that several arms need (the responses that they are matched on): a study needs them whichever
    arms are dropped, and they are in no look's share."""

    each: tuple[Rung, ...]
    full: int
    """Training questions of the full study."""
    share: float
    common: float


def in_domain(plan: Plan) -> list[Cell]:
    """Cells of arms on the benchmark that they were trained on."""
    return [cell for cell in plan.cells if cell.trained and cell.eval_benchmark == cell.train_benchmark]


def competing(study: Study) -> list[str]:
    """The arms of a study that compete with each other: all but controls."""
    return [arm.name for arm in study.compared if arm.control is None]


def chosen(study: Study, plan: Plan, spend: float) -> Rungs:
    """The rungs of which the first costs no more than `spend`, a share of what the whole study costs.

    Raises:
        InputError: there is nothing to choose, nothing to choose by, or no size is cheap enough.
    """
    names = competing(study)
    if len(names) < 2:
        raise InputError(f"{study.name}: a pilot chooses among several arms, and this study has one, {names[0]}")
    if not in_domain(plan):
        raise InputError(
            f"{study.name}: evaluate: a pilot chooses by the scores on what is trained on; allowed: "
            f"{listed(study.names(study.train))} or a part of them beside the others"
        )
    small, sizes, full = _small(study, plan)
    operations = Operations([*plan.nodes, *small.nodes])
    whole, common = operations.of(plan.nodes), shared(_by_arm(plan))
    everyone = {(cell.student, cell.arm) for cell in plan.cells if cell.arm in names}
    first: tuple[Rung, float] | None = None
    for size in sizes:
        rung = Rung(small, size, size, tuple(study.seeds[:1]))
        needed = ordered(small.cells[cell] for cell in rung.cells(everyone))
        share = operations.of(node for node in needed if node.recipe not in common) / (whole or 1.0)
        if share > spend and first is None:
            raise InputError(
                f"--spend {100 * spend:g}%: a look at all arms with {size:,} questions is estimated to cost "
                f"{100 * share:.1f} % of the study; allowed: {int(100 * share) + 1}% or more"
            )
        if share <= spend:
            first = rung, share
    assert first is not None, "there is a smallest size"
    at_full = max(study.sizes, default=0)
    raced = [Rung(plan, at_full, full, tuple(study.seeds[:count])) for count in range(1, len(study.seeds))]
    in_common = operations.of(node for node in plan.nodes if node.recipe in common) / (whole or 1.0)
    return Rungs((first[0], *raced), full, first[1], in_common)


def _small(study: Study, plan: Plan) -> tuple[Plan, list[int], int]:
    """The plan of the first rung, the sizes that it may have, rising, and the full one."""
    if len(study.sizes) > 1:
        return plan, study.sizes[:-1], study.sizes[-1]
    full = _full(study)
    least = max(2, *(arm.match.minimum for arm in study.compared))
    sizes = sorted(full // 2**halved for halved in range(1, full.bit_length()) if full // 2**halved >= least)
    if not sizes:
        raise InputError(
            f"{study.name}: a pilot trains on half of the questions or fewer, and they are {full:,}; allowed: "
            f"{2 * least:,} or more (twice match.minimum)"
        )
    changed = {
        **{"sizes": [*sizes, *study.sizes], "questions": study.questions.model_copy(update={"keep": None})},
        **{"controls": {}, "contrasts": (), "reference": ""},
    }
    smaller = study.model_copy(update=changed)
    try:
        check_sizes(sizes, smaller.questions, smaller.compared, smaller.origins)
    except OptionError as error:
        raise InputError(f"{study.name}: a pilot trains on fewer questions. {error}") from None
    return expand(smaller), sizes, full


def _full(study: Study) -> int:
    """Training questions of the full study, of the benchmark, or the origin that poses its own, with the fewest.

    Raises:
        InputError: how many they are is not known before they are read.
    """
    if study.sizes:
        return study.sizes[0]
    counts = {name: study.questions.to_train(name) for name in study.names(study.train)}
    posers = {posed_by(arm.on, study.origins) for arm in study.compared} - {""}
    counts |= {f"origin {name}": study.origins[name].posed_at_most for name in sorted(posers)}
    for name, count in counts.items():
        if count is None:
            raise InputError(
                f"{study.name}: questions.train: null is all questions of {name}, and how many are few a pilot cannot "
                "tell; allowed: a number"
            )
    return min(count for count in counts.values() if count is not None)


def _by_arm(plan: Plan) -> dict[str, Iterable[Node]]:
    """The steps that the cells of each arm need, by student and arm."""
    cells: dict[str, list[Node]] = defaultdict(list)
    for cell, node in plan.cells.items():
        if cell.trained:
            cells[f"{cell.student}/{cell.arm}"].append(node)
    return {name: ordered(nodes) for name, nodes in cells.items()}
