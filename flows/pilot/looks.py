"""At which sizes a pilot looks at the arms: what share of the study the first look may cost decides."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from data.errors import InputError
from data.options import OptionError
from flows.config.consistency import check_sizes
from flows.config.schema import Study
from flows.pilot.price import Operations, shared
from flows.planning.plan import Plan, expand, ordered
from tasks.comparison.cell import Cell
from tasks.comparison.phrasing import listed
from tasks.pipeline.stage import Node

OWN_LOOKS = 2
"""Looks at a study that names no sizes, each at twice the questions of the one before."""


@dataclass(frozen=True)
class Looks:
    """The sizes at which a pilot looks at the arms before it trains those that are left at the full size.

    `plan` has the cells of these sizes. In a study that names several sizes it is the study's own; else it is of the
    same study with sizes that it does not have, whose adapters serve the pilot alone. `share` is what the first look
    is estimated to cost, as a share of the whole study, and `common` what the steps that several arms need cost (the
    responses that arms are matched on), which the study needs whichever arms are dropped.
    """

    plan: Plan
    sizes: tuple[int, ...]
    full: int
    share: float
    common: float

    def cells(self, size: int, arms: Collection[tuple[str, str]]) -> list[Cell]:
        """The cells of a look: each of these arms (student, arm), evaluated on the benchmark that it was trained on."""
        return [cell for cell in in_domain(self.plan) if cell.size == size and (cell.student, cell.arm) in arms]


def in_domain(plan: Plan) -> list[Cell]:
    """Cells of arms on the benchmark that they were trained on."""
    return [cell for cell in plan.cells if cell.trained and cell.eval_benchmark == cell.train_benchmark]


def competing(study: Study) -> list[str]:
    """The arms of a study that compete with each other: all but controls."""
    return [arm.name for arm in study.compared if arm.control is None]


def chosen(study: Study, plan: Plan, spend: float) -> Looks:
    """The looks of which the first costs no more than `spend`, a share of what the whole study costs.

    The first is at the largest size that is cheap enough, without the full one. What several arms need is not counted:
    a study makes it whichever arms are dropped.

    Raises:
        InputError: there is nothing to choose, nothing to choose by, or no size is cheap enough.
    """
    names = competing(study)
    if len(names) < 2:
        raise InputError(f"{study.name}: a pilot chooses among arms, and there is one alone ({', '.join(names)})")
    if not in_domain(plan):
        raise InputError(
            f"{study.name}: evaluate: a pilot chooses by the scores on {listed(study.names(study.train))}, which are "
            "trained on; allowed: one of them at least"
        )
    looked, candidates, full = _candidates(study, plan)
    operations = Operations([*plan.nodes, *looked.nodes])
    whole, common = operations.of(plan.nodes), shared(_by_arm(plan))
    in_common = operations.of(node for node in plan.nodes if node.key in common) / whole if whole else 0.0
    found: dict[int, float] = {}
    for size in candidates:
        looks = Looks(looked, (), full, 0.0, 0.0)
        everyone = [(cell.student, cell.arm) for cell in in_domain(looked) if cell.arm in names]
        needed = ordered(looked.cells[cell] for cell in looks.cells(size, set(everyone)))
        found[size] = operations.of(node for node in needed if node.key not in common) / whole if whole else 0.0
    cheap = [size for size, share in found.items() if share <= spend]
    if not cheap:
        size, least = next(iter(found.items()))
        raise InputError(
            f"--spend {100 * spend:g}%: a look at all arms with {size:,} questions is estimated to cost "
            f"{100 * least:.0f} % of the study; allowed: {int(100 * least) + 1}% or more"
        )
    first = max(cheap)
    sizes = [size for size in candidates if size >= first]
    return Looks(looked, tuple(sizes if study.sizes[1:] else sizes[:OWN_LOOKS]), full, found[first], in_common)


def _candidates(study: Study, plan: Plan) -> tuple[Plan, list[int], int]:
    """The plan that has the looks, the sizes that they may have, rising, and the full size."""
    if len(study.sizes) > 1:
        return plan, study.sizes[:-1], study.sizes[-1]
    full = _full(study)
    least = max(2, *(arm.match.minimum for arm in study.compared))
    halves = [full // 2**number for number in range(1, full.bit_length()) if full // 2**number >= least]
    if not halves:
        raise InputError(
            f"{study.name}: a pilot needs {2 * least:,} training questions or more (match.minimum, twice), and "
            f"there are {full:,}"
        )
    sizes = sorted(halves)
    smaller = study.model_copy(
        update={
            "sizes": [*sizes, *study.sizes],
            "questions": study.questions.model_copy(update={"keep": None}),
            "controls": {},
            "contrasts": (),
            "reference": "",
        }
    )
    try:
        check_sizes(sizes, smaller.questions, smaller.compared, smaller.origins)
    except OptionError as error:
        raise InputError(f"{study.name}: a pilot trains arms with fewer questions: {error}") from None
    return expand(smaller), sizes, full


def _full(study: Study) -> int:
    """Training questions of the full study, of the benchmark with the fewest.

    Raises:
        InputError: how many they are is not known before they are read.
    """
    if study.sizes:
        return study.sizes[0]
    counts = {name: study.questions.to_train(name) for name in study.names(study.train)}
    for name, count in counts.items():
        if count is None:
            raise InputError(
                f"{study.name}: questions.train: null asks for all questions of {name}, of which a pilot cannot tell "
                "how many a part is; allowed: a number"
            )
    return min(count for count in counts.values() if count is not None)


def _by_arm(plan: Plan) -> dict[str, Iterable[Node]]:
    """The steps that the cells of each arm need, by student and arm."""
    cells: dict[str, list[Node]] = defaultdict(list)
    for cell, node in plan.cells.items():
        if cell.trained:
            cells[f"{cell.student}/{cell.arm}"].append(node)
    return {name: ordered(nodes) for name, nodes in cells.items()}
