"""What a study is: its stages, from questions to report, before anything has run."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from data.benchmark import Benchmark
from data.errors import at
from flows.config.schema import Study
from flows.planning.arm_steps import ArmSteps, Selection, TrainedArm, prefix, questions_of
from tasks.answerable import answerable
from tasks.compare import compare
from tasks.comparison.approaches import Approaches
from tasks.comparison.cell import UNTRAINED, Arm, Cell
from tasks.comparison.records import Evaluated, MissingCell, Moved, Offered
from tasks.evaluate import evaluate
from tasks.generate import generate
from tasks.kinds import verifiers
from tasks.kinds.predictors import directions
from tasks.leak import leak
from tasks.models.model import Model
from tasks.pipeline.stage import Node
from tasks.report import report
from tasks.reporting.steps import Steps, TrainedOn

NOTHING: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Plan:
    """Every step of a study, inputs before what needs them."""

    study: Study
    checks: tuple[Node, ...] = ()
    """Checks that must pass before anything costly starts."""
    cells: dict[Cell, Node] = field(default_factory=dict)
    offered: dict[tuple[Arm, int], Offered[Node]] = field(default_factory=dict)
    """What each arm trains on, by arm and seed."""
    moved: list[Moved[Node]] = field(default_factory=list)
    """How far each training moved the student, where the study asks for it."""
    selections: list[Selection] = field(default_factory=list)
    left_out: Mapping[Cell, str] = field(default_factory=dict)
    """Cells of the study that are not to be made, and why: a pilot has dropped their arms."""
    pilot: Mapping[str, Any] = field(default_factory=dict)
    """What the report says of the pilot that left them out, as JSON-able data."""

    def only(self, cells: Collection[Cell]) -> "Plan":
        """The plan of these cells alone, of those that it has; each of its steps is the same one as in the whole."""
        kept = {cell: node for cell, node in self.cells.items() if cell in cells}
        arms = {(cell.of, cell.seed) for cell in kept}
        return replace(self, cells=kept, offered={of: one for of, one in self.offered.items() if of in arms})

    def within(self, whole: "Plan") -> "Plan":
        """What is left of a plan, without what that leaves out."""
        return replace(self.only(whole.cells), left_out=whole.left_out, pilot=whole.pilot)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All steps up to and including the report."""
        return ordered([*self.checks, *self.conclusion()])

    @property
    def adapter_ranks(self) -> dict[Model, int]:
        """The largest rank of each student's adapters."""
        ranks: dict[Model, int] = {}
        for node in self.nodes:
            if node.stage.name == "finetune":
                student, rank = node.values["student"], node.values["method"].rank
                ranks[student] = max(rank, ranks.get(student, 0))
        return ranks

    def conclusion(self, lost: Collection[str] = (), missing: Mapping[Cell, str] = NOTHING) -> tuple[Node, Node]:
        """The comparison and the report.

        Args:
            lost: recipes of steps that failed, which both do without.
            missing: why each cell that was planned could not be made.
        """
        cells = {cell: node for cell, node in self.cells.items() if node.recipe not in lost}
        compared = compare(
            cells=tuple(Evaluated(cell, node) for cell, node in cells.items()),
            offered=tuple(self._offered(lost)),
            missing=tuple(MissingCell(cell, why) for cell, why in {**self.left_out, **missing}.items()),
            contrasts=self.study.contrasts,
            judges={cell.eval_benchmark: node.values["verifier"] for cell, node in cells.items()},
            approaches=_approaches(self.study),
            reference=self.study.reference,
            directions=directions(),
            moved=tuple(one for one in self.moved if not {one.before.recipe, one.after.recipe} & set(lost)),
        ).named(self.study.name)
        made = ordered([*self.checks, *cells.values()])
        page = report(
            compared=compared,
            title=self.study.name,
            provenance=provenance(self),
            steps=self._steps(cells, made),
            declared={node.stage.name: node.stage.facts for node in made if node.stage.facts},
        ).named(self.study.name)
        return compared, page

    def _steps(self, cells: Mapping[Cell, Node], made: tuple[Node, ...]) -> Steps[Node]:
        """What the report tells of: of all that leads to these cells, what was chosen, trained and asked."""
        recipes = {node.recipe for node in made}
        chosen = {one.node.recipe: one.node for one in self.selections if one.node.recipe in recipes}
        answers = {cell: node.inputs["answers"] for cell, node in cells.items()}
        asked = {node.inputs["questions"].recipe: node.inputs["questions"] for node in answers.values()}
        trained: dict[tuple[Arm, int], TrainedOn[Node]] = {}
        for cell in cells:
            offered = self.offered.get((cell.of, cell.seed))
            if offered is not None and offered.choices is not None:
                trained[cell.of, cell.seed] = TrainedOn(
                    cell.of, cell.seed, answers[cell].inputs["adapter"], offered.choices, offered.pool
                )
        return Steps(made, tuple(chosen.values()), tuple(trained.values()), tuple(asked.values()))

    def _offered(self, lost: Collection[str]) -> Iterable[Offered[Node]]:
        """What the arms of the largest size train on, each once, without steps that failed."""
        largest = max(self.study.sizes, default=0)
        for of in {one.of: one for one in self.offered.values() if one.of.size == largest}.values():
            if of.verdicts.recipe in lost or of.perplexities.recipe in lost:
                continue
            choices, known = (None if one is None or one.recipe in lost else one for one in (of.choices, of.predictors))
            yield replace(of, choices=choices, predictors=known)


def expand(study: Study, lost: Collection[str] = (), short: Mapping[str, Collection[str]] = NOTHING) -> Plan:
    """Turn a study into its steps.

    Args:
        lost: recipes of steps that failed. Benchmarks whose questions and origins whose responses are among them are
            left out, with the arms that need them, and the others are checked for leaks, matched, trained and evaluated
            among themselves.
        short: origins that a selection had too few responses of, by the selection's recipe: it is made without them.

    Raises:
        InputError: a model or a file that the study names is not there or cannot be used; names the study file and the
            key.
    """
    with at(study.file):
        return _expanded(study, lost, short)


def _expanded(study: Study, lost: Collection[str], short: Mapping[str, Collection[str]]) -> Plan:
    training = {b.name: b for name in study.train for b in study.find(name)}
    evaluation = {b.name: b for name in study.evaluate for b in study.find(name)}
    ask = study.questions
    to_train = {name: questions_of(study, b, ask.train_split, ask.to_train(name)) for name, b in training.items()}
    to_evaluate = {
        name: questions_of(study, b, ask.evaluate_split, ask.to_evaluate(name)) for name, b in evaluation.items()
    }
    to_train = {name: node for name, node in to_train.items() if node.recipe not in lost}
    to_evaluate = {name: node for name, node in to_evaluate.items() if node.recipe not in lost}
    if not to_train or not to_evaluate:
        return Plan(study)
    leaks = leak(train=to_train, evaluation=to_evaluate).named(study.name)
    students = study.models
    with_room = {student: _with_room(study, student, evaluation, to_evaluate) for student in students}
    rooms = [node for nodes in with_room.values() for node in nodes.values()]
    plan = Plan(study, (*to_train.values(), *to_evaluate.values(), *rooms, leaks))
    for student in students:
        trained: list[TrainedArm] = []
        for name, asked in to_train.items():
            steps = ArmSteps(study, student, training[name], asked, to_evaluate, lost, short)
            trained += steps.trained()
            plan.selections.extend(steps.selections)
        plan.offered.update({(arm.of, arm.seed): arm.offered for arm in trained})
        plan.moved.extend(arm.moved for arm in trained if arm.moved is not None)
        for name in to_evaluate:
            plan.cells.update(_cells(study, student, evaluation[name], with_room[student][name], trained))
    return plan


def _approaches(study: Study) -> dict[str, Approaches]:
    """How responses can go about the questions of the study's benchmarks, of those that tell."""
    found = {b.name: b for name in (*study.train, *study.evaluate) for b in study.find(name)}
    return {name: Approaches(b.approach, b.approaches) for name, b in found.items() if b.approach is not None}


def _with_room(
    study: Study, student: Model, evaluation: Mapping[str, Benchmark], to_evaluate: Mapping[str, Node]
) -> dict[str, Node]:
    """The evaluation questions that a student has room to answer."""
    limits = (study.decoding.max_tokens, study.questions.too_long)
    return {
        name: answerable(asked, student, evaluation[name].prompt, *limits).named(
            f"{prefix(study, student)}{asked.label}", *asked.tags
        )
        for name, asked in to_evaluate.items()
    }


def _cells(
    study: Study, student: Model, benchmark: Benchmark, asked: Node, trained: Iterable[TrainedArm]
) -> dict[Cell, Node]:
    """The answers of a student to one evaluation benchmark: untrained, and after each arm."""
    name, decoding, judge = benchmark.name, study.decoding, verifiers.find(benchmark.verifier)
    seed = decoding.drawn_by(study.questions.seed)

    def cell(label: str, *tags: str, live: tuple[Node | None, Node | None] = (None, None)) -> Node:
        answers = generate(asked, student, benchmark.prompt, decoding, seed, *live)
        tags = (f"eval:{name}", *tags)
        return evaluate(answers.named(f"{label} on {name}", *tags), judge).named(f"{label} on {name}", *tags)

    untrained = Cell(student.title, "", UNTRAINED, UNTRAINED, "", 0, 0, name)
    cells = {untrained: cell(f"{prefix(study, student)}base", f"student:{student.title}")}
    for arm in trained:
        adapter = arm.live.adapter
        cells[Cell(*arm.of, arm.seed, name)] = cell(adapter.label, *adapter.tags, live=(adapter, arm.live.attested))
    return cells


def ordered(last: Iterable[Node]) -> tuple[Node, ...]:
    """The nodes and all they need, inputs first, each once."""
    seen: dict[str, Node] = {}
    stack: list[tuple[Node, bool]] = [(node, False) for node in reversed(list(last))]
    while stack:
        node, ready = stack.pop()
        if node.recipe in seen:
            continue
        if ready:
            seen[node.recipe] = node
        else:
            stack.append((node, True))
            stack.extend((needed, False) for needed in reversed(node.upstream) if needed.recipe not in seen)
    return tuple(seen.values())


def provenance(plan: Plan) -> dict[str, Any]:
    """How the study was made, as the report shows it."""
    study = plan.study
    return {
        "about": study.about,
        "notes": study.notes,
        "students": {model.name: model.content for model in study.models},
        "origins": {name: origin.model_dump(mode="json") for name, origin in study.origins.items()},
        **({"arms": {name: arm.model_dump(mode="json") for name, arm in study.arms.items()}} if study.arms else {}),
        **({"sizes": list(study.sizes)} if study.sizes else {}),
        **({"reference": study.reference} if study.reference else {}),
        "method": study.method.model_dump(mode="json"),
        "match": study.match.model_dump(mode="json"),
        "decoding": study.decoding.model_dump(mode="json"),
        "measures": study.measures.model_dump(mode="json"),
        **({"thinking": study.thinking} if study.thinking else {}),
        "questions": study.questions.model_dump(mode="json"),
        "seeds": list(study.seeds),
        **({"pilot": dict(plan.pilot)} if plan.pilot else {}),
    }
