"""A comparison that lacks arms: claims that need them are not made, the others stand as they would have alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.compare import compare
from tasks.comparison.cell import UNTRAINED, Cell
from tasks.comparison.contrast import Contrast
from tasks.comparison.records import MissingCell
from tasks.comparison.results import Results
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.report import render
from tasks.reporting.verdict_text import verdict_text
from tasks.storage.artifacts import Store
from tests.tasks.simulated import Simulated, simulate

WHY = "generate self/abacus/boxes failed: no engine for broken: its folder holds no model"
CONTRASTS = (
    Contrast(claim="Self beats human.", better="self", than="human"),
    Contrast(claim="Teacher beats human.", better="teacher", than="human"),
    Contrast(claim="Self is more familiar than human.", better="self", than="human", on="perplexity"),
    Contrast(claim="Teacher keeps more than human.", better="teacher", than="human", on="other"),
)


def run(study: Simulated, folder: Path, lost: Callable[[Cell], bool]) -> dict[str, Any]:
    """The verdict without the cells that are lost; an origin without any arm on a benchmark has no responses there."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = [i for i, name in enumerate(study.names) if not lost(name)]
    missing = tuple(name for name in study.names if lost(name))
    whole = {(name.student, name.train_benchmark, name.arm) for name in missing}
    whole -= {(name.student, name.train_benchmark, name.arm) for name in (study.names[i] for i in kept)}
    work = Work(folder, Runtime(Store(folder / "store")), "compare test", {})
    compare.function(
        tuple(study.evaluated[i] for i in kept),
        tuple(one for one in study.offered if (one.of.student, one.of.train_benchmark, one.of.arm) not in whole),
        tuple(MissingCell(cell, WHY) for cell in missing),
        CONTRASTS,
        work=work,
    )
    found: dict[str, Any] = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    return found


def without_self_on_boxes(cell: Cell) -> bool:
    return cell.origin == "self" and cell.train_benchmark == "abacus/boxes"


@pytest.fixture(scope="module")
def study() -> Simulated:
    return simulate()


@pytest.fixture(scope="module")
def whole(study: Simulated, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(study, tmp_path_factory.mktemp("whole"), lambda cell: False)["verdicts"][0]


@pytest.fixture(scope="module")
def folder(study: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("without")
    run(study, folder, without_self_on_boxes)
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "verdict.json").read_text(encoding="utf-8")))


def test_a_claim_about_a_lost_arm_is_missing_and_says_which(found: dict[str, Any]) -> None:
    for claim in found["verdicts"][0]["claims"]:
        sides = f"{claim['first']} {claim['second']}"
        assert (claim["status"] == "missing") == ("self" in sides), claim
        if claim["status"] == "missing":
            assert claim["sentence"] == "Nothing is claimed: self on abacus/boxes is missing."
            assert claim["estimate"]["value"] is None
            assert claim["lacking"] == ["self on abacus/boxes"]


def test_claims_of_the_study_file_are_missing_too(found: dict[str, Any]) -> None:
    assert [answer["status"] for answer in found["verdicts"][0]["contrasts"]] == [
        "missing",
        "holds",
        "missing",
        "holds",
    ]


def test_other_claims_are_what_they_were_and_not_computed_on_less(found: dict[str, Any], whole: dict[str, Any]) -> None:
    def estimates(verdict: dict[str, Any]) -> dict[tuple[str, str, str], Any]:
        return {
            (c["kind"], c["first"], c["second"]): (c["estimate"]["value"], c["estimate"]["items"], c["status"])
            for c in verdict["claims"]
            if "self" not in str(c["text"])
        }

    kept, before = estimates(found["verdicts"][0]), estimates(whole)
    assert kept == before
    assert len(kept) >= 7
    assert found["verdicts"][0]["train_benchmarks"] == ["abacus/boxes", "abacus/ledger"]


def test_the_answer_is_among_those_that_have_all_their_arms(found: dict[str, Any]) -> None:
    verdict = found["verdicts"][0]
    assert verdict["leaders"] == ["teacher"]
    assert verdict["details"][0] == "Not compared: self, of which arms are missing."
    standing = next(each for each in verdict["standings"] if each["arm"] == "self")
    assert standing["score"]["value"] is None
    alone = next(
        each for each in verdict["arms"] if (each["arm"], each["train_benchmarks"]) == ("self", ["abacus/ledger"])
    )
    assert alone["score"]["value"] > 0.7, "what was measured on one benchmark is kept"


def test_one_lost_seed_is_not_averaged_away(study: Simulated, tmp_path: Path) -> None:
    found = run(study, tmp_path, lambda cell: without_self_on_boxes(cell) and cell.seed == 1)
    claims = {(c["kind"], c["first"], c["second"]): c["status"] for c in found["verdicts"][0]["claims"]}
    assert claims["in_domain", "self", "human"] == "missing"
    assert claims["in_domain", "teacher", "human"] == "holds"
    assert claims["perplexity", "self", "human"] == "holds", "its responses are there"


def test_what_is_left_of_an_arm_does_not_decide_how_many_seeds_there_are(study: Simulated, tmp_path: Path) -> None:
    found = run(study, tmp_path, lambda cell: without_self_on_boxes(cell) and cell.seed > 0)
    verdict = found["verdicts"][0]
    assert verdict["seeds"] == 3
    assert not any(line.startswith("One seed") for line in verdict["details"])


def test_a_lost_evaluation_takes_only_claims_about_other_benchmarks(study: Simulated, tmp_path: Path) -> None:
    found = run(study, tmp_path, lambda cell: cell.origin == "human" and cell.eval_benchmark == "abacus/clock")
    by_kind: dict[str, set[str]] = {}
    for claim in found["verdicts"][0]["claims"]:
        if "human" in (claim["first"], claim["second"]):
            by_kind.setdefault(claim["kind"], set()).add(claim["status"])
    assert by_kind["elsewhere"] == by_kind["loss"] == {"missing"}
    assert "missing" not in by_kind["in_domain"] | by_kind["gain"] | by_kind["perplexity"]


def test_a_lost_benchmark_leaves_no_answer_but_the_single_ones(study: Simulated, tmp_path: Path) -> None:
    found = run(study, tmp_path, lambda cell: cell.train_benchmark == "abacus/boxes")
    verdict = found["verdicts"][0]
    assert "cannot be said: arms of human, self and teacher are missing" in verdict["sentence"]
    assert verdict["leaders"] == []
    assert any(each["score"]["value"] for each in verdict["arms"] if each["train_benchmarks"] == ["abacus/ledger"])
    assert verdict["sentence"] in verdict_text(tmp_path)
    render(Results.read(tmp_path), "lost", {})


def test_the_untrained_model_is_needed_for_every_change(study: Simulated, tmp_path: Path) -> None:
    found = run(study, tmp_path, lambda cell: cell.origin == UNTRAINED and cell.eval_benchmark == "abacus/boxes")
    statuses = {c["kind"]: c["status"] for c in found["verdicts"][0]["claims"] if c["first"] == "self"}
    assert statuses["gain"] == "missing"


def test_what_is_missing_is_told_once_with_its_reason(folder: Path) -> None:
    text = verdict_text(folder)
    assert "Missing cells: 15" in text
    assert f"  self on abacus/boxes (15 cells): {WHY}" in text
    assert "claims are not made, since an arm is missing that they need" in text
    page = render(Results.read(folder), "abacus", {})
    assert "self on abacus/boxes" in page
    assert page.count(WHY) == 1
    assert "<b>15 cells are missing</b>" in page


def test_nothing_is_missing_in_a_whole_study(study: Simulated, whole: dict[str, Any], tmp_path: Path) -> None:
    assert not any(claim["status"] == "missing" or claim["lacking"] for claim in whole["claims"])
    assert run(study, tmp_path, lambda cell: False)["missing"] == []
