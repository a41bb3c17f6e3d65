"""The two familiarity studies: what they plan, and that hub names in them load from files laid out as on the hub."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import data
from flows.config.study_file import load
from flows.planning.cost import cost
from flows.planning.forecast import forecast
from flows.planning.plan import expand
from tasks.models.model import weights
from tasks.storage.artifacts import Store

PROJECT = Path(data.__file__).resolve().parent.parent
STUDENTS = load("familiarity").students


def test_every_origin_of_the_paper_is_in_the_abacus_study() -> None:
    study = load("familiarity-abacus")
    kinds = {origin.kind for origin in study.origins.values()}
    assert kinds == {
        *("human", "gold_only", "teacher", "self", "minimum_change", "rewrite", "step_by_step", "step_by_step_as_is"),
        *("paraphrase", "mixture", "by_perplexity"),
    }
    assert len({getattr(origin, "model", None) for origin in study.origins.values() if origin.kind == "teacher"}) == 2
    plan = expand(study)
    assert len(plan.cells) == ((2 * len(study.compared) - 4) * 3 + 1) * 6  # two controls are of one benchmark
    assert {contrast.better for contrast in study.contrasts} | {contrast.than for contrast in study.contrasts} <= {
        *(arm.name for arm in study.compared)
    }


def test_a_control_trains_on_the_same_responses_matched_again() -> None:
    plan = expand(load("familiarity-abacus"))
    offered = {(arm.train_benchmark, arm.arm): one for (arm, seed), one in plan.offered.items() if seed == 0}
    first, again = (offered["abacus/boxes", f"teacher{of}"] for of in ("", "@length_of_teacher"))
    assert first.perplexities.recipe == again.perplexities.recipe
    selections = {selection.node.label: selection.node for selection in plan.selections}
    every, lengths = (selections[f"abacus/boxes{control}"] for control in ("", " length_of_teacher"))
    assert every.values["match"].tokens is None
    assert lengths.values["match"].tokens == 0.05
    assert set(lengths.inputs["perplexities"]) == {"human@length_of_teacher", "teacher@length_of_teacher"}
    assert "abacus/choice length_of_self" in selections
    assert "abacus/boxes length_of_self" not in selections


def test_a_source_is_asked_once_however_many_origins_work_on_it() -> None:
    plan = expand(load("familiarity-abacus"))
    counts = Counter(node.run_name for node in plan.nodes)
    assert counts["generate teacher/abacus/boxes"] == 1
    assert max(counts.values()) == 1


def test_rows_are_counted_once_a_question_where_one_is_made() -> None:
    plan = expand(load("familiarity-abacus"))
    units = {node.run_name: node.expected_rows for node in plan.nodes}
    assert units["generate self/abacus/boxes"] == 8 * 300
    assert units["generate paraphrase/abacus/boxes"] == 2 * 300  # of one response of the teacher's four
    assert units["most_familiar most_familiar/abacus/boxes"] == 300


def test_questions_that_cannot_be_counted_are_said(tmp_path: Path) -> None:
    plan = expand(load("familiarity", ["questions.train=null"]))
    store = Store(tmp_path)
    price = cost(plan, forecast(plan, store), store)
    assert price.uncounted == ("gsm8k train", "math/algebra train", "ecqa train")


def test_a_study_of_several_students_has_a_name_for_each_step() -> None:
    names = Counter(node.run_name for node in expand(load("familiarity")).nodes)
    assert [name for name, count in names.items() if count > 1] == []


def test_the_study_of_large_models_says_what_it_costs(tmp_path: Path) -> None:
    study = load("familiarity")
    plan = expand(study)
    store = Store(tmp_path)
    price = cost(plan, forecast(plan, store), store)
    assert len(plan.cells) == 3 * 8 * (4 * len(study.compared) * 3 + 1)
    assert price.count("adapters") == 3 * 4 * len(study.compared) * 3
    assert price.gpu_hours is not None
    assert 50 < price.gpu_hours.total < 1000
    assert {asked.name for asked in price.requests} == {"api:gpt-4o-2024-08-06", "api:gpt-4o-mini-2024-07-18"}
    assert all(asked.usd and not asked.over_budget for asked in price.requests)


@pytest.mark.parametrize("name", STUDENTS)
def test_a_student_of_the_hub_loads_from_its_cache(name: str, tmp_path: Path) -> None:
    model = weights(name)
    cache = tmp_path / f"models--{model.path.replace('/', '--')}"
    shutil.copytree(PROJECT / "data/models/abacus-student", cache / "snapshots" / model.revision)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(model.revision)
    program = (
        "import json, sys\n"
        "from tasks.models.model import weights\n"
        "from tasks.models.rendering import Renderer\n"
        "from tasks.score import load\n"
        "model = weights(sys.argv[1])\n"
        "response = Renderer(model).response('Final answer: 7')\n"
        "print(json.dumps([load(model).num_parameters(), len(response), model.title]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, name],
        env={**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    size, tokens, title = json.loads(done.stdout.splitlines()[-1])
    assert size > 900_000
    assert tokens > 3
    assert title == name.partition("@")[0].partition("/")[2]
