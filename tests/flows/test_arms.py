"""Studies that name their arms: what each trains on, from where it starts, how large, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from data.errors import InputError
from flows.config.schema import Study
from flows.config.study_file import load
from flows.planning.cost import cost
from flows.planning.forecast import forecast
from flows.planning.plan import Plan, expand
from tasks.pipeline.stage import Node
from tasks.storage.artifacts import Store

STUDY: dict[str, Any] = {
    "name": "arms",
    "student": "abacus-student",
    "train": ["abacus/boxes"],
    "evaluate": ["abacus/boxes", "abacus/ledger"],
    "questions": {"train": 60, "evaluate": 20},
    "origins": {
        "teacher": {"model": "abacus-teacher", "samples": 2, "temperature": 0.7},
        "resampled": {"kind": "self", "by": "sft", "samples": 8, "keep": 2},
        "any_pairs": {"kind": "pairs", "of": "resampled"},
    },
    "arms": {"sft": {"on": "teacher"}, "rft": {"on": "resampled"}},
    "match": {"questions": False, "count": False},
    "sizes": [60, 30],
    "seeds": [0, 1],
}

POSED_TOO = {"sft": {"on": "teacher"}, "on_posed": {"on": "posed"}}
NEGATIVE = {"kind": "feedback", "of": "teacher", "human": "negative_examples", "human_share": 0.5}
AFTER_SFT = {"on": "teacher", "after": "sft"}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "arms.yaml"
    path.write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
    return path


def planned(folder: Path, **changes: Any) -> Plan:
    return expand(load(str(written(folder, **changes))))


def of_stage(plan: Plan, stage: str) -> dict[str, Node]:
    """Steps by label; of `generate` those that write to train on, not the answers that are evaluated."""
    answers = {node.inputs["answers"].recipe for node in plan.cells.values()}
    return {node.label: node for node in plan.nodes if node.stage.name == stage and node.recipe not in answers}


def test_an_arm_writes_for_the_next_at_each_size_and_seed(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert set(of_stage(plan, "generate")) == {
        "teacher/abacus/boxes",
        *(f"resampled/abacus/boxes size {size} seed {seed}" for size in (30, 60) for seed in (0, 1)),
    }
    trained = of_stage(plan, "finetune")
    for label, node in of_stage(plan, "generate").items():
        if label.startswith("resampled"):
            adapter = node.inputs["adapter"]
            assert adapter.recipe == trained[f"sft/abacus/boxes{label.removeprefix('resampled/abacus/boxes')}"].recipe
            assert node.inputs["attested"].upstream[0].recipe == adapter.recipe
            assert node.inputs["questions"].values["count"] == int(label.split()[2])


@pytest.mark.parametrize("sampling", ["once", "per_seed"])
def test_posed_questions_leak_nothing_and_are_answered_by_all_that_work_on_them(tmp_path: Path, sampling: str) -> None:
    origins = {
        "teacher": {"model": "abacus-teacher", "samples": 2, "temperature": 0.7},
        "posed": {"model": "abacus-teacher", "temperature": 0.7},
        "own": {"kind": "self", "of": "posed", "by": "on_posed", "samples": 8},
        "any_pairs": {"kind": "pairs", "of": "own"},
    }
    arms = {
        **POSED_TOO,
        "rft": {"on": "own", "match": {"questions": True}},
        "dpo": {"on": "any_pairs", "method": "dpo", "after": "on_posed", "match": {"questions": True}},
    }
    questions = {**STUDY["questions"], "sampling": sampling}
    plan = planned(tmp_path, origins=origins, arms=arms, questions=questions)
    posed = of_stage(plan, "leak_free")
    drawn = [""] if sampling == "once" else [" seed 0", " seed 1"]
    assert set(posed) == {f"posed/abacus/boxes{seed}" for seed in drawn}
    for node in posed.values():
        assert node.inputs["posed"].stage.name == "majority"
        assert set(node.inputs["evaluation"]) == {"abacus/boxes", "abacus/ledger"}
    parts = of_stage(plan, "first_questions")
    assert {node.inputs["posed"].recipe for node in parts.values()} == {node.recipe for node in posed.values()}
    generated = of_stage(plan, "generate")
    for size in (30, 60):
        for number, seed in enumerate(drawn * (2 if sampling == "once" else 1)):
            part = parts[f"posed/abacus/boxes{seed} size {size}"]
            own = generated[f"own/abacus/boxes size {size} seed {number}"]
            assert own.inputs["questions"].recipe == part.recipe
    for chosen in of_stage(plan, "select").values():
        assert {pool: node.recipe for pool, node in chosen.inputs["within"].items()} == {
            pool: node.recipe for pool, node in chosen.inputs["asked"].items()
        }
        assert {pool: node.stage.name for pool, node in chosen.inputs["asked"].items()} == {
            pool: "questions" if pool == "teacher" else "first_questions" for pool in chosen.inputs["verdicts"]
        }


def test_each_cell_says_its_arm_origin_method_size_and_seed(tmp_path: Path) -> None:
    cells = planned(tmp_path).cells
    found = {(cell.arm, cell.origin, cell.method, cell.size, cell.seed) for cell in cells if cell.trained}
    both = (("sft", "teacher"), ("rft", "resampled"))
    assert found == {(*names, "sft", size, seed) for names in both for size in (30, 60) for seed in (0, 1)}
    assert len(cells) == 2 * (1 + 8)


def test_smaller_sizes_are_a_part_of_larger_ones_and_what_is_shared_is_made_once(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    choices = of_stage(plan, "select")
    assert set(choices) == {
        *(f"abacus/boxes size {size}" for size in (30, 60)),
        *(f"rft/abacus/boxes size {size} seed {seed}" for size in (30, 60) for seed in (0, 1)),
    }
    within = {
        label: {part.values["count"] for part in node.inputs["within"].values()} for label, node in choices.items()
    }
    assert within == {label: {int(label.split()[2])} for label in choices}
    assert choices["abacus/boxes size 30"].values["keep"] is None
    assert choices["rft/abacus/boxes size 30 seed 0"].values["keep"] == {"resampled": 2}
    small, large = (set(ids(node)) for node in (plan_questions(plan, 30), plan_questions(plan, 60)))
    assert (len(small), len(large)) == (30, 60)
    assert small < large


def plan_questions(plan: Plan, count: int) -> Node:
    return next(node for node in plan.nodes if node.stage.name == "questions" and node.values["count"] == count)


def ids(node: Node) -> list[str]:
    return [row["id"] for row in node.stage.function(**node.values)]


def test_data_drawn_for_each_seed_reaches_every_step_after_it(tmp_path: Path) -> None:
    questions = {**STUDY["questions"], "sampling": "per_seed"}
    plan = planned(tmp_path, questions=questions, sizes=[], arms={"sft": {"on": "teacher"}})
    written_by_teacher = of_stage(plan, "generate")
    assert set(written_by_teacher) == {f"teacher/abacus/boxes seed {seed}" for seed in (0, 1)}
    assert len({node.values["seed"] for node in written_by_teacher.values()}) == 2
    assert set(of_stage(plan, "training_rows")) == {f"sft/abacus/boxes seed {seed}" for seed in (0, 1)}
    once = planned(tmp_path, sizes=[], arms={"sft": {"on": "teacher"}})
    assert set(of_stage(once, "training_rows")) == {"sft/abacus/boxes"}


def test_an_origin_that_works_on_others_redraws_only_those_that_need_an_arm(tmp_path: Path) -> None:
    origins = {**STUDY["origins"], "mixed": {"kind": "mixture", "of": {"teacher": 1, "resampled": 1}}}
    del origins["any_pairs"]
    arms = {**STUDY["arms"], "both": {"on": "mixed"}}
    alone, sized = (planned(tmp_path, origins=origins, arms=arms, sizes=sizes) for sizes in ([], [60, 30]))
    generated = of_stage(alone, "generate")
    assert set(generated) == {"teacher/abacus/boxes", *(f"resampled/abacus/boxes seed {seed}" for seed in (0, 1))}
    for node in of_stage(alone, "mix").values():
        assert node.inputs["sources"]["teacher"].recipe == generated["teacher/abacus/boxes"].recipe
    by_teacher = {label: node for label, node in of_stage(sized, "generate").items() if label.startswith("teacher")}
    assert set(by_teacher) == {"teacher/abacus/boxes", "teacher/abacus/boxes size 30"}  # at size 60 all are asked
    assert len({node.values["seed"] for node in by_teacher.values()}) == 1


def test_what_arms_of_one_origin_share_is_called_by_its_seed(tmp_path: Path) -> None:
    questions = {**STUDY["questions"], "sampling": "per_seed"}
    plan = planned(
        tmp_path,
        questions=questions,
        origins={"teacher": STUDY["origins"]["teacher"]},
        arms={"sft": {"on": "teacher"}, "longer": {"on": "teacher", "method": {"kind": "sft", "epochs": 9}}},
        sizes=[],
    )
    shared = [node.label for node in plan.nodes if node.stage.name == "training_rows"]
    assert sorted(shared) == ["sft/abacus/boxes seed 0", "sft/abacus/boxes seed 1"]


def test_what_people_wrote_is_not_drawn_for_each_seed(tmp_path: Path) -> None:
    questions = {**STUDY["questions"], "sampling": "per_seed"}
    origins = {
        "human": {},
        "teacher": {"model": "abacus-teacher", "temperature": 0.7},
        "mixed": {"kind": "mixture", "of": {"human": 1, "teacher": 1}},
    }
    plan = planned(tmp_path, questions=questions, origins=origins, arms={}, sizes=[])
    assert set(of_stage(plan, "score")) == {
        "human/abacus/boxes",
        *(f"{origin}/abacus/boxes seed {seed}" for origin in ("teacher", "mixed") for seed in (0, 1)),
    }
    matched = {(one.of.arm, one.of.seed) for one in plan.offered.values()}
    assert matched == {(arm, seed) for arm in origins for seed in (0, 1)}  # which questions they share, seeds differ in
    alone = planned(tmp_path, questions=questions, origins={"human": {}}, arms={}, sizes=[])
    assert {one.of.seed for one in alone.offered.values()} == {None}


def test_a_control_has_the_questions_of_its_seed(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        questions={**STUDY["questions"], "sampling": "per_seed"},
        origins={"human": {}, "teacher": {"model": "abacus-teacher", "temperature": 0.7}},
        arms={},
        controls={"free": {"origins": ["human"], "match": {}, "same_questions": True}},
        sizes=[],
    )
    choices = of_stage(plan, "select")
    for seed in (0, 1):
        control = choices[f"abacus/boxes free seed {seed}"]
        assert control.inputs["within"]["human@free"].recipe == choices[f"abacus/boxes seed {seed}"].recipe


def test_without_arms_each_origin_is_one(tmp_path: Path) -> None:
    origins = {"human": {}, "teacher": {"model": "abacus-teacher", "temperature": 0.7}}
    plain = planned(tmp_path, arms={}, origins=origins, sizes=[])
    named = planned(tmp_path, arms={name: {"on": name} for name in origins}, origins=origins, sizes=[])
    assert [node.recipe for node in of_stage(plain, "finetune").values()] == [
        node.recipe for node in of_stage(named, "finetune").values()
    ]
    assert {(cell.arm, cell.origin, cell.size) for cell in plain.cells if cell.trained} == {
        ("human", "human", 0),
        ("teacher", "teacher", 0),
    }


def test_verdicts_and_perplexities_stand_side_by_side(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    for label, node in of_stage(plan, "score").items():
        assert [needed.stage.name for needed in node.upstream] == ["generate"]
        assert of_stage(plan, "verify")[label].upstream[0].recipe == node.upstream[0].recipe


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {
                "arms": {"sft": {"on": "techer"}},
                "origins": {"teacher": {"model": "abacus-teacher", "temperature": 0.7}},
            },
            "arms.sft.on: no origin is called 'techer' (did you mean teacher?)",
        ),
        (
            {"arms": {"sft": {"on": "resampled"}}},
            "arms: arm sft needs origin resampled needs arm sft, which has no beginning",
        ),
        (
            {"arms": {"sft": {"on": "teacher", "after": "rft"}, "rft": {"on": "resampled"}}},
            "arms: arm sft needs arm rft needs origin resampled needs arm sft, which has no beginning",
        ),
        (
            {
                "student": ["abacus-student", "abacus-teacher"],
                "arms": {"sft": {"on": "teacher"}, "more": {"on": "teacher", "after": "abacus-teacher/sft"}},
            },
            "arms.more.after: abacus-teacher/sft is not allowed: it is the arm sft of the same student; write sft",
        ),
        ({"arms": {"sft": {"on": "teacher", "after": "dpo"}}}, "arms.sft.after: no arm is called 'dpo'. Allowed: sft"),
        (
            {"arms": {**STUDY["arms"], "odd": {"on": "any_pairs"}}},
            "arms.odd.method: sft learns from responses, and any_pairs gives pairs. Allowed: a method that takes pairs",
        ),
        (
            {"origins": {**STUDY["origins"], "posed": {}}, "arms": POSED_TOO, "match": {}},
            "match.questions: true is not allowed: arms sft and on_posed train on other questions (posed",
        ),
        (
            {
                "origins": {"human": {}, "posed": {}},
                **{"arms": {}, "controls": {"again": {"origins": ["human", "posed"], "match": {}}}},
            },
            "controls.again.match.questions: true is not allowed: arms human@again and posed@again train on other",
        ),
        (
            {
                "origins": {
                    **STUDY["origins"],
                    "posed": {},
                    "mixed": {"kind": "mixture", "of": {"posed": 1, "teacher": 1}},
                }
            },
            "origins.mixed.of: posed and teacher answer different questions; allowed are the same ones",
        ),
        (
            {
                "origins": {**STUDY["origins"], "told": NEGATIVE},
                "arms": {"sft": {"on": "teacher"}, "on_told": {"on": "told", "match": {}}},
            },
            "arms.on_told.match.questions: true is not allowed: arm on_told trains on questions of its own too "
            "(origins.told.human); allowed: false",
        ),
        (
            {
                "origins": {**STUDY["origins"], "told": NEGATIVE},
                "arms": {"sft": {"on": "teacher"}, "on_told": {"on": "told"}},
            },
            "sizes: they are of the benchmark's questions, and arm on_told trains on others as well; allowed without "
            "origins.told.human",
        ),
        ({"origins": {**STUDY["origins"], "posed": {"solutions": 2}}}, "origins.posed.solutions: 2 is not allowed"),
        (
            {"origins": {**STUDY["origins"], "posed": {"solving_temperature": 0}}},
            "origins.posed.solving_temperature: 0 is not allowed",
        ),
        (
            {"origins": {**STUDY["origins"], "teacher": {"kind": "posed", "count": 40}}, "sizes": [30, 41]},
            "sizes: 41 is more than there are questions: what origins.teacher poses is 40 at most",
        ),
        ({"sizes": [30, 61]}, "sizes: 61 is more than there are questions: questions.train is 60 at most"),
        ({"sizes": [30, 30]}, "sizes: [30, 30] is not allowed"),
        ({"sizes": [9, 30]}, "sizes: 9 is not allowed: arm sft needs at least 10 questions (match.minimum)"),
        (
            {"arms": {"sft": {"on": "teacher", "match": {"minimum": 40}}, "rft": {"on": "resampled"}}},
            "sizes: 30 is not allowed: arm sft needs at least 40 questions (match.minimum)",
        ),
        (
            {"arms": {**STUDY["arms"], "dpo": {"on": "any_pairs", "method": {"kind": "dpo", "beta": 0}}}},
            "arms.dpo.method.beta: 0 is not allowed: input should be greater than 0",
        ),
        (
            {"arms": {**STUDY["arms"], "dpo": {"on": "any_pairs", "method": "dppo"}}},
            "arms.dpo.method.kind: no method is called 'dppo' (did you mean dpo?)",
        ),
        (
            {"arms": {"sft": {"on": "teacher"}, "on": {"on": "teacher", "method": {"rank": 8}, "after": "sft"}}},
            "arms.on.method.rank: 8 is not allowed: it goes on from the adapter of arm sft, with rank 16; allowed "
            "is the same for both",
        ),
        (
            {"arms": {"sft": {"on": "teacher"}, "on": {"on": "teacher", "method": {"alpha": 8}, "after": "sft"}}},
            "arms.on.method.alpha: 8 is not allowed: it goes on from the adapter of arm sft, with alpha 32",
        ),
        (
            {"arms": {"sft": {"on": "teacher", "method": {"targets": ["q_proj"]}}, "on": {**AFTER_SFT}}},
            "arms.on.method.targets: 'all-linear' is not allowed: it goes on from the adapter of arm sft, with "
            "targets ['q_proj']",
        ),
        (
            {"origins": {**STUDY["origins"], "untrained": {"kind": "pairs", "of": "techer"}}},
            "origins.untrained.of: no origin is called 'techer' (did you mean teacher?)",
        ),
        (
            {"origins": {**STUDY["origins"], "untrained": {"kind": "pairs", "of": "untrained"}}},
            "origins: origin untrained needs origin untrained, which has no beginning",
        ),
        (
            {"controls": {"again": {"origins": ["teacher"], "match": {}}}},
            "controls.again: a study that names its arms has no controls: give an arm a `match` of its own",
        ),
        ({"arms": {"base": {"on": "teacher"}}}, "arms.base: allowed are other names: base is the student untrained"),
        (
            {"arms": {"sft": {"on": "teacher", "methd": "sft"}}},
            "arms.sft.methd: unknown key; allowed: after, match, method, on",
        ),
        (
            {"contrasts": [{"claim": "More.", "better": "rft", "than": "teacher"}]},
            "contrasts.0.than: no arm is called 'teacher'. Allowed: sft, rft, base",
        ),
        (
            {"contrasts": [{"claim": "Fewer.", "better": "rft", "better_size": 7, "than": "sft"}]},
            "contrasts.0.better_size: 7 is not allowed; allowed: 0",
        ),
        ({"reference": "sfd"}, "reference: no arm is called 'sfd' (did you mean sft?)"),
        ({"reference": "base"}, "reference: no arm is called 'base'. Allowed: sft, rft"),
        (
            {"reference": "sft", "sizes": []},
            "reference: sft is not allowed without `sizes`, over which its error is measured",
        ),
        (
            {"origins": {**STUDY["origins"], "resampled": {"kind": "self", "by": "sfd"}}},
            "origins.resampled.by: no arm is called 'sfd' (did you mean sft?)",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        load(str(path))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: {said}")


def test_the_comparison_is_told_of_the_reference_and_nothing_else_is(tmp_path: Path) -> None:
    with_one, without = (planned(tmp_path, reference=arm) for arm in ("rft", ""))
    compared, _ = with_one.conclusion()
    assert compared.values["reference"] == "rft"
    known = {node.recipe for node in without.nodes}
    assert {node.stage.name for node in with_one.nodes if node.recipe not in known} == {"compare", "report"}


def test_the_order_of_targets_is_no_difference(tmp_path: Path) -> None:
    first, second = ({"targets": names} for names in (["q_proj", "v_proj"], ["v_proj", "q_proj"]))
    arms = {"sft": {"on": "teacher", "method": first}, "more": {**AFTER_SFT, "method": second}}
    load(str(written(tmp_path, arms=arms, origins={"teacher": STUDY["origins"]["teacher"]})))


def test_the_form_has_arms_and_sizes() -> None:
    fields = Study.model_json_schema()["properties"]
    drawn = fields["arms"]["anyOf"][0]["items"]
    assert {"name", "on", "method", "after", "match"} <= set(drawn["properties"])
    assert fields["sizes"]["items"]["exclusiveMinimum"] == 0


def test_pairs_that_part_at_the_first_pit_need_rollouts_of_the_arm_that_is_named(tmp_path: Path) -> None:
    origins = {**STUDY["origins"], "pits": {"kind": "first_pit", "of": "resampled", "by": "sft"}}
    arms = {**STUDY["arms"], "step_dpo": {"on": "pits", "method": "dpo", "after": "sft"}}
    plan = planned(tmp_path, origins=origins, arms=arms)
    trained, rolled = of_stage(plan, "finetune"), of_stage(plan, "step_values")
    assert set(rolled) == {f"pits/abacus/boxes size {size} seed {seed}" for size in (30, 60) for seed in (0, 1)}
    for label, node in rolled.items():
        sft = trained[label.replace("pits", "sft")]
        assert (
            node.inputs["adapter"].recipe
            == trained[label.replace("pits", "step_dpo")].inputs["start"].recipe
            == sft.recipe
        )
        assert node.inputs["attested"].upstream[0].recipe == sft.recipe
        (negatives,) = {one.recipe for one in node.upstream} - {
            node.inputs[name].recipe for name in ("adapter", "attested")
        }
        assert negatives == of_stage(plan, "negatives")[label].recipe
    store = Store(tmp_path / "store")
    price = cost(plan, forecast(plan, store), store)
    # Eight negatives a question; of six steps a binary search looks at three prefixes, five tries each, and 15 more.
    assert price.count("continuations") == 2 * (30 + 60) * 8 * (3 * 5 + 15)
    assert price.tokens_by_compute[rolled["pits/abacus/boxes size 30 seed 0"].stage.compute] == (  # type: ignore[index]
        512 * price.count("continuations")
    )
