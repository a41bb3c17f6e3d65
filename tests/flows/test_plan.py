"""A plan is the whole graph before anything runs, and says why each step would run."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from data import benchmark
from data.benchmark import Approach
from data.visible import all_visible, in_json
from flows.cli.plan_page import power
from flows.config.study_file import load
from flows.planning.cost import cost
from flows.planning.forecast import State, forecast
from flows.planning.plan import Plan, expand
from tasks.origins.pairs import any_pairs
from tasks.pipeline.artifact_keys import ArtifactKeys
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node
from tasks.storage.artifacts import Store
from tasks.storage.shared_artifacts import SharedStore

SMALL = ["questions.train=12", "questions.evaluate=4", "train=[abacus/ledger]", "seeds=[0, 1]"]


def small(*overrides: str) -> Plan:
    return expand(load("abacus", [*SMALL, *overrides]))


def make(node: Node, store: Store) -> None:
    for needed in node.upstream:
        make(needed, store)
    execute(node, Runtime(store))


def named(plan: Plan, run_name: str) -> Node:
    return next(node for node in plan.nodes if node.run_name == run_name)


def test_every_cell_is_there_once_and_inputs_come_first() -> None:
    plan = small()
    families = len({cell.eval_benchmark for cell in plan.cells})
    assert families >= 5
    assert len(plan.cells) == families * (1 + 3 * 2)
    seen: set[str] = set()
    for node in plan.nodes:
        assert all(needed.recipe in seen for needed in node.upstream), node.run_name
        seen.add(node.recipe)
    assert len(seen) == len(plan.nodes)
    assert plan.nodes[-1].stage.name == "report"


def test_run_names_are_ascii_and_tell_the_arms_apart() -> None:
    names = [node.run_name for node in small().nodes]
    assert len(set(names)) == len(names)
    assert all(name.isascii() for name in names)
    assert "finetune self/abacus/ledger seed 1" in names


def test_hits_are_what_the_store_has(tmp_path: Path) -> None:
    plan, store = small(), Store(tmp_path)
    assert {f.why for f in forecast(plan, store)} == {"not made yet"}
    make(named(plan, "references human/abacus/ledger"), store)
    hits = {f.node.run_name for f in forecast(plan, store) if f.hit}
    assert hits == {"questions abacus/ledger train", "references human/abacus/ledger"}


@pytest.mark.parametrize(
    ("override", "run_name", "why"),
    [
        ("questions.seed=5", "questions abacus/ledger train", "seed 0 -> 5"),
        (
            "questions.seed=5",
            "references human/abacus/ledger",
            "runs unless questions abacus/ledger train comes out as before",
        ),
        ("questions.train=13", "questions abacus/ledger train", "count 12 -> 13"),
        (
            "origins.human.column=reference_terse",
            "references human/abacus/ledger",
            "column reference -> reference_terse",
        ),
    ],
)
def test_a_miss_names_the_value_that_changed(tmp_path: Path, override: str, run_name: str, why: str) -> None:
    store = Store(tmp_path)
    make(named(small(), "references human/abacus/ledger"), store)
    changed = small(override)
    found = {f.node.run_name: f for f in forecast(changed, store)}
    assert not found[run_name].hit
    assert found[run_name].why == why


def test_a_miss_names_the_code_that_changed(tmp_path: Path) -> None:
    plan, store = small(), Store(tmp_path)
    node = named(plan, "references human/abacus/ledger")
    make(node, store)
    keys = ArtifactKeys(store)
    folder = store.folder(node.stage.name, keys.find(node) or "")
    latest = next((tmp_path / "latest" / "references").iterdir())
    before = json.loads(latest.read_text())
    before["ingredients"]["code"]["tasks/origins/human.py"] = "another"
    latest.write_text(json.dumps(before))
    (folder / "manifest.json").unlink()
    assert {f.node.recipe: f.why for f in forecast(plan, store)}[node.recipe] == "code of tasks/origins/human.py"


def test_what_changes_a_result_changes_the_keys_after_it_and_no_other() -> None:
    before, after = small(), small("origins.teacher.temperature=0.5")
    changed = {
        node.run_name.split(" ")[0]
        for node, other in zip(before.nodes, after.nodes, strict=True)
        if node.recipe != other.recipe
    }
    same = {node.run_name for node, other in zip(before.nodes, after.nodes, strict=True) if node.recipe == other.recipe}
    assert "generate" in changed
    assert "finetune" in changed
    assert "generate self/abacus/ledger" in same
    assert "evaluate base on abacus/ledger" in same


def test_a_benchmark_that_tells_its_approaches_in_another_way_has_no_model_run_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = benchmark._all()

    def keys(approach: Approach | None) -> dict[str, str]:
        words = ("careful", "hasty") if approach else ()
        told = {name: replace(one, approach=approach, approaches=words) for name, one in every.items()}
        monkeypatch.setattr(benchmark, "_all", lambda: told)
        return {node.run_name: node.recipe for node in small().nodes}

    any_two: list[Any] = [all_visible, in_json]  # code of the project, which counts in keys
    plans = [keys(one) for one in (None, partial(any_two[0], 9), partial(any_two[0], 10), partial(any_two[1], 9))]
    changed = {name for name, key in plans[0].items() if any(plan[name] != key for plan in plans)}
    assert changed == {"compare abacus", "report abacus"}
    assert len({plan["compare abacus"] for plan in plans}) == len(plans)


def test_rows_are_counted_as_stages_say() -> None:
    plan = small(
        "questions.keep=10",
        "origins.own={kind: self, samples: 8, keep: 3}",
        "arms={rft: {on: own}, plain: {on: human}}",
        "method.epochs=5",
    )
    rows = {node.run_name: node.expected_rows for node in plan.nodes}
    assert rows["generate own/abacus/ledger"] == rows["score own/abacus/ledger"] == 8 * 12
    paired = any_pairs(named(plan, "verify own/abacus/ledger"), named(plan, "score own/abacus/ledger"), 2)
    assert paired.expected_rows == 2 * 12
    assert rows["training_rows rft/abacus/ledger"] == 3 * 10
    assert rows["training_rows plain/abacus/ledger"] == 10
    trained = named(plan, "finetune rft/abacus/ledger seed 0")
    assert trained.stage.compute is not None
    assert trained.stage.compute.rows is not None
    assert trained.stage.compute.rows(trained) == 5 * 3 * 10


def test_cost_counts_what_would_run(tmp_path: Path) -> None:
    plan, store = small(), Store(tmp_path)
    price = cost(plan, forecast(plan, store), store)
    families = len({cell.eval_benchmark for cell in plan.cells})
    study = plan.study
    generated = 12 * (study.origins["self"].samples + study.origins["teacher"].samples)  # type: ignore[attr-defined]
    assert price.count("adapters") == 6
    assert price.count("answers") == generated + families * 4 * 7
    assert price.minutes is None
    assert price.tokens_are_bound


def test_what_the_trainer_holds_is_known_to_every_selection_and_questions_are_measured_first() -> None:
    control = "controls={again: {origins: [human, self], match: {correct: any}, same_questions: true}}"
    plan = small("method.max_tokens=200", "student=[abacus-student, abacus-teacher]", control)
    study = plan.study
    selections = [node for node in plan.nodes if node.stage.name == "select"]
    assert len(selections) == 2 * 2
    for chosen in selections:
        assert chosen.values["longest"] == 200
        assert {node.run_name for node in chosen.inputs["asked"].values()} == {"questions abacus/ledger train"}
        models = {node.values["model"].path for node in chosen.inputs["perplexities"].values()}
        rows = [node for node in plan.nodes if node.stage.name == "training_rows" and chosen in node.upstream]
        keys = {node.recipe for node in rows}
        trained = [node for node in plan.nodes if node.stage.name == "finetune" and node.upstream[0].recipe in keys]
        assert models == {node.values["student"].path for node in trained}
    measured = [node for node in plan.checks if node.stage.name == "answerable"]
    assert len(measured) == 2 * len(study.names(study.evaluate))
    for cell, answered in plan.cells.items():
        (asked,) = (node for node in measured if node in answered.inputs["answers"].upstream)
        assert asked.values["model"] == answered.inputs["answers"].values["model"]
        assert asked.label == f"{cell.student}/{cell.eval_benchmark} test"


def test_a_plan_says_how_small_a_difference_the_study_could_show() -> None:
    alone, among = power(load("abacus"))
    assert alone.startswith("80 % power to show that one origin beats another by 13.")
    assert alone.endswith("as the only claim (if seeds spread by 5.0 points);")
    assert among.endswith("as any one of all 17 claims about its origins.")
    one_seed = power(load("abacus", ["seeds=[0]"]))[0]
    assert "(one seed, so of the questions alone)" in one_seed
    assert any("as any one of 16 contrasts" in line for line in power(load("familiarity-abacus")))
    assert power(load("abacus", ["questions.evaluate=null"])) == []  # how many questions there are is not known yet


def test_predictors_are_computed_of_each_arm_and_what_is_asked_for_is_measured() -> None:
    """Once for all seeds, since the rows are the same; the student's own responses are those of the arm on them."""
    plain = {node.run_name for node in small("measures={}").nodes}
    assert {name for name in plain if name.startswith("predict ")} == {
        f"predict {origin}/abacus/ledger" for origin in ("human", "self", "teacher")
    }
    assert not any(name.startswith(("read_again", "generate abacus")) for name in plain)
    plan = small("measures={further_passes: 5, kl_to_base: 3}")
    found = {node.run_name: node for node in plan.nodes}
    assert {name for name in found if name not in plain} == {
        *(f"read_again {origin}/abacus/ledger" for origin in ("human", "self", "teacher")),
        *("questions abacus/ledger train first 3", "generate abacus/ledger base 3", "score abacus/ledger base 3"),
        *(f"score {arm}/abacus/ledger seed {n} on base" for arm in ("human", "self", "teacher") for n in (0, 1)),
    }
    again = found["read_again human/abacus/ledger"]
    assert again.inputs["own"].run_name == "verify self/abacus/ledger"
    assert again.expected_rows == 5
    assert found["generate abacus/ledger base 3"].values["sampling"].temperature == 1.0
    alone = named(small("measures={further_passes: 5}", "origins={human: {}}"), "read_again human/abacus/ledger")
    assert alone.inputs["own"].run_name == "generate abacus/ledger base 5"


def test_what_fails_beside_an_arm_takes_nothing_with_it() -> None:
    plan = small("measures={kl_to_base: 3}")
    predicted = named(plan, "predict human/abacus/ledger")
    after = named(plan, "score self/abacus/ledger seed 1 on base")
    compared, _ = plan.conclusion(lost={predicted.recipe, after.recipe})
    needed = {node.recipe for node in compared.upstream}
    assert not needed & {predicted.recipe, after.recipe}
    assert named(plan, "predict self/abacus/ledger").recipe in needed
    assert len(compared.inputs["cells"]) == len(plan.cells)
    assert len(compared.inputs["moved"]) == 5


@pytest.mark.parametrize("url", [False, True], ids=["folder", "URL"])
def test_a_plan_says_what_is_made_in_any_case_and_at_most(tmp_path: Path, url: bool) -> None:
    """Of a larger study: the rows that are there are taken over; what waits may come out as before."""

    def store() -> Store:
        return SharedStore(f"file://{tmp_path}/shared", tmp_path / "cache") if url else Store(tmp_path)

    verdicts = "verify human/abacus/ledger"
    for needed in (named(small(), "references human/abacus/ledger"), named(small(), verdicts)):
        make(needed, store())
    larger = {each.node.run_name: each for each in forecast(small("questions.train=20"), store())}
    assert (
        larger["references human/abacus/ledger"].state is State.WAITS
    )  # of this name, and nothing else is known of it
    (asked,) = (each for name, each in larger.items() if name == "questions abacus/ledger train")
    assert (asked.state, asked.key is not None) == (State.MISS, True)
    make(named(small("questions.train=20"), "references human/abacus/ledger"), store())
    grown = {each.node.run_name: each for each in forecast(small("questions.train=20"), store())}[verdicts]
    assert (grown.state, grown.rows_there, grown.least_rows) == (State.MISS, 12, 8)
