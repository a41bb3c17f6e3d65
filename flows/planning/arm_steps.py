"""The steps of a study's arms on one training benchmark: each arm's rows, what it trains on, and its adapters."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from data.benchmark import Benchmark
from data.prompt import prompt
from flows.config.arms import STUDY, ArmPlan, depth, posed_by, written_by_arms
from flows.config.schema import Study
from tasks.attest import attest
from tasks.comparison.cell import Arm, ResponsesOf
from tasks.comparison.records import Moved, Offered
from tasks.finetune import finetune
from tasks.first_questions import first_questions
from tasks.generate import generate
from tasks.kinds import predictors, stages, verifiers
from tasks.kinds.origins import Context, LiveAdapter, OriginRows
from tasks.leak_free import leak_free
from tasks.models.endpoint import StudyEndpoints
from tasks.models.model import Model
from tasks.models.sampling import Sampling, seed_of
from tasks.pipeline.stage import Node
from tasks.predict import predict
from tasks.questions import questions
from tasks.read_again import read_again
from tasks.score import score
from tasks.select import select
from tasks.training_rows import training_rows


class Draw(NamedTuple):
    """For which size and seed something is made; None where it is the same for all of them."""

    size: int | None = None
    seed: int | None = None

    @property
    def label(self) -> str:
        """What a step's name ends in."""
        size = "" if self.size is None else f" size {self.size}"
        return size + ("" if self.seed is None else f" seed {self.seed}")


@dataclass(frozen=True)
class Selection:
    """One choice of training rows, for arms that are matched with each other."""

    node: Node
    rows: Mapping[str, OriginRows]
    """What it chooses from, by pool."""
    draw: Draw
    """For which size and seed it is made."""
    arms: Mapping[str, tuple[tuple[Arm, int], ...]]
    """For which arms and seeds, by pool."""


@dataclass(frozen=True)
class TrainedArm:
    """One arm's adapter of one size and seed."""

    of: Arm
    seed: int
    offered: Offered[Node]
    live: LiveAdapter
    moved: Moved[Node] | None = None
    """How far the training moved the student, where the study asks for it."""


class _Lost(Exception):
    """A step that failed stands before what is asked for."""


class ArmSteps:
    """The steps of one student on one training benchmark; each is described once.

    Args:
        asked: all training questions.
        to_evaluate: the evaluation questions, which no posed question may give away.
        lost: recipes of steps that failed; what needs them is left out.
        short: see `expand`.
    """

    def __init__(
        self,
        study: Study,
        student: Model,
        benchmark: Benchmark,
        asked: Node,
        to_evaluate: Mapping[str, Node],
        lost: Collection[str],
        short: Mapping[str, Collection[str]],
    ) -> None:
        self.selections: list[Selection] = []
        self._study = study
        self._student = student
        self._benchmark = benchmark
        self._asked = asked
        self._to_evaluate = to_evaluate
        self._lost = lost
        self._short = short
        self._sizes: list[int] | list[None] = study.sizes or [None]
        self._judge = verifiers.find(benchmark.verifier)
        self._tags = [f"benchmark:{benchmark.name}", f"student:{student.title}"]
        self._arms = {arm.name: arm for arm in study.compared if self._is_here(arm)}
        self._depths = {name: depth(arm, self._arms, study.origins) for name, arm in self._arms.items()}
        self._drawn: dict[str, bool] = {}
        self._rows: dict[tuple[str, Draw], OriginRows | None] = {}
        self._selected: dict[tuple[str, int, Draw], Selection | None] = {}
        self._trained: dict[tuple[str, Draw], TrainedArm | None] = {}

    def trained(self) -> Iterator[TrainedArm]:
        """The adapters that can be had, by arm, size and seed."""
        for name in self._arms:
            for size in self._sizes:
                for seed in self._study.seeds:
                    if (arm := self._arm(name, Draw(size, seed))) is not None:
                        yield arm

    def _is_here(self, arm: ArmPlan) -> bool:
        """Whether an arm is trained on this benchmark; a control may be of some only."""
        train = None if arm.control is None else arm.control.train
        return train is None or self._benchmark.name in self._study.names(train)

    def _arm(self, name: str, draw: Draw) -> TrainedArm | None:
        key = (name, draw)
        if key not in self._trained:
            try:
                self._trained[key] = self._train(self._arms[name], draw)
            except _Lost:
                self._trained[key] = None
        return self._trained[key]

    def _train(self, arm: ArmPlan, draw: Draw) -> TrainedArm:
        assert draw.seed is not None
        start = self._after(arm.after, draw).adapter if arm.after else None
        chosen = self._selection(arm.group, self._depths[arm.name], draw)
        if chosen is None or arm.pool not in chosen.rows:
            raise _Lost
        rows = chosen.rows[arm.pool]
        tags = [f"origin:{arm.origin}", *([f"arm:{arm.name}"] if self._study.arms else []), *self._tags]
        taken = training_rows(chosen.node, rows.perplexities, arm.pool)
        taken = taken.named(f"{self._label(arm.name)}{chosen.draw.label}", *tags)
        adapter = finetune(taken, self._student, self._prompt(arm.on, draw), arm.method, draw.seed, start)
        named = (f"{self._label(arm.name)}{draw.label}", *tags, f"seed:{draw.seed}")
        adapter = adapter.named(*named)
        of = self._of(arm, draw)
        responses = ResponsesOf(of.student, of.train_benchmark, of.arm, of.size, chosen.draw.seed)
        predicted = self._predicted(arm, draw, rows, chosen, taken)
        training = json.dumps({**arm.method.model_dump(mode="json"), "after": arm.after}, sort_keys=True)
        offered = Offered(responses, arm.pool, rows.verdicts, rows.perplexities, chosen.node, predicted, training)
        live = LiveAdapter(adapter, attest(adapter, self._student).named(*named))
        return TrainedArm(of, draw.seed, offered, live, self._moved(of, draw.seed, live))

    def _predicted(self, arm: ArmPlan, draw: Draw, rows: OriginRows, chosen: Selection, taken: Node) -> Node:
        """What is known of an arm's training rows before any training."""
        own, further = self._own_words(draw), None
        if count := self._study.measures.further_passes:
            own = own or self._said(count)
            template = self._prompt(arm.on, draw)
            further = read_again(taken, own, self._student, template, prompt("in_context"), count)
            further = further.named(taken.label, *taken.tags)
        kinds = dict(predictors.kinds_by_name())
        found = predict(chosen.node, rows.verdicts, rows.perplexities, arm.pool, self._student, kinds, own, further)
        return found.named(taken.label, *taken.tags)

    def _own_words(self, draw: Draw) -> Node | None:
        """The student's own responses, where the study has an arm on them."""
        for name in dict.fromkeys(arm.on for arm in self._arms.values()):
            if self._study.origins[name].own_words and (rows := self._rows_of(name, draw)) is not None:
                return rows.verdicts
        return None

    def _said(self, count: int) -> Node:
        """One response of the untrained student to each of the first training questions, as it is likely to respond."""
        study = self._study
        count = min(count, study.questions.to_train(self._benchmark.name) or count)
        asked = self._questions(count, f" first {count}")
        sampling = Sampling(temperature=1.0, max_tokens=study.decoding.max_tokens)
        said = generate(asked, self._student, self._benchmark.prompt, sampling, study.questions.seed)
        return said.named(f"{self._label('')} base {count}", *self._tags)

    def _moved(self, of: Arm, seed: int, live: LiveAdapter) -> Moved[Node] | None:
        """The untrained student's responses, before and after an arm's training."""
        if not (count := self._study.measures.kl_to_base):
            return None
        template, said = self._benchmark.prompt, self._said(count)
        before = score(said, self._student, template).named(said.label, *self._tags)
        after = score(said, self._student, template, live.adapter, live.attested)
        return Moved(of, seed, before, after.named(f"{live.adapter.label} on base", *live.adapter.tags))

    def _of(self, arm: ArmPlan, draw: Draw) -> Arm:
        names = (self._student.title, self._benchmark.name, arm.name, arm.origin, arm.method.kind)
        return Arm(*names, size=draw.size or 0)

    def _after(self, name: str, draw: Draw) -> LiveAdapter:
        arm = self._arm(name, draw) if name in self._arms else None
        if arm is None:
            raise _Lost
        return arm.live

    def _selection(self, group: str, level: int, draw: Draw) -> Selection | None:
        """The choices for the arms of a group, of which none needs another: made once for all seeds where they can."""
        arms = [arm for name, arm in self._arms.items() if arm.group == group and self._depths[name] == level]
        per_seed = any(self._draw(arm.on, draw).seed is not None for arm in arms)
        if (own := self._study_selection(arms, level, draw)) is not None:
            per_seed |= own.draw.seed is not None
        made_for = Draw(draw.size, draw.seed if per_seed else None)
        key = (group, level, made_for)
        if key not in self._selected:
            self._selected[key] = self._select(group, arms, draw, made_for)
        return self._selected[key]

    def _study_selection(self, arms: list[ArmPlan], level: int, draw: Draw) -> Selection | None:
        """The study's own choices, where the arms of a control are to have the same questions."""
        control = arms[0].control
        return self._selection(STUDY, level, draw) if control is not None and control.same_questions else None

    def _select(self, group: str, arms: list[ArmPlan], draw: Draw, made_for: Draw) -> Selection | None:
        study = self._study
        pool = {arm.pool: rows for arm in arms if (rows := self._rows_of(arm.on, draw)) is not None}
        asked = {arm.pool: self._answered(arm.on, draw) for arm in arms if arm.pool in pool}
        pool = {name: rows for name, rows in pool.items() if asked[name].recipe not in self._lost}
        control = arms[0].control
        within = None if draw.size is None else asked
        if control is not None and control.same_questions:
            own = self._study_selection(arms, self._depths[arms[0].name], draw)
            if own is None:
                return None
            within = dict.fromkeys(asked, own.node)
        lengths = [arm.method.longest for arm in arms if arm.method.longest is not None]
        keep = {arm.pool: study.origins[arm.on].kept for arm in arms if study.origins[arm.on].kept > 1}
        later = self._depths[arms[0].name] > 0
        label = self._label("+".join(arm.name for arm in arms) if later else "")
        label += f" {group}" if group != STUDY and not later else ""
        while pool:
            chosen = select(
                verdicts={name: rows.verdicts for name, rows in pool.items()},
                perplexities={name: rows.perplexities for name, rows in pool.items()},
                match=arms[0].match,
                count=study.questions.keep,
                seed=study.questions.seed,
                within=within and {name: within[name] for name in pool},
                longest=min(lengths, default=None),
                asked={name: asked[name] for name in pool},
                keep={name: count for name, count in keep.items() if name in pool} or None,
            ).named(label + made_for.label, *self._tags)
            if not (gone := self._short.get(chosen.recipe)):
                selection = Selection(chosen, pool, made_for, self._users(arms, made_for))
                self.selections.append(selection)
                return selection
            pool = {name: rows for name, rows in pool.items() if name not in gone}
        return None

    def _users(self, arms: list[ArmPlan], made_for: Draw) -> dict[str, tuple[tuple[Arm, int], ...]]:
        seeds = self._study.seeds if made_for.seed is None else [made_for.seed]
        users: dict[str, tuple[tuple[Arm, int], ...]] = {}
        for arm in arms:
            of = self._of(arm, made_for)
            users[arm.pool] = (*users.get(arm.pool, ()), *((of, seed) for seed in seeds))
        return users

    def _rows_of(self, name: str, draw: Draw) -> OriginRows | None:
        """An origin's rows; None where a step failed that they need."""
        key = (name, self._draw(name, draw))
        if key not in self._rows:
            try:
                context = self._context(name, draw, self._draw(name, draw))
                origin = self._study.origins[name]
                rows = origin.rows(self._answered(name, self._draw(name, draw)), context)
                gone = rows.verdicts.recipe in self._lost or rows.perplexities.recipe in self._lost
                self._rows[key] = None if gone else rows
            except _Lost:
                self._rows[key] = None
        return self._rows[key]

    def _answered(self, name: str, draw: Draw) -> Node:
        """The questions of a size that an origin's rows answer: the benchmark's, or the first of those that are posed.

        What is posed gives no evaluation question away.
        """
        poser = posed_by(name, self._study.origins)
        if not poser:
            return self._asked if draw.size is None else self._questions(draw.size)
        drawn = self._draw(poser, draw)
        context = self._context(poser, draw, drawn)
        asked = self._asked if drawn.size is None else self._questions(drawn.size)
        posed = self._study.origins[poser].questions(asked, context)
        kept = leak_free(posed, dict(self._to_evaluate)).named(context.label, *posed.tags)
        if draw.size is None:
            return kept
        return first_questions(kept, draw.size).named(f"{context.label}{Draw(draw.size).label}", *posed.tags)

    def _draw(self, name: str, draw: Draw) -> Draw:
        """For which size and seed an origin's rows are drawn."""
        if written_by_arms(name, self._study.origins):
            return draw
        return Draw(None, draw.seed if self._is_drawn(name) else None)

    def _is_drawn(self, name: str) -> bool:
        """Whether each seed has responses of its own: not of people, nor of a file, which are what they are."""
        if self._study.questions.sampling != "per_seed":
            return False
        if name not in self._drawn:
            origin, recipes = self._study.origins[name], set()
            poser = posed_by(name, self._study.origins)
            for drawn in (Draw(seed=0), Draw(seed=1)):
                context = self._context(name, drawn, drawn)
                rows = origin.rows(origin.questions(self._asked, context), context)
                recipes.add((rows.verdicts.recipe, rows.perplexities.recipe))
            self._drawn[name] = len(recipes) > 1 or (poser not in ("", name) and self._is_drawn(poser))
        return self._drawn[name]

    def _context(self, name: str, draw: Draw, drawn: Draw) -> Context:
        """What an origin is told of the study, for rows that are drawn for `drawn` and an arm's adapters of `draw`."""
        study = self._study

        def draw_of(other: str) -> tuple[int, str]:
            its = Draw(drawn.size, self._draw(other, draw).seed)
            return self._seed(its), its.label

        return Context(
            *(name, self._benchmark.name, self._student, self._benchmark.prompt),
            self._seed(drawn),
            study.roots,
            of=prefix(study, self._student),
            verifier=self._judge,
            feedback=self._benchmark.feedback,
            to_evaluate=self._to_evaluate,
            origins=study.origins,
            remote_code=frozenset(study.trust_remote_code),
            thinking=study.thinking,
            endpoints=StudyEndpoints(study.name, study.endpoints),
            after=lambda arm: self._after(arm, draw),
            drawn=drawn.label,
            draw_of=draw_of,
        )

    def _seed(self, drawn: Draw) -> int:
        """The seed of responses that are drawn for all seeds of an arm, or for one."""
        seed = self._study.questions.seed
        return seed if drawn.seed is None else seed_of(seed, "draw", drawn.seed) % 2**31

    def _prompt(self, origin: str, draw: Draw) -> str:
        return self._study.origins[origin].prompt_template(self._context(origin, draw, self._draw(origin, draw)))

    def _questions(self, size: int, label: str = "") -> Node:
        """The first `size` training questions, as the seed has them: a part of those of each larger size."""
        split = self._study.questions.train_split
        return questions_of(self._study, self._benchmark, split, size, label or Draw(size).label)

    def _label(self, arm: str) -> str:
        return f"{prefix(self._study, self._student)}{arm}{'/' if arm else ''}{self._benchmark.name}"


def questions_of(study: Study, benchmark: Benchmark, split: str, count: int | None, suffix: str = "") -> Node:
    """`count` questions of a benchmark's split (None: all), as the study's seed draws them."""
    contract = stages.contract(benchmark.verifier)
    node = questions(benchmark.only(split), split, count, study.questions.seed, contract)
    return node.named(f"{benchmark.name} {split}{suffix}", f"benchmark:{benchmark.name}")


def prefix(study: Study, student: Model) -> str:
    """What steps are called by first: the student, in a study of several."""
    return f"{student.title}/" if len(study.students) > 1 else ""
