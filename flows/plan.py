"""What a study is: its stages, from questions to report, before anything has run."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from flows.schema import Study
from tasks import verifiers
from tasks.attest import attest
from tasks.cell import Cell
from tasks.compare import compare
from tasks.evaluate import evaluate
from tasks.finetune import finetune
from tasks.leak import leak
from tasks.model import Model, resolve
from tasks.origins import Context
from tasks.questions import questions
from tasks.report import report
from tasks.score import score
from tasks.select import select
from tasks.stage import Node
from tasks.store import Store
from tasks.verify import verify


@dataclass(frozen=True)
class Plan:
    """Every step of a study, inputs before what needs them."""

    study: Study
    student: Model
    gates: tuple[Node, ...]
    """Checks that must pass before anything costly starts."""
    cells: Mapping[Cell, Node]
    scored: Mapping[str, Node]
    """Verified and scored responses, by "<training benchmark> <origin>"."""
    chosen: Mapping[str, Node]
    """Responses the arms train on, by training benchmark."""

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
        samples = node.values["sampling"].n if "sampling" in node.values else 1
        return samples * Plan.units(node.upstream[0])

    def conclusion(self, lost: Collection[str] = ()) -> tuple[Node, Node]:
        """The comparison and the report, without the steps whose keys are `lost`; their cells are listed as missing."""
        cells = {cell: node for cell, node in self.cells.items() if node.key not in lost}
        compared = compare(
            cells=tuple(cells.values()),
            names=tuple(cells),
            scored={name: node for name, node in self.scored.items() if node.key not in lost},
            chosen={name: node for name, node in self.chosen.items() if node.key not in lost},
            missing=tuple(cell for cell in self.cells if cell not in cells),
        ).named(self.study.name)
        page = report(
            compared=compared,
            title=self.study.name,
            provenance=provenance(self),
            made=ordered([*self.gates, *cells.values()]),
        ).named(self.study.name)
        return compared, page


def expand(study: Study) -> Plan:
    """Turn a study into its steps."""
    student = resolve(study.student)
    ask = study.questions
    training = {b.name: b for name in study.train for b in study.find(name)}
    evaluation = {b.name: b for name in study.evaluate for b in study.find(name)}
    to_train = {
        name: questions(b.only(ask.train_split), ask.train_split, ask.train, ask.seed).named(
            f"{name} {ask.train_split}", f"benchmark:{name}"
        )
        for name, b in training.items()
    }
    to_evaluate = {
        name: questions(b.only(ask.evaluate_split), ask.evaluate_split, ask.evaluate, ask.seed).named(
            f"{name} {ask.evaluate_split}", f"benchmark:{name}"
        )
        for name, b in evaluation.items()
    }
    gate = leak(train=to_train, evaluation=to_evaluate).named(study.name)

    scored: dict[str, Node] = {}
    chosen: dict[str, Node] = {}
    arms: list[tuple[str, str, int, Node, Node]] = []
    for name, benchmark in training.items():
        by_origin: dict[str, Node] = {}
        for origin_name, origin in study.origins.items():
            label = f"{origin_name}/{name}"
            tags = [f"origin:{origin_name}", f"benchmark:{name}", f"student:{student.name}"]
            context = Context(origin_name, name, student, benchmark.prompt, ask.seed, study.roots)
            responses = origin.responses(to_train[name], context).named(label, *tags)
            judged = verify(responses, verifiers.find(benchmark.verifier)).named(label, *tags)
            by_origin[origin_name] = score(judged, student, benchmark.prompt).named(label, *tags)
            scored[f"{name} {origin_name}"] = by_origin[origin_name]
        chosen[name] = select(by_origin, study.match, ask.keep, ask.seed).named(name, f"benchmark:{name}")
        for origin_name in study.origins:
            for seed in study.seeds:
                label = f"{origin_name}/{name} seed {seed}"
                tags = [f"origin:{origin_name}", f"benchmark:{name}", f"student:{student.name}", f"seed:{seed}"]
                adapter = finetune(chosen[name], origin_name, student, benchmark.prompt, study.method, seed).named(
                    label, *tags
                )
                arms.append((name, origin_name, seed, adapter, attest(adapter, student).named(label, *tags)))

    cells: dict[Cell, Node] = {}
    for name, benchmark in evaluation.items():
        judge = verifiers.find(benchmark.verifier)

        def answers(
            adapter: Node | None,
            attested: Node | None,
            asked: Node = to_evaluate[name],
            prompt: str = benchmark.prompt,
            judge: Any = judge,
        ) -> Node:
            return evaluate(asked, student, adapter, attested, prompt, judge, study.decoding, ask.seed)

        cells[Cell(student.name, "", "base", "", 0, name)] = answers(None, None).named(
            f"base on {name}", f"eval:{name}", f"student:{student.name}"
        )
        for trained, origin_name, seed, adapter, attested in arms:
            cell = Cell(student.name, trained, origin_name, study.method.kind, seed, name)
            cells[cell] = answers(adapter, attested).named(
                f"{origin_name}/{trained} seed {seed} on {name}", f"eval:{name}", *adapter.tags
            )
    return Plan(study, student, (*to_train.values(), *to_evaluate.values(), gate), cells, scored, chosen)


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
        "student": {"name": plan.student.name, "content": plan.student.content},
        "origins": {name: origin.model_dump(mode="json") for name, origin in study.origins.items()},
        "method": study.method.model_dump(mode="json"),
        "match": study.match.model_dump(mode="json"),
        "decoding": study.decoding.model_dump(mode="json"),
        "questions": study.questions.model_dump(mode="json"),
        "seeds": list(study.seeds),
    }


@dataclass(frozen=True)
class Forecast:
    """One step of a plan as the store stands: there already, or why not."""

    node: Node
    hit: bool
    why: str = ""


@dataclass
class Forecasts:
    """A plan held against a store."""

    each: list[Forecast] = field(default_factory=list)

    def __iter__(self) -> Iterator[Forecast]:
        return iter(self.each)

    @property
    def misses(self) -> list[Forecast]:
        return [forecast for forecast in self.each if not forecast.hit]


def forecast(plan: Plan, store: Store) -> Forecasts:
    """Hit or miss for every step, and for a miss what has changed since an artifact of that name was made."""
    present = {stage.name for stage in store.root.iterdir()} if store.root.is_dir() else set()
    keys = {stage: store.keys(stage) for stage in present & {node.stage.name for node in plan.nodes}}
    missed: dict[str, Node] = {}
    forecasts = Forecasts()
    for node in plan.nodes:
        hit = node.key in keys.get(node.stage.name, frozenset())
        why = "" if hit else _why(node, missed, store)
        if not hit:
            missed[node.key] = node
        forecasts.each.append(Forecast(node, hit, why))
    return forecasts


def _why(node: Node, missed: Mapping[str, Node], store: Store) -> str:
    before = store.latest_ingredients(node.stage.name, node.label)
    if before is None:
        started = (store.folder(node.stage.name, node.key) / "parts").is_dir()
        return "begun, not finished" if started else "not made yet"
    changes = list(_changes(before, node.ingredients))
    if changes:
        return "; ".join(changes[:3]) + (f"; and {len(changes) - 3} more" if len(changes) > 3 else "")
    waiting = [needed.run_name for needed in node.upstream if needed.key in missed]
    if waiting:
        return f"input changed: {waiting[0]}" + (f" and {len(waiting) - 1} more" if len(waiting) > 1 else "")
    return "an input changed" if before != node.ingredients else "its artifact is gone"


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for file in sorted({*before["code"], *now["code"]}):
        if before["code"].get(file) != now["code"].get(file):
            yield f"code of {file}"
    yield from _differences(before["values"], now["values"], "")


def _differences(before: Any, now: Any, where: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            yield from _differences(before.get(name), now.get(name), f"{where}.{name}".lstrip("."))
    elif before != now:
        yield f"{where} {_short(before)} -> {_short(now)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
