"""Running a pilot: a look at all arms at each size, and what is left of the study's plan after it.

Nothing is kept beside the store: which arms are dropped follows from the scores that are there, so a pilot that was
interrupted comes to the same decisions again.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from flows.execution.replanning import Replanning
from flows.execution.scheduler import Scheduler
from flows.pilot import told
from flows.pilot.looks import Looks, competing
from flows.pilot.price import spent
from flows.planning.plan import Plan, ordered
from tasks.comparison.arms import Arms
from tasks.comparison.bootstrap import Bootstrap
from tasks.comparison.cell import Arm, Cell
from tasks.comparison.elimination import Decision, decide, look
from tasks.comparison.items import answers, matrices
from tasks.comparison.peers import peers
from tasks.comparison.records import Evaluated
from tasks.comparison.scaling import in_domain
from tasks.comparison.statistics import Measured
from tasks.pipeline.stage import Node
from tasks.storage.artifacts import Store
from tasks.storage.rows import Rows


@dataclass
class Pilot:
    """The pilot of one study.

    Args:
        whole: the plan of the study.
        spend: the share of the study that the first look may cost, as it was asked for.
        say: is given a line about each decision.
    """

    whole: Plan
    looks: Looks
    spend: float
    say: Callable[[str], None] = lambda line: None
    decisions: dict[str, list[Decision]] = field(default_factory=dict)
    """By student, the decision after each look."""
    _looked_at: dict[Cell, Node] = field(default_factory=dict)
    _steps: dict[str, Node] = field(default_factory=dict)
    """All that the looks needed, by key."""

    def run(self, scheduler: Scheduler, store: Store) -> Plan:
        """Look at the arms, and drop those that are unlikely to be best; returns what is left of the study's plan."""
        names = competing(self.whole.study)
        students = dict.fromkeys(cell.student for cell in self.whole.cells)
        left = dict.fromkeys(students, names)
        self.decisions = {student: [] for student in students}
        self.say(told.beginning(self.looks, self.spend, len(names)))
        for number, size in enumerate(self.looks.sizes, start=1):
            several = {student: arms for student, arms in left.items() if len(arms) > 1}
            if not several or (scheduler.strict and scheduler.failed):
                break
            self._look(size, {(student, arm) for student, arms in several.items() for arm in arms}, scheduler)
            read = [Evaluated(cell, _rows(node, store)) for cell, node in self._looked_at.items()]
            scores = matrices(answers(read)) if read else {}
            for student in several:
                if (found := self._decision(student, scores, number)) is None:
                    continue
                self.decisions[student].append(found)
                left[student] = [arm for arm in left[student] if arm not in found.dropped]
                self.say(told.decision(found, self.looks.full, left[student], student if len(left) > 1 else ""))
        return self._rest()

    def finished(self, plan: Plan, scheduler: Scheduler, store: Store) -> Plan:
        """The same plan, with what the pilot came to and saved, for the report: after its steps were run."""
        steps = {node.key: node for node in plan.nodes} | self._steps
        made = [node for key, node in steps.items() if key in scheduler.done]
        took = spent(made, self.whole.nodes, store)
        record = told.record(self.looks, self.spend, self.decisions, took, self.needed_by())
        return replace(plan, pilot=record)

    def needed_by(self) -> dict[str, list[str]]:
        """By arm that was dropped, the arms that are left and start from it or train on what it writes: for them it is
        trained all the same, and only its evaluation is saved."""
        dropped = {arm for found in self.decisions.values() for each in found for arm in each.dropped}
        found: dict[str, list[str]] = defaultdict(list)
        for arm in self.whole.study.compared:
            if arm.name in dropped:
                continue
            for other in self._needs(arm.name):
                if other in dropped:
                    found[other].append(arm.name)
        return dict(found)

    def _needs(self, name: str) -> set[str]:
        """The arms that have to be trained before an arm can be."""
        study = self.whole.study
        arms = {arm.name: arm for arm in study.compared}
        first = {arms[name].after} - {""}
        origins = [arms[name].on]
        for origin in origins:
            first |= set(study.origins[origin].arms_needed)
            origins += [other for other in study.origins[origin].origins_needed if other not in origins]
        return first.union(*(self._needs(other) for other in first))

    def _look(self, size: int, arms: set[tuple[str, str]], scheduler: Scheduler) -> None:
        """Train and evaluate these arms (student, arm) at a size."""
        plan = self.looks.plan.only(self.looks.cells(size, arms))
        looking = Replanning(plan, scheduler, scheduler.runtime.store)
        looking.run()
        made = {cell: node for cell, node in looking.plan.cells.items() if node.key in scheduler.done}
        self._looked_at |= made
        self._steps |= {node.key: node for node in ordered([*looking.plan.checks, *made.values()])}

    def _decision(self, student: str, scores: Mapping, number: int) -> Decision | None:
        """What the scores of the first looks say of a student's arms; None where the last look has none."""
        mine = {key: found for key, found in scores.items() if key[0].student == student}
        sample = Measured(mine, peers=peers(mine))
        bootstrap = Bootstrap(sample)
        looks = []
        for size in self.looks.sizes[:number]:
            arms = _whole({arm for arm, _ in mine if arm.size == size})
            if arms:
                of_size = Arms(sample, Measured({}), arms, sorted({on for _, on in mine}))
                looks.append(
                    look(bootstrap, size, {name: in_domain(of_size, name, of_size.trained) for name in of_size.names})
                )
        if not looks or looks[-1].size != self.looks.sizes[number - 1]:
            return None
        before = self.decisions[student]
        return decide(
            bootstrap,
            looks,
            self.looks.full,
            number / len(self.looks.sizes),
            before[-1].spent if before else 0.0,
            protected=[self.whole.study.reference],
        )

    def _rest(self) -> Plan:
        """The study's plan without the cells of arms that were dropped, but for those that were looked at."""
        why = {
            (student, arm): told.reason(found, arm)
            for student, of_student in self.decisions.items()
            for found in of_student
            for arm in found.dropped
        }
        competes = {arm.name: arm.on if arm.control is not None else arm.name for arm in self.whole.study.compared}
        left_out = {
            cell: why[of]
            for cell in self.whole.cells
            if cell.trained and cell not in self._looked_at and (of := (cell.student, competes[cell.arm])) in why
        }
        return replace(self.whole.only(self.whole.cells.keys() - left_out.keys()), left_out=left_out)


def _rows(node: Node, store: Store) -> Rows:
    artifact = store.open(node.stage.name, node.key)
    assert artifact is not None, f"{node.run_name} was made just now"
    return artifact.rows()


def _whole(arms: set[Arm]) -> list[Arm]:
    """The arms that were measured on each training benchmark on which any was."""
    trained = {arm.train_benchmark for arm in arms}
    of_name: dict[str, set[str]] = defaultdict(set)
    for arm in arms:
        of_name[arm.arm].add(arm.train_benchmark)
    return sorted(arm for arm in arms if of_name[arm.arm] == trained)
