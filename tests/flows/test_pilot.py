"""Pilots: which rungs a share of the study allows, that their steps are the study's own, what is dropped and told."""

import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from data.errors import InputError
from flows.cli.pilot import share_of
from flows.config.study_file import load
from flows.execution.executor import LOOKUP, Executor, Step
from flows.execution.options import PilotOptions
from flows.execution.replanning import Replanning
from flows.execution.scheduler import Scheduler
from flows.pilot.pilot import Pilot, needs
from flows.pilot.rungs import Rungs, chosen
from flows.planning.plan import Plan, expand
from tasks.pipeline.artifact_keys import ArtifactKeys
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Artifact, Store
from tasks.storage.rows import Rows
from tests.flows.test_study import SMALL, mothertongue

STUDY: dict[str, Any] = {
    "name": "piloted",
    "student": "abacus-student",
    "train": ["abacus/boxes"],
    "evaluate": ["abacus/boxes", "abacus/ledger"],
    "questions": {"train": 80, "evaluate": 40},
    "origins": {
        "teacher": {"model": "abacus-teacher", "samples": 2},
        "human": {},
        "terse": {"kind": "human", "column": "reference_terse"},
        "resampled": {"kind": "self", "by": "sft", "samples": 4},
    },
    "arms": {
        "sft": {"on": "teacher"},
        "rft": {"on": "resampled"},
        "human": {"on": "human"},
        "terse": {"on": "terse"},
    },
    "match": {"questions": False, "count": False},
    "sizes": [20, 40, 80],
    "seeds": [0, 1, 2],
}
SCORES = {"rft": 0.95, "sft": 0.45, "human": 0.4, "terse": 0.2}
ONE_AN_ORIGIN = {"arms": {}, "sizes": [], "match": {}, "origins": {"human": {}, "teacher": {"model": "abacus-teacher"}}}


class Finished(Future[Any]):
    state = SimpleNamespace(name="Completed")


class Answered(ArtifactKeys):
    """Has of every step an artifact that took two seconds; the answers of an arm to 40 questions, of which it gets a
    share right."""

    def __init__(self, store: Store, scores: Mapping[str, float]) -> None:
        super().__init__(store)
        self._scores = scores

    def open(self, node: Node) -> Artifact | None:
        share = self._scores.get(node.label.split("/")[0], 0.5)
        rows = [
            {**dict.fromkeys(("question", "gold", "response"), "x"), "id": str(number), "sample": 0, **of_verdict}
            for number in range(40)
            for of_verdict in [_judged(number < 40 * share)]
        ]
        found = Artifact(Path(), {"busy": 2.0, "facts": {}})
        object.__setattr__(found, "rows", lambda: Rows.of(rows))
        return found

    look_up = open


def _judged(right: bool) -> dict[str, Any]:
    return {"verdict": "correct" if right else "wrong", "score": float(right)}


class Recording(Executor):
    """Runs nothing: steps of these names fail, and all others succeed."""

    def __init__(self, bad: tuple[str, ...] = ()) -> None:
        self.ran: dict[str, str] = {}
        self._bad = bad

    def limit(self, slot: str) -> int:
        return {"cpu": 2, "trainer": 1, "engine": 1, LOOKUP: 4}[slot]

    def submit(self, step: Step, inputs: list[Any], in_store: bool) -> Any:
        self.ran[step.node.recipe] = step.node.run_name
        future = Finished()
        if step.node.run_name in self._bad:
            future.set_exception(StageFailed("broken"))
        else:
            future.set_result(None)
        return future


def planned(folder: Path, **changes: Any) -> Plan:
    path = folder / "piloted.yaml"
    path.write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
    return expand(load(str(path)))


def rungs(plan: Plan, spend: float = 1.0) -> Rungs:
    return chosen(plan.study, plan, spend)


Ran = tuple[Pilot, Plan, dict[str, str], list[str]]


@pytest.fixture
def piloted(tmp_path: Path) -> Callable[..., Ran]:
    """A pilot that was run to its end, the plan that is left, which steps ran, and what was said."""

    def run(scores: Mapping[str, float] = SCORES, bad: tuple[str, ...] = (), **changes: Any) -> Ran:
        whole = planned(tmp_path, **changes)
        runtime = Runtime(Store(tmp_path / "store"))
        runtime.keys = Answered(runtime.store, scores)
        executor = Recording(bad)
        scheduler = Scheduler(executor, runtime)
        said: list[str] = []
        pilot = Pilot(whole, rungs(whole), PilotOptions(spend=1.0), said.append)
        replanning = Replanning(pilot.run(scheduler), scheduler)
        replanning.run()
        return pilot, pilot.finished(replanning.plan, scheduler), executor.ran, said

    return run


def test_the_first_look_is_as_large_as_the_share_allows(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    found = rungs(plan)
    assert [(rung.questions, rung.size, rung.seeds) for rung in found.each] == [
        (40, 40, (0,)),
        (80, 80, (0,)),
        (80, 80, (0, 1)),
    ]
    less = rungs(plan, found.share * 0.99)
    assert less.each[0].questions == 20
    assert less.share < found.share
    with pytest.raises(
        InputError, match=r"^--spend 0\.1%: a look at all arms with 20 questions .* allowed: \d+% or more$"
    ):
        rungs(plan, 0.001)


def test_a_study_without_sizes_is_looked_at_with_parts_of_its_questions(tmp_path: Path) -> None:
    plan = planned(tmp_path, **ONE_AN_ORIGIN, seeds=[4, 2])
    found = rungs(plan)
    assert [(rung.questions, rung.size, rung.seeds) for rung in found.each] == [(40, 40, (4,)), (80, 0, (4,))]
    assert rungs(plan, found.share / 2).each[0].questions < 40
    kept = planned(tmp_path, **ONE_AN_ORIGIN, questions={"train": 80, "evaluate": 40, "keep": 30})
    assert rungs(kept).each[0].questions == 40


def test_every_step_of_a_rung_is_a_step_of_the_study(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    own = {node.recipe for node in plan.nodes}
    everyone = {("abacus-student", arm) for arm in STUDY["arms"]}
    for rung in rungs(plan).each:
        cells = rung.cells(everyone)
        assert {(cell.arm, cell.eval_benchmark, cell.seed) for cell in cells} == {
            (arm, "abacus/boxes", seed) for arm in STUDY["arms"] for seed in rung.seeds
        }
        assert {
            node.recipe for node in rung.plan.only(cells).nodes if node.stage.name not in ("compare", "report")
        } < own
    without = planned(tmp_path, **ONE_AN_ORIGIN)
    own = {node.recipe for node in without.nodes}
    first, second, _ = rungs(without).each
    assert {rung.plan.cells[cell].recipe in own for rung in (first,) for cell in rung.plan.cells if cell.trained} == {
        False
    }
    assert {second.plan.cells[cell].recipe in own for cell in second.plan.cells} == {True}
    shared = {node.run_name for node in first.plan.nodes if node.recipe in own}
    assert {"generate teacher/abacus/boxes", "score human/abacus/boxes"} < shared


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arms": {"sft": {"on": "teacher"}}, "origins": {"teacher": {}}}, "chooses among several arms"),
        ({"evaluate": ["abacus/ledger"]}, "evaluate: a pilot chooses by the scores on what is trained on"),
        ({**ONE_AN_ORIGIN, "questions": {"train": None}}, "questions.train: null is all questions of abacus/boxes"),
        ({**ONE_AN_ORIGIN, "questions": {"train": 18}}, "allowed: 20 or more"),
    ],
)
def test_studies_without_a_choice_are_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    changes = {**changes, "origins": changes.get("origins", STUDY["origins"])}
    if "teacher" in changes["origins"]:
        changes["origins"] = {**changes["origins"], "teacher": STUDY["origins"]["teacher"]}
    plan = planned(tmp_path, **changes)
    with pytest.raises(InputError, match=re.escape(said)):
        rungs(plan)


@pytest.mark.parametrize("spend", ["0%", "0.0%", "101%", "10", "ten", "-5%", "", "1e1%", "nan%"])
def test_what_is_no_share_is_refused(spend: str) -> None:
    with pytest.raises(InputError, match=r"--spend .*: allowed is a share of the whole study, above 0% and up to 100%"):
        share_of(spend)
    assert share_of("12.5 %") == 0.125
    assert share_of("100%") == 1.0


def test_bad_arms_are_dropped_and_the_others_trained_whole(piloted: Callable[..., Ran]) -> None:
    pilot, plan, ran, said = piloted()
    assert not {"terse", "human", "sft"} & set(pilot.looks["abacus-student"][-1].left)
    whole, own = pilot.whole, {node.recipe for node in pilot.whole.nodes}
    assert set(ran) < own
    assert {cell for cell in whole.cells if cell.arm == "rft"} < set(plan.cells)
    assert plan.left_out.keys() == whole.cells.keys() - plan.cells.keys()
    assert {cell.arm for cell in plan.left_out} == {"sft", "human", "terse"}
    why = next(why for cell, why in plan.left_out.items() if cell.arm == "terse")
    assert re.fullmatch(r"the pilot dropped terse at \d+ questions, seed 0: its chance of being best was .* %", why)
    named = plan.conclusion()[0].values["missing"]
    assert {one.cell for one in named} == set(plan.left_out)
    assert said[0].startswith("4 arms are looked at with 40 questions, seed 0 first, then with all 80, one seed after")
    assert "dropped terse" in " ".join(said)


def test_an_arm_that_another_starts_from_is_trained_all_the_same(piloted: Callable[..., Ran]) -> None:
    pilot, plan, ran, _ = piloted()
    made = set(ran.values())
    assert {f"finetune sft/abacus/boxes size 80 seed {seed}" for seed in (0, 1, 2)} < made
    assert "evaluate sft/abacus/boxes size 80 seed 2 on abacus/boxes" not in made
    assert "finetune human/abacus/boxes size 80 seed 2" not in made
    assert needs(pilot.whole.study, "rft") == {"sft"}
    assert needs(pilot.whole.study, "human") == set()
    assert "sft is trained all the same, for rft." in plan.pilot["lines"]


def test_the_reference_is_kept(piloted: Callable[..., Ran]) -> None:
    pilot, plan, *_ = piloted(reference="terse")
    assert set(pilot.looks["abacus-student"][-1].left) >= {"rft", "terse"}
    assert not [cell for cell in plan.left_out if cell.arm == "terse"]


def test_what_was_saved_is_counted(piloted: Callable[..., Ran]) -> None:
    pilot, plan, ran, _ = piloted()
    record = plan.pilot
    own = [node for node in pilot.whole.nodes if node.stage.name not in ("compare", "report")]
    assert record["steps"] == len(ran)
    assert record["steps_not_run"] == len(own) - len(ran)
    assert record["seconds"] == 2 * len(ran)
    assert record["unit"] == "CPU-seconds"
    assert json.loads(json.dumps(record)) == record
    assert 0 < record["seconds"] < record["seconds_of_whole"]


def test_looks_of_its_own_are_no_part_of_the_study(piloted: Callable[..., Ran]) -> None:
    origins = {name: STUDY["origins"][name] for name in ("human", "terse", "teacher")}
    scores = {"teacher": 0.95, "human": 0.4, "terse": 0.2}
    pilot, plan, ran, _ = piloted(scores, **{**ONE_AN_ORIGIN, "origins": origins})
    own = {node.recipe for node in pilot.whole.nodes}
    extra = [name for key, name in ran.items() if key not in own]
    assert sum(name.startswith("finetune") for name in extra) == 3
    assert plan.pilot["steps"] == len(ran)
    assert plan.pilot["seconds"] == 2 * len(ran)
    left = [
        node for node in pilot.whole.nodes if node.recipe not in ran and node.stage.name not in ("compare", "report")
    ]
    assert plan.pilot["steps_not_run"] == len(left)


def test_run_again_it_comes_to_the_same_decisions(piloted: Callable[..., Ran]) -> None:
    first, plan, ran, said = piloted()
    again, plan_again, ran_again, said_again = piloted()
    assert (first.looks, said, ran) == (again.looks, said_again, ran_again)
    assert plan.conclusion()[1].recipe == plan_again.conclusion()[1].recipe


def test_where_nothing_can_be_told_nothing_is_dropped(piloted: Callable[..., Ran]) -> None:
    pilot, plan, *_ = piloted(dict.fromkeys(SCORES, 0.6))
    assert not plan.left_out
    assert set(plan.cells) == set(pilot.whole.cells)
    assert plan.pilot["steps_not_run"] == 0


def test_an_arm_that_fails_is_not_judged(piloted: Callable[..., Ran]) -> None:
    bad = ("evaluate rft/abacus/boxes size 40 seed 0 on abacus/boxes",)
    pilot, *_ = piloted(bad=bad)
    first = pilot.looks["abacus-student"][0]
    assert "rft" not in first.decision.chances
    assert "rft" in first.left
    assert "rft" in pilot.looks["abacus-student"][1].decision.chances


def test_each_student_has_its_own_looks(piloted: Callable[..., Ran]) -> None:
    pilot, _, _, said = piloted(student=["abacus-student", "abacus-teacher"])
    assert set(pilot.looks) == {"abacus-student", "abacus-teacher"}
    assert any(line.startswith("abacus-teacher, 40 questions, seed 0: ") for line in said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "nosuch: no such study file"),
        (["abacus", "--spend", "0%"], "--spend 0%: allowed is a share of the whole study, above 0% and up to 100%"),
        (["abacus", "--spend", "1%"], "--spend 1%: a look at all arms with 18 questions is estimated to cost"),
        (["abacus", "--margin", "100"], "--margin 100: allowed are points of a score, from 0 and below 100"),
        (
            ["abacus", "--set", "origins={human: {}}"],
            "a pilot chooses among several arms, and this study has one, human",
        ),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = mothertongue(tmp_path, "pilot", *arguments)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("error: ")
    assert said in ended.stderr
    assert not ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("named", ["[20, 40]", "[]"])
def test_a_pilot_and_then_the_whole_study(tmp_path: Path, named: str) -> None:
    """For real: the study takes over what the pilot trained, and a second pilot does nothing again."""
    sizes = [*SMALL, "--set", f"sizes={named}"]
    ended = mothertongue(tmp_path, "pilot", "abacus", *sizes, "--spend", "60%", "--margin", "30")
    assert ended.returncode == 0, ended.stderr
    assert "arms are looked at with 20 questions, seed 0 first" in ended.stdout
    assert "A pilot chose the arms." in (tmp_path / "runs" / "small" / "report.html").read_text(encoding="utf-8")
    again = mothertongue(tmp_path, "pilot", "abacus", *sizes, "--spend", "60%", "--margin", "30")
    assert re.search(r"^0 stages run, \d+ found in the store, 0 failed", again.stderr, re.MULTILINE), again.stderr
    manifest = json.loads((tmp_path / "runs" / "small" / "manifest.json").read_text(encoding="utf-8"))
    plan = json.loads(mothertongue(tmp_path, "plan", "abacus", *sizes, "--json").stdout)
    hits = {stage["name"]: stage["key"] for stage in plan["stages"] if stage["hit"]}
    made = {name: key for name, key in manifest["stages"].items() if name.split()[0] not in ("compare", "report")}
    assert made.items() <= hits.items()
    report = mothertongue(tmp_path, "report", "abacus", *sizes)
    if plan["misses"] > 2:
        assert "Of a pilot, which dropped arms." in report.stderr
    whole = mothertongue(tmp_path, "run", "abacus", *sizes)
    assert whole.returncode == 0, whole.stderr
    assert f"{plan['misses']} stages run" in whole.stderr
