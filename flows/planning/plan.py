"""What a study is: its stages, from questions to report, before anything has run."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from data.benchmark import Benchmark
from data.errors import at
from flows.config.schema import Study
from tasks.answerable import answerable
from tasks.attest import attest
from tasks.compare import compare
from tasks.comparison.cell import UNTRAINED, Cell
from tasks.evaluate import evaluate
from tasks.finetune import finetune
from tasks.kinds import verifiers
from tasks.kinds.origins import Context
from tasks.leak import leak
from tasks.models.model import Model
from tasks.pipeline.stage import Node
from tasks.questions import questions
from tasks.report import report
from tasks.score import score
from tasks.select import select
from tasks.verify import verify

Benchmarks = Mapping[str, Benchmark]
Nodes = dict[str, Node]
ONE_A_QUESTION = frozenset(["drafts", "most_familiar"])
"""Stages that make one row of however many samples a question has."""
NOTHING: Mapping[Any, Any] = MappingProxyType({})
EVERY = "*"
"""In the names of chosen responses: matched as the study says for all its origins, not by a control."""


@dataclass(frozen=True)
class Plan:
    """Every step of a study, inputs before what needs them."""

    study: Study
    gates: tuple[Node, ...]
    """Checks that must pass before anything costly starts."""
    cells: dict[Cell, Node]
    scored: Nodes
    """Verified and scored responses, by "<student> <training benchmark> <origin>"."""
    chosen: Nodes
    """Responses the arms train on, by "<student> <training benchmark> <control>", `*` for the study's own matching."""

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All steps up to and including the report."""
        return ordered([*self.gates, *self.conclusion()])

    @staticmethod
    def units(node: Node) -> int:
        """Rows a step makes, as far as the study file tells; 0 where it takes whatever there is."""
        if "count" in node.values and not node.upstream:
            return node.values["count"] or 0
        if not node.upstream:
            return 0
        if node.stage.name in ONE_A_QUESTION:
            return Plan.units(Plan.asked(node))
        samples = node.values["sampling"].n if "sampling" in node.values else 1
        return samples * Plan.units(node.upstream[0])

    @staticmethod
    def asked(node: Node) -> Node:
        """The questions that a step's rows are about."""
        return Plan.asked(node.upstream[0]) if node.upstream else node

    def conclusion(self, lost: Collection[str] = (), missing: Mapping[Cell, str] = NOTHING) -> tuple[Node, Node]:
        """The comparison and the report.

        Args:
            lost: keys of steps that failed, which both do without.
            missing: why each cell that was planned could not be made.
        """
        cells = {cell: node for cell, node in self.cells.items() if node.key not in lost}
        compared = compare(
            cells=tuple(cells.values()),
            names=tuple(cells),
            scored={name: node for name, node in self.scored.items() if node.key not in lost},
            chosen={name: node for name, node in self.chosen.items() if node.key not in lost},
            missing=tuple(missing),
            contrasts=self.study.contrasts,
            judges={cell.eval_benchmark: node.values["verifier"] for cell, node in cells.items()},
            reasons=tuple(missing.values()),
        ).named(self.study.name)
        page = report(
            compared=compared,
            title=self.study.name,
            provenance=provenance(self),
            made=ordered([*self.gates, *cells.values()]),
        ).named(self.study.name)
        return compared, page


def expand(study: Study, lost: Collection[str] = (), short: Mapping[str, Collection[str]] = NOTHING) -> Plan:
    """Turn a study into its steps.

    Args:
        lost: keys of steps that failed. Benchmarks whose questions and origins whose responses are among them are left
            out, and the others are checked for leaks, matched, trained and evaluated among themselves.
        short: origins that a selection had too few responses of, by the selection's key: it is made without them.

    Raises:
        InputError: a model or a file that the study names is not there or cannot be used; names the study file and the
            key.
    """
    with at(study.file):
        return _expanded(study, lost, short)


def _expanded(study: Study, lost: Collection[str], short: Mapping[str, Collection[str]]) -> Plan:
    ask = study.questions
    training = {b.name: b for name in study.train for b in study.find(name)}
    evaluation = {b.name: b for name in study.evaluate for b in study.find(name)}
    to_train = {
        name: questions(b.only(ask.train_split), ask.train_split, ask.to_train(name), ask.seed).named(
            f"{name} {ask.train_split}", f"benchmark:{name}"
        )
        for name, b in training.items()
    }
    to_evaluate = {
        name: questions(b.only(ask.evaluate_split), ask.evaluate_split, ask.to_evaluate(name), ask.seed).named(
            f"{name} {ask.evaluate_split}", f"benchmark:{name}"
        )
        for name, b in evaluation.items()
    }
    to_train = {name: node for name, node in to_train.items() if node.key not in lost}
    to_evaluate = {name: node for name, node in to_evaluate.items() if node.key not in lost}
    if not to_train or not to_evaluate:
        return Plan(study, (), {}, {}, {})
    gate = leak(train=to_train, evaluation=to_evaluate).named(study.name)
    students = study.models
    with_room = {
        student: {
            name: answerable(asked, student, evaluation[name].prompt, study.decoding.max_tokens, ask.too_long).named(
                f"{student.title}/{asked.label}" if len(students) > 1 else asked.label, *asked.tags
            )
            for name, asked in to_evaluate.items()
        }
        for student in students
    }
    rooms = [node for nodes in with_room.values() for node in nodes.values()]
    plan = Plan(study, (*to_train.values(), *to_evaluate.values(), *rooms, gate), {}, {}, {})
    training = {name: training[name] for name in to_train}
    evaluation = {name: evaluation[name] for name in to_evaluate}
    for student in students:
        _add(plan, student, training, evaluation, to_train, with_room[student], lost, short)
    return plan


def _add(
    plan: Plan,
    student: Model,
    training: Benchmarks,
    evaluation: Benchmarks,
    to_train: Nodes,
    to_evaluate: Nodes,
    lost: Collection[str],
    short: Mapping[str, Collection[str]],
) -> None:
    """Put one student's cells, scored responses and chosen responses into the plan."""
    study = plan.study
    arms: list[tuple[str, str, int, Node, Node]] = []
    of = f"{student.title}/" if len(study.students) > 1 else ""
    for name, benchmark in training.items():
        tags = [f"benchmark:{name}", f"student:{student.title}"]
        made = _scored(study, student, benchmark, to_train[name], of)
        by_origin = {origin: node for origin, node in made.items() if node.key not in lost}
        matched = {EVERY: (by_origin, study.match)}
        for control_name, control in study.controls.items():
            if control.train is not None and name not in study.names(control.train):
                continue
            again = {f"{origin}@{control_name}": by_origin[origin] for origin in control.origins if origin in by_origin}
            matched[control_name] = (again, control.match)
        for control_name, (pool, match) in matched.items():
            plan.scored.update({f"{student.title} {name} {origin}": node for origin, node in pool.items()})
            label = f"{of}{name}" + (f" {control_name}" if control_name != EVERY else "")
            same = control_name != EVERY and study.controls[control_name].same_questions
            within = plan.chosen.get(f"{student.title} {name} {EVERY}") if same else None
            if not pool or (same and within is None):
                continue
            how = (match, study.questions.keep, study.questions.seed, within, study.method.longest, to_train[name])
            taken = select(pool, *how).named(label, *tags)
            while gone := short.get(taken.key):
                pool = {origin: node for origin, node in pool.items() if origin not in gone}
                taken = select(pool, *how).named(label, *tags)
            plan.chosen[f"{student.title} {name} {control_name}"] = taken
            for origin in pool:
                for seed in study.seeds:
                    label = f"{of}{origin}/{name} seed {seed}"
                    of_arm = [f"origin:{origin}", *tags, f"seed:{seed}"]
                    adapter = finetune(taken, origin, student, benchmark.prompt, study.method, seed)
                    adapter = adapter.named(label, *of_arm)
                    arms.append((name, origin, seed, adapter, attest(adapter, student).named(label, *of_arm)))
    for name, benchmark in evaluation.items():
        common = (benchmark.prompt, verifiers.find(benchmark.verifier), study.decoding, study.questions.seed)
        base = evaluate(to_evaluate[name], student, None, None, *common)
        plan.cells[Cell(student.title, "", UNTRAINED, "", 0, name)] = base.named(
            f"{of}base on {name}", f"eval:{name}", f"student:{student.title}"
        )
        for trained, origin, seed, adapter, attested in arms:
            cell = Cell(student.title, trained, origin, study.method.kind, seed, name)
            answered = evaluate(to_evaluate[name], student, adapter, attested, *common)
            plan.cells[cell] = answered.named(f"{adapter.label} on {name}", f"eval:{name}", *adapter.tags)


def _scored(study: Study, student: Model, benchmark: Benchmark, asked: Node, of: str) -> Nodes:
    """Verified and scored responses to one benchmark's training questions, by origin."""
    found: Nodes = {}
    judge = verifiers.find(benchmark.verifier)
    for name, origin in study.origins.items():
        label = f"{of}{name}/{benchmark.name}"
        tags = [f"origin:{name}", f"benchmark:{benchmark.name}", f"student:{student.title}"]
        context = Context(
            *(name, benchmark.name, student, benchmark.prompt, study.questions.seed, study.roots),
            of=of,
            verifier=judge,
            origins=study.origins,
            remote_code=frozenset(study.trust_remote_code),
            thinking=study.thinking,
        )
        responses = origin.responses(asked, context).named(label, *tags)
        judged = verify(responses, judge).named(label, *tags)
        found[name] = score(judged, student, benchmark.prompt).named(label, *tags)
    return found


def ordered(last: Iterable[Node]) -> tuple[Node, ...]:
    """The nodes and all they need, inputs first, each once."""
    seen: dict[str, Node] = {}
    stack: list[tuple[Node, bool]] = [(node, False) for node in reversed(list(last))]
    while stack:
        node, ready = stack.pop()
        if node.key in seen:
            continue
        if ready:
            seen[node.key] = node
        else:
            stack.append((node, True))
            stack.extend((needed, False) for needed in reversed(node.upstream) if needed.key not in seen)
    return tuple(seen.values())


def provenance(plan: Plan) -> dict[str, Any]:
    """How the study was made, as the report shows it."""
    study = plan.study
    return {
        "about": study.about,
        "notes": study.notes,
        "students": {model.name: model.content for model in study.models},
        "origins": {name: origin.model_dump(mode="json") for name, origin in study.origins.items()},
        "method": study.method.model_dump(mode="json"),
        "match": study.match.model_dump(mode="json"),
        "decoding": study.decoding.model_dump(mode="json"),
        **({"thinking": study.thinking} if study.thinking else {}),
        "questions": study.questions.model_dump(mode="json"),
        "seeds": list(study.seeds),
    }
