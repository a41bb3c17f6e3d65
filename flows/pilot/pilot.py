"""Running a pilot: a look at the arms on each rung, and what is left of the study's plan after it.

Nothing is kept beside the store: which arms are dropped follows from the scores that are there, so that a pilot that
was interrupted comes to the same decisions again.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flows.config.schema import Study
from flows.execution.options import PilotOptions
from flows.execution.replanning import Replanning
from flows.execution.scheduler import Scheduler
from flows.pilot import told
from flows.pilot.price import CONCLUSION, spent
from flows.pilot.rungs import Rung, Rungs, competing
from flows.planning.plan import Plan
from tasks.comparison.arms import Arms
from tasks.comparison.bootstrap import Bootstrap
from tasks.comparison.cell import Arm, Cell
from tasks.comparison.elimination import Decision, decide
from tasks.comparison.items import answers, matrices
from tasks.comparison.peers import peers
from tasks.comparison.records import Evaluated
from tasks.comparison.scaling import in_domain
from tasks.comparison.statistics import Measured
from tasks.pipeline.artifact_keys import ArtifactKeys
from tasks.pipeline.stage import Node
from tasks.storage.rows import Rows

if TYPE_CHECKING:
    import numpy as np

Scores = Mapping[tuple[Arm, str], "np.ndarray"]
"""Scores of seeds × questions by arm and evaluation benchmark."""


@dataclass
class Pilot:
    """The pilot of one study.

    Args:
        whole: the plan of the study.
        asked: what it may cost and miss.
        say: is given a line about each decision.
    """

    whole: Plan
    rungs: Rungs
    asked: PilotOptions
    say: Callable[[str], None] = lambda line: None
    looks: dict[str, list[told.Look]] = field(default_factory=dict)
    """By student, what came of each look."""
    _cells: set[Cell] = field(default_factory=set)
    """All that were looked at."""
    _steps: dict[str, Node] = field(default_factory=dict)
    """All that the looks needed, by recipe."""

    def run(self, scheduler: Scheduler) -> Plan:
        """Look at the arms, and drop those that are unlikely to be best; returns what is left of the study's plan."""
        names = competing(self.whole.study)
        self.looks = {student: [] for student in dict.fromkeys(cell.student for cell in self.whole.cells)}
        left = {student: tuple(names) for student in self.looks}
        self.say(told.beginning(self.rungs, self.asked, len(names)))
        for number, rung in enumerate(self.rungs.each, start=1):
            several = {student: arms for student, arms in left.items() if len(arms) > 1}
            if not several or (scheduler.strict and scheduler.failed):
                break
            made = self._made(rung, {(student, arm) for student, arms in several.items() for arm in arms}, scheduler)
            for student in several:
                of_student = {cell: node for cell, node in made.items() if cell.student == student}
                scores = read(of_student, scheduler.runtime.keys)
                found = self._decision(rung, scores, number / len(self.rungs.each), self.looks[student])
                if found.chances:
                    left[student] = tuple(arm for arm in left[student] if arm not in found.dropped)
                    look = told.Look(rung.called, found, left[student], student if len(left) > 1 else "")
                    self.looks[student].append(look)
                    self.say(told.decision(look, self.rungs.full))
        return self._rest()

    def finished(self, plan: Plan, scheduler: Scheduler) -> Plan:
        """The same plan, with what the pilot came to and saved, for the report: after its steps were run."""
        steps = {node.recipe: node for node in plan.nodes} | self._steps
        made = [node for recipe, node in steps.items() if recipe in scheduler.done]
        took = spent(made, self.whole.nodes, scheduler.runtime.keys)
        looks = [look for of_student in self.looks.values() for look in of_student]
        return replace(plan, pilot=told.record(self.rungs, self.asked, looks, took, self._trained_all_the_same()))

    def _made(self, rung: Rung, arms: Collection[tuple[str, str]], scheduler: Scheduler) -> dict[Cell, Node]:
        """The cells of a rung for these arms (student, arm), without those that failed."""
        looking = Replanning(rung.plan.only(rung.cells(arms)), scheduler)
        looking.run()
        made = {cell: node for cell, node in looking.plan.cells.items() if node.recipe in scheduler.done}
        self._cells |= made.keys()
        self._steps |= {node.recipe: node for node in looking.plan.nodes if node.stage.name not in CONCLUSION}
        return made

    def _decision(self, rung: Rung, scores: Scores, part: float, before: list[told.Look]) -> Decision:
        """What a student's scores on a rung say; no arm has a chance where nothing was measured."""
        sample = Measured(scores, peers=peers(scores))
        arms = on_all_benchmarks({arm for arm, _ in scores})
        terms = {}
        if arms:
            of_rung = Arms(sample, Measured({}), arms, sorted({on for _, on in scores}))
            terms = {name: in_domain(of_rung, name, of_rung.trained) for name in of_rung.names}
        doublings = math.log2(self.rungs.full / rung.questions)
        risk = before[-1].decision.risk if before else 0.0
        protected = [self.whole.study.reference]
        return decide(Bootstrap(sample), terms, doublings, part, risk, self.asked.margin, protected)

    def _rest(self) -> Plan:
        """The study's plan without the cells of arms that were dropped, but for those that were looked at."""
        why = {
            (student, arm): told.reason(look, arm)
            for student, of_student in self.looks.items()
            for look in of_student
            for arm in look.decision.dropped
        }
        # A control goes with the arm that it repeats.
        goes_with = {arm.name: arm.name if arm.control is None else arm.on for arm in self.whole.study.compared}
        left_out = {
            cell: why[of]
            for cell in self.whole.cells
            if cell.trained and cell not in self._cells and (of := (cell.student, goes_with[cell.arm])) in why
        }
        return replace(self.whole.only(self.whole.cells.keys() - left_out.keys()), left_out=left_out)

    def _trained_all_the_same(self) -> dict[str, list[str]]:
        """By arm that was dropped, the arms left that start from it or train on what it writes."""
        study = self.whole.study
        found: dict[str, list[str]] = {}
        for of_student in self.looks.values():
            dropped = {arm for look in of_student for arm in look.decision.dropped}
            for arm in competing(study):
                for other in sorted(needs(study, arm) & dropped) if arm not in dropped else ():
                    found.setdefault(other, [])
                    found[other] += [arm] if arm not in found[other] else []
        return found


def needs(study: Study, name: str) -> set[str]:
    """The arms that have to be trained before an arm can be: those that it goes on from, or whose words it learns."""
    arm = next(arm for arm in study.compared if arm.name == name)
    first, origins = {arm.after} - {""}, [arm.on]
    for origin in origins:
        first |= set(study.origins[origin].arms_needed)
        origins += [other for other in study.origins[origin].origins_needed if other not in origins]
    return first.union(*(needs(study, other) for other in first))


def read(cells: Mapping[Cell, Node], keys: ArtifactKeys) -> Scores:
    """The scores of cells that were made."""
    found: list[Evaluated[Rows]] = []
    for cell, node in cells.items():
        artifact = keys.open(node)
        if artifact is not None:
            found.append(Evaluated(cell, artifact.rows()))
    return matrices(answers(found)) if found else {}


def on_all_benchmarks(arms: Collection[Arm]) -> list[Arm]:
    """The arms that were measured on each training benchmark on which any was."""
    trained: dict[str, set[str]] = defaultdict(set)
    for arm in arms:
        trained[arm.arm].add(arm.train_benchmark)
    every = {arm.train_benchmark for arm in arms}
    return sorted(arm for arm in arms if trained[arm.arm] == every)
