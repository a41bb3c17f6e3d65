"""Finished runs are kept once, listed, found by their names, and held against each other."""

import json
import shutil
from pathlib import Path

import pytest

from data.errors import InputError
from flows.cli import compare_page
from flows.config.study_file import load
from flows.results import history, publishing, tracking
from flows.results.comparison import compare
from tasks.comparison.cell import UNTRAINED
from tasks.comparison.contrast import Contrast
from tasks.storage.artifacts import Store
from tests.flows.finished import finish

BETTER = {"human": (0.98, 0.33)}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    return tmp_path / "runs"


def as_made_by(folder: Path, store: Path) -> None:
    """Put a results folder's answers where a run leaves them: into the store, under the key of its comparison."""
    key = json.loads((folder / "manifest.json").read_text())["compare"]["key"]
    made = Store(store).folder("compare", key)
    made.mkdir(parents=True)
    shutil.copy(folder / "items.parquet", made)
    manifest = {
        "label": "",
        "ingredients": {"values": {}, "code": {}, "inputs": {}},
        "facts": {},
        "model": None,
        "busy": 0,
        "made": 0,
    }
    Store(store).publish("compare", key, manifest)


def test_the_same_results_are_kept_once_and_without_answers(runs: Path) -> None:
    finish(runs, "small", 1)
    finish(runs, "small", 1)
    finish(runs, "small", 2)
    kept = history.of_study("small")
    assert [run.name for run in kept] == ["20261121T120200Z-00000002", "20261121T120100Z-00000001"]
    names = {path.name for path in kept[0].folder.iterdir()}
    assert {"manifest.json", "summary.csv", "perplexity.csv", "verdict.json"} <= names
    assert "items.parquet" not in names
    assert not list((runs / "small" / "history").glob(".*"))


def test_names_that_a_person_types(runs: Path) -> None:
    for number in (1, 2, 3):
        finish(runs, "small", number)
    assert history.find("latest").id == "00000003"
    assert history.find("previous").id == "00000002"
    assert history.find("small/20261121T1201").id == "00000001"
    assert history.find("00000002").id == "00000002"
    assert history.find("small").id == "00000003"
    assert history.find(str(runs / "small" / "history" / "20261121T120100Z-00000001")).id == "00000001"
    finish(runs, "small", 1)  # an old state of the study was run again, and found in the store
    assert history.find("latest").id == "00000001"
    assert history.find("previous").id == "00000003"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("2026", "2026: is the beginning of 2 runs: 20261121T120200Z-00000002, 20261121T120100Z-00000001"),
        ("other/latest", "no finished run of a study 'other' here. Allowed: small"),
        (
            "abc",
            "abc: no run is called so. Allowed: latest, previous, a results folder, or how one of these begins: small/",
        ),
        ("", "no run is called so"),
    ],
)
def test_a_name_that_means_no_run_gets_one_line(runs: Path, given: str, said: str) -> None:
    finish(runs, "small", 1)
    finish(runs, "small", 2)
    with pytest.raises(InputError) as caught:
        history.find(given)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_latest_of_several_studies_must_say_of_which(runs: Path) -> None:
    finish(runs, "small", 1)
    finish(runs, "other", 2)
    with pytest.raises(InputError, match="of which study\\? Allowed: other/latest, small/latest"):
        history.find("latest")
    with pytest.raises(InputError, match="small has no previous run"):
        history.find("small/previous")


def test_a_broken_entry_is_no_run(runs: Path) -> None:
    finish(runs, "small", 1)
    (runs / "small" / "history" / "20261121T120100Z-00000001" / "manifest.json").write_text("{")
    assert history.of_folder(runs / "small") == []
    assert history.of_study("small")[0].id == "00000001"  # its results are still in the study's folder


def test_a_study_that_was_never_finished(runs: Path) -> None:
    with pytest.raises(InputError, match=r"none: no finished run in .*runs\. Allowed: none, there are none"):
        history.show("none", as_json=False)


def test_the_same_run_says_nothing_changed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finish(runs, "small", 1)
    compare_page.show("small", "latest", as_json=False)
    assert "Nothing changed: both are the same results." in capsys.readouterr().out
    compare_page.show("small", "latest", as_json=True)
    assert json.loads(capsys.readouterr().out)["same"] is True


def test_what_changed_in_what_it_was_made_of(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finish(runs, "small", 1)
    finish(
        runs,
        "small",
        2,
        code={
            "evaluate": {"tasks/evaluate.py": "a", "tasks/models/rendering.py": "B"},
            "compare": {"tasks/compare.py": "c"},
        },
        data={"questions abacus/ledger test": "D"},
        models={"abacus-student": "other", "api:big": "e"},
        versions={"torch": "2.14.0", "vllm": "0.32.0"},
        failed={"finetune human/abacus/ledger seed 1": "killed"},
        study={"name": "small", "seeds": [0, 1, 2], "questions": {"evaluate": 60}, "method": {"epochs": 2}},
    )
    compare_page.show("previous", "latest", as_json=False)
    lines = capsys.readouterr().out.splitlines()
    for line in (
        "code      tasks/models/rendering.py  (evaluate)",
        "data      questions abacus/ledger test: other content",
        "models    abacus-student: other content",
        "study     method: – → {'epochs': 2}",
        "packages  torch: 2.13.0 → 2.14.0",
        "missing   finetune human/abacus/ledger seed 1: – → killed",
        "No number changed.",
    ):
        assert line in lines, line
    compare_page.show("previous", "latest", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["code"] == {"evaluate": ["tasks/models/rendering.py"]}
    assert found["versions"] == [{"what": "torch", "before": "2.13.0", "after": "2.14.0"}]
    assert all(cell["change"] == 0 for cell in found["cells"] if cell["score_before"] is not None)


def test_numbers_change_with_a_paired_interval(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, chances in ((1, {}), (2, BETTER)):
        as_made_by(finish(runs, "small", number, chances=chances), tmp_path / "store")
    found = compare(history.find("previous"), history.find("latest"), Store(tmp_path / "store"))
    assert found.paired
    by_name = {(cell.name[2], cell.name[6]): cell for cell in found.cells}
    human = by_name["human", "abacus/ledger"]
    assert human.score[1] - human.score[0] == pytest.approx(human.change, abs=1e-6)
    assert 0 < human.low < human.change < human.high
    assert human.items == human.asked == 60
    assert human.decided
    assert not by_name["self", "abacus/clock"].decided
    assert (UNTRAINED, "abacus/ledger") in by_name
    compare_page.show("previous", "latest", as_json=False)
    out = capsys.readouterr().out
    assert "What the study says" in out
    assert "* the change's 95 % interval, paired by question, leaves out zero" in out
    assert any(line.startswith("  *  abacus/ledger") and "human" in line for line in out.splitlines())


def test_only_questions_of_both_runs_are_paired(runs: Path, tmp_path: Path) -> None:
    for number, items in ((1, 40), (2, 60)):
        as_made_by(finish(runs, "small", number, items=items), tmp_path / "store")
    found = compare(history.find("previous"), history.find("latest"), Store(tmp_path / "store"))
    for cell in found.cells:
        assert (cell.items, cell.asked) == (40, 60)
        assert cell.low <= cell.change <= cell.high


def test_another_question_under_the_same_id_is_not_paired(runs: Path, tmp_path: Path) -> None:
    import pandas as pd

    first = finish(runs, "small", 1)
    as_made_by(first, tmp_path / "store")
    second = finish(runs, "small", 2)
    items = pd.read_parquet(second / "items.parquet")
    items["question"] = "Another one: " + items["question"]
    items.to_parquet(second / "items.parquet", index=False)
    as_made_by(second, tmp_path / "store")
    assert not compare(history.find("previous"), history.find("latest"), Store(tmp_path / "store")).paired


def test_without_the_answers_there_is_no_interval(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finish(runs, "small", 1)
    finish(runs, "small", 2, chances=BETTER)
    compare_page.show("previous", "latest", as_json=False)
    out = capsys.readouterr().out
    assert (
        "The answers of one of the runs are no longer kept: these changes have no interval, and may be chance." in out
    )
    assert " to " not in "".join(line for line in out.splitlines() if "abacus/ledger  human" in line)
    compare_page.show("previous", "latest", as_json=True)
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert {cell["change_ci_low"] for cell in cells} == {None}


def test_two_studies_may_be_compared(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finish(runs, "small", 1, code={"verify": {"tasks/verify.py": "a", "tasks/verifiers/exact.py": "e"}})
    finish(runs, "other", 2, code={"verify": {"tasks/verify.py": "A", "tasks/verifiers/number.py": "n"}})
    compare_page.show("small", "other", as_json=False)
    out = capsys.readouterr().out
    assert "Two studies: cells of the same names are compared." in out
    assert "code      tasks/verify.py  (verify)\n" in out
    assert "tasks/verifiers" not in out


def test_the_report_of_a_study_some_of_whose_steps_failed_is_shown(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = load("abacus")
    with pytest.raises(InputError, match=r"^abacus is not finished as its study file now stands; go on with: "):
        publishing.show(study, as_json=False)
    finish(runs, "abacus", 1, study=study.model_dump(mode="json"), failed={"generate teacher/abacus/boxes": "killed"})
    publishing.show(study, as_json=False)
    printed = capsys.readouterr()
    said = "Not finished: steps that failed: generate teacher/abacus/boxes. Go on with: mothertongue run abacus\n"
    assert printed.err == said
    assert printed.out.startswith("No single winner for abacus-student")
    assert printed.out.endswith("\nReport: runs/abacus/report.html\n")
    with pytest.raises(InputError, match="is not finished as its study file now stands"):
        publishing.show(load("abacus", ["seeds=[7]"]), as_json=False)


def test_a_run_of_an_earlier_version_did_not_note_its_code(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finish(runs, "small", 1)
    for path in (folder, folder / "history" / "20261121T120100Z-00000001"):
        manifest = json.loads((path / "manifest.json").read_text())
        for name in ("code", "data", "models"):
            del manifest[name]
        (path / "manifest.json").write_text(json.dumps(manifest))
    finish(runs, "small", 2)
    compare_page.show("previous", "latest", as_json=False)
    out = capsys.readouterr().out
    assert "not known code, data, models" in out
    assert "the same  study, packages" in out


def test_the_listing(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finish(runs, "small", 1)
    finish(runs, "small", 2)
    history.show("small", as_json=False)
    out = capsys.readouterr().out
    assert out.startswith("20261121T120200Z-00000002  (in runs/small)\n  ")
    assert out.endswith("mothertongue compare small/previous small/latest\n")
    history.show("small", as_json=True)
    listed = json.loads(capsys.readouterr().out)["runs"]
    assert [(line["run"], line["current"]) for line in listed] == [
        ("20261121T120200Z-00000002", True),
        ("20261121T120100Z-00000001", False),
    ]


FORMER_COLUMNS = ["arm", "size", "draws", "seed"]


def as_before_arms(folder: Path) -> None:
    """Make of a results folder what it was before studies had arms: fewer columns, other words."""
    import pandas as pd

    for name in ("summary.csv", "perplexity.csv"):
        table = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        table.drop(columns=[column for column in FORMER_COLUMNS if column in table]).to_csv(folder / name, index=False)
    if (folder / "items.parquet").is_file():
        items = pd.read_parquet(folder / "items.parquet").drop(columns=["arm", "size"])
        items.to_parquet(folder / "items.parquet", index=False)
    found = json.loads((folder / "verdict.json").read_text())
    for verdict in found["verdicts"]:
        del verdict["by_name"], verdict["size"]
        for claim in verdict["claims"]:
            claim["status"] = {"not shown": "undecided"}.get(claim["status"], claim["status"])
        for contrast in verdict["contrasts"]:
            former = {"not shown": "does not hold", "does not hold": "opposite"}
            contrast["status"] = former.get(contrast["status"], contrast["status"])
    (folder / "verdict.json").write_text(json.dumps(found))


def test_a_run_from_before_there_were_arms_is_compared_in_todays_words(runs: Path, tmp_path: Path) -> None:
    contrasts = (
        Contrast(claim="Human beats self.", better="human", than="self"),
        Contrast(claim="Teacher beats self.", better="teacher", than="self"),
    )
    former = finish(runs, "small", 1, contrasts=contrasts)
    as_before_arms(former)
    as_made_by(former, tmp_path / "store")
    as_before_arms(former / "history" / "20261121T120100Z-00000001")
    as_made_by(finish(runs, "small", 2, contrasts=contrasts), tmp_path / "store")
    before, after = history.find("previous"), history.find("latest")
    assert "arm" not in before.text("summary.csv").splitlines()[0]
    assert [contrast["status"] for contrast in before.verdicts[0]["contrasts"]] == ["does not hold", "not shown"]
    found = compare(before, after, Store(tmp_path / "store"))
    assert found.paired
    assert {cell.change for cell in found.cells} == {0.0}
    assert [found.changed_cells, found.perplexities, found.verdicts] == [[], [], []]


def test_arms_and_sizes_are_compared_each_with_itself(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = {"named": {"rft": ("self", "sft"), "dpo": ("pairs", "dpo")}, "sizes": (25, 100)}
    chances = [{UNTRAINED: (0.4, 0.4), "rft": (0.6, 0.4), "dpo": (dpo, 0.4)} for dpo in (0.6, 0.98)]
    for number, each in enumerate(chances, 1):
        as_made_by(finish(runs, "small", number, shape=shape | {"chances": each}), tmp_path / "store")
    found = compare(history.find("previous"), history.find("latest"), Store(tmp_path / "store"))
    by_name = {(cell.name[2], cell.name[5], cell.name[6]): cell for cell in found.cells}
    assert by_name["rft", "25", "abacus/ledger"].change == 0
    assert by_name["dpo", "100", "abacus/ledger"].decided
    assert by_name["dpo", "100", "abacus/ledger"].change > by_name["dpo", "25", "abacus/ledger"].change > 0
    compare_page.show("previous", "latest", as_json=False)
    assert any("dpo dpo size 100" in line and line.startswith("  *") for line in capsys.readouterr().out.splitlines())
    metrics = tracking.finished_in(runs / "small").metrics
    assert metrics["score/dpo size 100/abacus.ledger/abacus.ledger"] > 0.9
    assert "perplexity/dpo size 100/abacus.ledger" in metrics
