"""The record over studies that were finished here: from results folders whose truth is known."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.errors import InputError
from flows.cli import predictors_page
from flows.results import own_results, predictor_track
from tasks.comparison.predictor_groups import Choice
from tasks.kinds import predictors
from tests.flows.finished import finish

CHANCES = {"human": 0.35, "teacher": 0.6, "self": 0.85, "minimum_change": 0.5}
STUDY = {name: (chance, 0.3) for name, chance in CHANCES.items()}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def known(folder: Path, **values: dict[str, float]) -> None:
    """Predictors of a finished study's arms, by name, as `compare` writes them."""
    summary = pd.read_csv(folder / "summary.csv")
    arms = summary[["student", "train_benchmark", "arm", "origin", "method", "size"]].drop_duplicates()
    rows = [
        {**arm, "predictor": name, "title": name, "value": by_arm.get(arm["arm"]), "higher_is_better": name == "length"}
        for arm in arms.to_dict("records")
        for name, by_arm in values.items()
    ]
    pd.DataFrame(rows).to_csv(folder / "predictors.csv", index=False)


def test_a_finished_study_is_a_record(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finish(here / "runs", "first", 1, items=120, chances=STUDY)
    arms = sorted(set(pd.read_csv(folder / "summary.csv")["arm"]))
    order = sorted(arms, key=lambda arm: -CHANCES[arm])
    known(
        folder,
        perplexity_mean={arm: 1.0 + at for at, arm in enumerate(order)},
        length={arm: 1.0 + at for at, arm in enumerate(order)},
        grape={order[0]: -1.0},
    )
    (results,) = own_results.finished()
    (group,) = results.groups
    assert group.name == Choice("abacus-student", "abacus/ledger")
    assert sorted(group.options) == arms
    items = pd.read_parquet(folder / "items.parquet")
    in_domain = items[items["eval_benchmark"] == "abacus/ledger"]
    for arm, accuracy in zip(group.options, group.accuracies, strict=True):
        assert accuracy == pytest.approx(in_domain[in_domain["arm"] == arm]["score"].mean())
    assert group.replicates is not None
    for at, arm in enumerate(group.options):
        by_question = in_domain[in_domain["arm"] == arm].groupby("id")["score"].mean()
        of_questions = by_question.std() / np.sqrt(len(by_question))
        assert 0.9 * of_questions < group.replicates[:, at].std() < 2 * of_questions, "and what seeds add"
    predictors_page.show([], [], True, None, as_json=True)
    (said,) = json.loads(capsys.readouterr().out)["results"]
    by_name = {each["predictor"]: each for each in said["predictors"]}
    assert by_name["perplexity_mean"]["groups"][0]["pick"] == [order[0]]
    assert by_name["perplexity_mean"]["regret"]["value"] == pytest.approx(0)
    assert by_name["length"]["groups"][0]["pick"] == [order[-1]]
    assert by_name["grape"]["picks"] == 0, "one value picks nothing"
    assert said["against"]["length"]["perplexity_mean"]["value"] < -0.2
    assert said["intervals_over"] == "items and seeds"


def test_several_studies_are_one_more_record_and_a_track(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(("first", "second")):
        folder = finish(here / "runs", name, number, chances=STUDY)
        arms = set(pd.read_csv(folder / "summary.csv")["arm"])
        known(folder, perplexity_mean={arm: -CHANCES[arm] for arm in arms})
    finish(here / "runs", "without", 3)
    predictors_page.show([], [], True, None, as_json=False)
    out = capsys.readouterr().out
    assert "all studies here: first, second" in out
    assert "without" not in out
    found = predictor_track.tracks()["perplexity_mean"]
    assert [track.where for track in found] == [predictor_track.HERE, "sppl"]
    assert (found[0].choices, found[0].right, found[0].regret) == (2, 2.0, 0.0)
    assert found[1].choices == 48
    # Two choices here are too few to be followed.
    assert predictor_track.best({"perplexity_mean": found}, ["perplexity_mean"]) == ("perplexity_mean", found[1])
    assert predictor_track.best({"perplexity_mean": found}, ["length"]) is None


def test_what_the_published_results_call_otherwise_is_a_predictor_of_ours() -> None:
    assert "in_context_perplexity" in predictor_track.tracks()
    from flows.config.imported_file import load

    assert set(load("sppl").predictors.same_as.values()) <= set(predictors.names())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "predictors.csv: cannot be read as a table: No columns to parse from file"),
        ("student,arm\n", "predictors.csv: column 'train_benchmark' is missing (has: student, arm)"),
    ],
)
def test_a_damaged_table_is_one_line(here: Path, text: str, said: str) -> None:
    folder = finish(here / "runs", "first", 1)
    (folder / "predictors.csv").write_text(text)
    with pytest.raises(InputError, match=r"^runs/first/") as caught:
        own_results.finished()
    assert said in str(caught.value)
    (folder / "predictors.csv").write_text("\x00\x01")
    with pytest.raises(InputError):
        own_results.finished()


def test_arms_that_are_trained_otherwise_are_another_choice(here: Path) -> None:
    """On the same rows no predictor could tell them apart: what they differ in is said; an arm alone is no choice."""
    folder = finish(here / "runs", "first", 1, chances=STUDY)
    known(folder, length=dict.fromkeys(CHANCES, 1.0))
    table = pd.read_csv(folder / "predictors.csv")
    plain = {"kind": "sft", "rank": 8, "mask_above": None}
    ways = {"human": plain, "teacher": plain, "self": {**plain, "mask_above": 2.5}, "minimum_change": plain}
    table.insert(4, "training", [json.dumps(ways[arm]) for arm in table["arm"]])
    table.to_csv(folder / "predictors.csv", index=False)
    (results,) = own_results.finished()
    assert [(group.name.setting, group.options) for group in results.groups] == [
        ("", ("human", "minimum_change", "teacher"))
    ]
    ways["minimum_change"] = ways["self"]
    table["training"] = [json.dumps(ways[arm]) for arm in table["arm"]]
    table.to_csv(folder / "predictors.csv", index=False)
    (results,) = own_results.finished()
    assert sorted((group.name.setting, group.options) for group in results.groups) == [
        ("", ("human", "teacher")),
        ("mask_above 2.5", ("minimum_change", "self")),
    ]
    table["training"] = "broken"
    table.to_csv(folder / "predictors.csv", index=False)
    with pytest.raises(InputError, match=r"predictors\.csv: column 'training' is none that a study writes"):
        own_results.finished()
