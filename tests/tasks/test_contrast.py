"""Claims of a study file: refused where they name nothing, answered by the same paired comparisons as the verdict."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.errors import InputError
from flows.config.study_file import load
from tasks.compare import compare
from tasks.comparison.contrast import Contrast
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.reporting.verdict_text import verdict_text
from tasks.storage.artifacts import Store
from tests.tasks.simulated import CHANCES, Simulated, simulate

CONTRASTS = (
    Contrast(claim="Self beats human.", better="self", than="human"),
    Contrast(claim="Human beats self.", better="human", than="self"),
    Contrast(claim="Teacher beats self.", better="teacher", than="self"),
    Contrast(claim="Self keeps more than human.", better="self", than="human", on="other"),
    Contrast(claim="Self is more familiar than human.", better="self", than="human", on="perplexity"),
    Contrast(claim="Human costs other benchmarks.", better="base", than="human", on="other"),
    Contrast(claim="Training on self helps.", better="self", than="base"),
    Contrast(claim="Lost.", better="self@lost", than="human"),
    Contrast(claim="Equal length.", better="self@same_length", than="human@same_length"),
)


def run(study: Simulated, folder: Path, contrasts: tuple[Contrast, ...] = CONTRASTS) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    work = Work(folder, Runtime(Store(folder / "store")), "compare", {})
    compare.function(study.evaluated, study.offered, (), contrasts, work=work)
    found: dict[str, Any] = json.loads((folder / "verdict.json").read_text())["verdicts"][0]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    chances = {**CHANCES, "teacher": (0.84, 0.48), "self@same_length": (0.8, 0.5), "human@same_length": (0.6, 0.4)}
    run(simulate(chances=chances, seeds=(0, 1)), folder)
    return folder


@pytest.fixture(scope="module")
def verdict(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "verdict.json").read_text())["verdicts"][0])


def test_each_claim_is_answered(verdict: dict[str, Any]) -> None:
    assert [answer["status"] for answer in verdict["contrasts"]] == [
        *("holds", "does not hold", "not shown", "holds", "holds", "holds", "holds", "undefined", "holds")
    ]
    assert [answer["claim"] for answer in verdict["contrasts"]] == [contrast.claim for contrast in CONTRASTS]


def test_an_answer_is_the_paired_estimate_of_the_verdict(verdict: dict[str, Any]) -> None:
    claims = {(c["kind"], c["first"], c["second"]): c["estimate"] for c in verdict["claims"]}
    answers = {answer["claim"]: answer["estimate"] for answer in verdict["contrasts"]}
    assert answers["Self beats human."] == claims["in_domain", "self", "human"]
    assert answers["Self keeps more than human."] == claims["elsewhere", "self", "human"]
    assert answers["Self is more familiar than human."] == claims["perplexity", "self", "human"]
    assert answers["Human costs other benchmarks."] == claims["loss", "human", "base"]
    assert answers["Human beats self."]["value"] == -answers["Self beats human."]["value"]


def test_p_values_are_adjusted_over_the_contrasts(verdict: dict[str, Any]) -> None:
    defined = [answer for answer in verdict["contrasts"] if answer["p_holm"] is not None]
    assert len(defined) == len(CONTRASTS) - 1
    assert max(answer["p_holm"] / max(answer["estimate"]["p"], 1e-300) for answer in defined) == pytest.approx(8)


def test_sentences_carry_intervals_and_undefined_says_so(verdict: dict[str, Any], folder: Path) -> None:
    for answer in verdict["contrasts"]:
        assert ("95 % interval" in answer["sentence"]) == (answer["status"] != "undefined")
    assert verdict["contrasts"][1]["sentence"].startswith("The opposite. Human minus self: −")
    assert "no training minus human" in verdict["contrasts"][5]["sentence"].lower()
    assert "  does not hold Human beats self." in verdict_text(folder)
    assert "  not shown     Teacher beats self." in verdict_text(folder)


def test_control_arms_answer_claims_and_compete_with_none(verdict: dict[str, Any]) -> None:
    assert [standing["arm"] for standing in verdict["controls"]] == ["human@same_length", "self@same_length"]
    assert {standing["arm"] for standing in verdict["standings"]} == {"self", "teacher", "human"}
    assert not any("@" in claim["first"] + claim["second"] for claim in verdict["claims"])
    assert {arm["arm"] for arm in verdict["arms"]} == {"self", "teacher", "human"}
    assert "@" not in verdict["sentence"]


def test_with_many_origins_the_headline_stays_short(tmp_path: Path) -> None:
    names = ["self", "teacher", "human", *(f"origin_{number}" for number in range(9))]
    chances = {"base": (0.5, 0.5)} | {name: (0.9 if name == "self" else 0.55, 0.5) for name in names}
    found = run(simulate(chances=chances, seeds=(0,), items=60), tmp_path, ())
    assert found["leaders"] == ["self"]
    assert "above human" in found["sentence"]
    assert found["sentence"].count("95 % interval") <= 2
    assert "ahead of all 11 others" in found["sentence"]
    assert len([claim for claim in found["claims"] if claim["kind"] == "in_domain"]) == 66 + 1
    chances["teacher"] = chances["origin_3"] = (0.88, 0.5)
    tied = run(simulate(chances=chances, seeds=(0,), items=60), tmp_path / "tied", ())
    assert len(tied["leaders"]) == 3
    assert tied["sentence"].count("95 % interval") <= 3
    assert len(tied["sentence"]) < 400


def test_of_those_tied_the_headline_says_what_they_cost_elsewhere(tmp_path: Path) -> None:
    chances = {"base": (0.5, 0.5), "self": (0.9, 0.2), "teacher": (0.9, 0.8), "human": (0.6, 0.5)}
    found = run(simulate(chances=chances, seeds=(0, 1)), tmp_path, ())
    assert set(found["leaders"]) == {"self", "teacher"}
    best = found["leaders"][0]
    other, more, verb = ("teacher", "less", "costs") if best == "self" else ("self", "more", "raises")
    *_, change, apart, _smallest_gain = found["details"]
    assert change.startswith(f"It {verb} accuracy on the other benchmarks: ")
    between = next(
        c for c in found["claims"] if c["kind"] == "elsewhere" and {c["first"], c["second"]} == {best, other}
    )
    size = abs(between["estimate"]["value"])
    assert apart.startswith(f"There it leaves {100 * size:.1f} points {more} than {other} does (95 % interval ")


STUDY: dict[str, Any] = {
    "name": "claims",
    "student": "abacus-student",
    "train": ["abacus/boxes"],
    "evaluate": ["abacus/*"],
    "origins": {"human": {}, "self": {}},
    "controls": {"same_length": {"origins": ["human", "self"], "match": {"tokens": 0.05}}},
}


def written(folder: Path, contrast: str) -> str:
    file = folder / "claims.yaml"
    file.write_text(yaml.safe_dump(STUDY) + f"contrasts:\n  - {contrast}\n")
    return str(file)


@pytest.mark.parametrize(
    ("contrast", "message"),
    [
        ("{claim: x, better: self, than: humn}", r"contrasts\.0\.than: no arm is called 'humn' .*human, .*base"),
        ("{claim: x, better: slf, than: human}", r"contrasts\.0\.better: no arm is called 'slf'"),
        ("{claim: x, better: self@length, than: human}", r"contrasts\.0\.better: .*self@same_length"),
        ("{claim: x, better: self, than: self}", r"contrasts\.0: .*both self"),
        ("{claim: x, better: self, than: human, on: elsewhere}", r"contrasts\.0\.on: 'elsewhere' .*'other'"),
        ("{claim: x, better: self, than: base, on: perplexity}", r"contrasts\.0: .*no training has none"),
        (
            "{claim: x, better: self, than: human, than_size: 5, on: other}",
            r"contrasts\.0: .*sizes are not allowed with",
        ),
        ("{claim: x, better: self, than: human, than_size: 5}", r"contrasts\.0\.than_size: 5 is not .* without sizes"),
        ("{better: self, than: human}", r"contrasts\.0\.claim: missing"),
    ],
)
def test_a_wrong_contrast_is_refused_in_one_line(tmp_path: Path, contrast: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        load(written(tmp_path, contrast))
    assert "\n" not in str(error.value)


def test_contrasts_are_read_with_the_bare_key_on_and_with_controls(tmp_path: Path) -> None:
    study = load(written(tmp_path, "{claim: x, better: self@same_length, than: human@same_length, on: other}"))
    assert study.contrasts[0].on == "other"


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_one_seed_is_said_to_tell_of_the_questions_alone(seeds: tuple[int, ...], tmp_path: Path) -> None:
    found = run(simulate(seeds=seeds, items=20), tmp_path, ())
    said = "One seed: intervals and p-values are of the questions alone, not of the luck of training."
    assert (said in found["details"]) == (len(seeds) == 1)
