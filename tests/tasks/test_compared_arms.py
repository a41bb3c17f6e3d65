"""Arms of several methods, origins and sizes side by side: claims across methods, scaling curves, pooled draws."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.ui.study_tables import main_table, matrix, perplexity, verdict_counts
from tasks.compare import compare
from tasks.comparison.cell import UNTRAINED, Arm, ResponsesOf
from tasks.comparison.contrast import Contrast
from tasks.comparison.peers import peers
from tasks.comparison.records import Offered
from tasks.comparison.responses import by_question, perplexities, responses_of
from tasks.comparison.results import Results
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.report import render
from tasks.reporting.formatting import fact
from tasks.reporting.verdict_text import verdict_text
from tasks.storage.artifacts import Store
from tasks.storage.rows import Rows
from tests.tasks.simulated import Simulated, simulate

ARMS = {
    "sft": ("teacher", "sft"),
    "masked": ("teacher", "sft"),
    "rft": ("resampled", "sft"),
    "dpo": ("pairs", "dpo"),
}
CHANCES = {"base": (0.4, 0.4), "sft": (0.6, 0.4), "masked": (0.6, 0.42), "rft": (0.64, 0.42), "dpo": (0.9, 0.44)}
SIZES = (25, 100)
CONTRASTS = (
    Contrast(claim="Preferences beat rejection sampling.", better="dpo", than="rft"),
    Contrast(claim="Rejection sampling beats preferences.", better="rft", than="dpo"),
    Contrast(claim="Masking beats none.", better="masked", than="sft"),
)
OF_SIZES = (
    Contrast(claim="A quarter is enough.", better="dpo", better_size=25, than="sft", than_size=100),
    Contrast(claim="More hurts.", better="dpo", better_size=25, than="dpo"),
)


def arms_study(**shape: Any) -> Simulated:
    train, evaluate = ("abacus/ledger", "abacus/boxes"), ("abacus/ledger", "abacus/boxes", "abacus/clock")
    return simulate(train, evaluate, CHANCES, (0, 1), items=60, questions=20, named=ARMS, **shape)


def run(study: Simulated, folder: Path, contrasts: tuple[Contrast, ...] = CONTRASTS) -> Results:
    work = Work(folder, Runtime(Store(folder / "store")), "compare", {})
    compare.function(study.evaluated, study.offered, (), contrasts, work=work)
    return Results.read(folder)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    study = arms_study(sizes=SIZES, drawn_per_seed=("rft", "dpo"))
    return run(study, tmp_path_factory.mktemp("arms"), (*CONTRASTS, *OF_SIZES))


@pytest.fixture(scope="module")
def items(results: Results) -> pd.DataFrame:
    found = pd.read_parquet(results.folder / "items.parquet")
    names = ["train_benchmark", "arm", "eval_benchmark"]
    return found.assign(**{name: found[name].astype(str) for name in names})


def in_domain(items: pd.DataFrame, arm: str, size: int, on: str) -> float:
    mine = items[(items["arm"] == arm) & (items["size"] == size) & (items["eval_benchmark"] == on)]
    return float(mine[mine["train_benchmark"].isin([on, ""])]["score"].mean())


def test_arms_of_all_methods_are_in_one_verdict(results: Results) -> None:
    (verdict,) = results.verdicts
    assert (verdict["method"], verdict["size"], verdict["by_name"]) == ("dpo and sft", 100, True)
    assert {(s["arm"], s["origin"], s["method"]) for s in verdict["standings"]} == {
        (arm, *what) for arm, what in ARMS.items()
    }
    assert verdict["leaders"] == ["dpo"]
    assert verdict["sentence"].startswith("Arm dpo is best for abacus-student: ")
    assert "All of this is about 100 training questions, the largest size of the study." in verdict["details"]


def test_claims_across_methods_hold_do_not_hold_or_are_not_shown(results: Results) -> None:
    answers = results.verdicts[0]["contrasts"]
    assert [answer["status"] for answer in answers[:3]] == ["holds", "does not hold", "not shown"]
    text = verdict_text(results.folder)
    assert "  does not hold Rejection sampling beats preferences." in text
    assert "  not shown     Masking beats none." in text
    claims = {claim["text"]: claim["status"] for claim in results.verdicts[0]["claims"]}
    assert claims["Arm rft gives higher in-domain accuracy than arm dpo."] == "does not hold", "rft is more familiar"
    assert claims["Arm dpo raises in-domain accuracy over no training."] == "holds"


def test_a_claim_is_about_the_largest_size_alone(results: Results, items: pd.DataFrame) -> None:
    difference = [
        in_domain(items, "dpo", 100, on) - in_domain(items, "rft", 100, on) for on in ("abacus/boxes", "abacus/ledger")
    ]
    estimate = results.verdicts[0]["contrasts"][0]["estimate"]
    assert estimate["value"] == pytest.approx(sum(difference) / 2)
    assert estimate["low"] < estimate["value"] < estimate["high"]


def test_a_claim_may_be_about_other_sizes(results: Results, items: pd.DataFrame) -> None:
    fewer, itself = results.verdicts[0]["contrasts"][3:]
    for answer, than in ((fewer, "sft"), (itself, "dpo")):
        differences = [
            in_domain(items, "dpo", 25, on) - in_domain(items, than, 100, on)
            for on in ("abacus/boxes", "abacus/ledger")
        ]
        assert answer["estimate"]["value"] == pytest.approx(sum(differences) / 2)
    assert "dpo with 25 questions minus sft with 100 questions" in fewer["sentence"].lower()


def test_of_two_arms_with_the_same_responses_one_stands_for_both_in_claims_of_perplexity(results: Results) -> None:
    pairs = {frozenset((c["first"], c["second"])) for c in results.verdicts[0]["claims"] if c["kind"] == "perplexity"}
    assert pairs == {frozenset(pair) for pair in (("masked", "rft"), ("masked", "dpo"), ("rft", "dpo"))}


def test_the_summary_has_every_size(results: Results) -> None:
    summary = pd.read_csv(results.folder / "summary.csv")
    assert summary.groupby(["arm", "size"]).size().to_dict() == {(arm, size): 6 for arm in ARMS for size in SIZES}
    assert results.sizes == list(SIZES)
    assert set(results.of_largest(results.tables["summary"])["size"]) == {100}


def test_scaling_curves_are_what_the_items_say(results: Results, items: pd.DataFrame) -> None:
    table = pd.read_csv(results.folder / "scaling.csv", keep_default_na=False).set_index(
        ["train_benchmark", "arm", "size"]
    )
    assert len(table) == 3 * (4 * 2 + 1)
    places = {"abacus/boxes": ["abacus/boxes"], "abacus/ledger": ["abacus/ledger"]}
    places["*"] = ["abacus/boxes", "abacus/ledger"]
    for place, benchmarks in places.items():
        for arm, size in [(UNTRAINED, 0), *((arm, size) for arm in ARMS for size in SIZES)]:
            row = table.loc[place, arm, size]
            scores = [in_domain(items, arm, size, on) for on in benchmarks]
            assert row["score"] == pytest.approx(sum(scores) / len(scores), abs=1e-5)
            assert row["ci_low"] < row["score"] < row["ci_high"]
            assert row["n"] == 60 * len(benchmarks)
    assert table.loc["*", "dpo", 100]["origin"] == "pairs"


def test_a_study_of_one_size_has_no_curves(tmp_path: Path) -> None:
    results = run(arms_study(), tmp_path)
    assert (tmp_path / "scaling.csv").read_text() == (
        "student,train_benchmark,arm,origin,method,size,n,score,ci_low,ci_high\n"
    )
    assert "by number of training questions" not in render(results, "one size", {})


def response(id: str, sample: int, tokens: int, nll: float, verdict: str = "correct") -> dict[str, Any]:
    return {
        **{"id": id, "sample": sample, "question": "q", "gold": "g", "response": f"{id} {nll}", "verdict": verdict},
        **{"tokens": tokens, "nll": nll, "perplexity": math.exp(nll / tokens)},
    }


def test_draws_of_several_seeds_are_pooled_by_question() -> None:
    """Nats a token of question a: 1 and 2 (chosen in both draws), of b: 4 in the one draw it was chosen in."""
    draws = {
        0: [response("a", 0, 2, 2.0), response("b", 0, 3, 12.0), response("b", 1, 3, 3.0, "wrong")],
        1: [response("a", 0, 4, 8.0), response("b", 0, 3, 9.0, "wrong"), response("c", 0, 1, 1.0, "missing")],
    }
    chosen = {0: [("a", 0), ("b", 0)], 1: [("a", 0)]}
    offered = [
        Offered(
            *(ResponsesOf("s", "x", "rft", 50, seed), "resampled", Rows.of(rows), Rows.of(rows)),
            Rows.of([{"origin": "resampled", "id": id, "sample": sample} for id, sample in chosen[seed]]),
        )
        for seed, rows in draws.items()
    ]
    responses = responses_of(offered)
    assert responses["seed"].tolist() == [0, 0, 0, 1, 1, 1]
    (row,) = perplexities(responses).to_dict("records")
    assert (row["arm"], row["origin"], row["size"], row["draws"]) == ("rft", "resampled", 50, 2)
    assert (row["rows"], row["missing"], row["rows_trained"]) == (5, 1, 3)
    assert row["tokens_trained"] == pytest.approx((2 + 3 + 4) / 3)
    assert math.log(row["ppl_trained"]) == pytest.approx(((1 + 2) / 2 + 4) / 2)
    assert by_question(responses)["s", "rft", "x"][0].tolist() == pytest.approx([1.5, 4.0])


def test_examples_show_a_response_that_arms_share_once(results: Results) -> None:
    for example in results.examples["training"]:
        assert sorted(sorted(answer["arms"]) for answer in example["answers"]) == [["dpo"], ["masked", "sft"], ["rft"]]
    asked = {
        arm for example in results.examples["evaluation"] for answer in example["answers"] for arm in answer["arms"]
    }
    assert asked == {UNTRAINED, *ARMS}


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        (
            "once",
            "One draw of the training responses serves all seeds: intervals leave out what the sampling of data adds, "
            "but for dpo and rft, where each seed has its own.",
        ),
        (
            "per_seed",
            "Each seed trains on responses drawn for it: intervals include what the sampling of data adds, "
            "but for masked and sft, where all seeds have the same.",
        ),
    ],
)
def test_the_page_says_whether_intervals_include_the_sampling_of_data(
    results: Results, sampling: str, said: str
) -> None:
    assert f" {said}\n" in render(results, "arms", {"questions": {"sampling": sampling}})


def test_the_page_speaks_of_arms_and_draws_their_curves(results: Results) -> None:
    page = render(results, "arms", {})
    for heading in ("Arms side by side", "Accuracy by number of training questions"):
        assert f"<h2>{heading}</h2>" in page
    assert "What can be claimed of any two arms" in page
    assert 'aria-label="Accuracy in domain by number of training questions, one line an arm;' in page
    assert "dpo on pairs" in page
    pooled = results.tables["scaling"].set_index(["train_benchmark", "arm", "size"]).loc["*", "rft", 25]
    assert f">{100 * pooled['score']:.1f}<span" in re.sub(r"\s+", " ", page)


def test_seeds_of_an_arm_are_held_against_those_of_its_method_and_size() -> None:
    def arm(name: str, method: str, size: int = 100, on: str = "x") -> Arm:
        return Arm("s", on, name, name, method, size)

    named = [arm("sft", "sft"), arm("rft", "sft"), arm("dpo", "dpo"), arm("sft", "sft", 25), arm("sft", "sft", on="y")]
    found = peers(dict.fromkeys(((each, "x") for each in [*named, named[0].untrained]), None))  # type: ignore[arg-type]
    assert {peer.arm for peer in found(named[0], ["x"])} == {named[1], named[4]}
    assert {peer.arm for peer in found(named[0], ["x"]) if peer.kin} == {named[4]}
    assert {peer.arm for peer in found(named[2], ["x"])} == {named[0], named[1], named[4]}, (
        "it is alone with its method"
    )
    assert {peer.arm for peer in found(named[3], ["x"])} == set(), "no arm of its size"


def test_tables_have_all_digits_for_who_reads_them_again(results: Results) -> None:
    written = json.loads((results.folder / "verdict.json").read_text())["verdicts"][0]["standings"][0]["score"]["value"]
    pooled = (
        results.tables["scaling"]
        .set_index(["train_benchmark", "arm", "size"])
        .loc[
            "*",
            "dpo",
            100,
        ]["score"]
    )
    assert pooled == written


def test_tables_of_the_ui_name_arm_origin_and_size(results: Results) -> None:
    counts = next(row for row in verdict_counts(results) if (row["arm"], row["benchmark"]) == ("rft", "abacus/boxes"))
    assert (counts["origin"], counts["size"]) == ("resampled", "100")
    assert counts["responses"] == "40", "20 questions, drawn for each of two seeds"
    assert counts["correct, %"] == f"{100 * int(counts['correct']) / 40:.1f}"
    assert [row["responses"] for row in perplexity(results) if row["arm"] == "sft"] == ["20", "20"]
    rows = main_table(results)
    assert len(rows) == 2 * 3 * 4 * 2
    assert {row["method"] for row in rows if row["arm"] == "dpo"} == {"dpo"}
    lines = matrix(results).splitlines()
    summary = results.tables["summary"].set_index(["train_benchmark", "arm", "size", "eval_benchmark"])
    score = summary.loc["abacus/boxes", "rft", 25, "abacus/boxes"]["score"]
    assert any(line.startswith(f"| abacus/boxes | rft, size 25 | **{100 * score:.1f} (") for line in lines)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (-20.3, "−20.30"),
        (0.25, "0.25"),
        (0.0123456, "0.01235"),
        (1200, "1\N{NARROW NO-BREAK SPACE}200"),
        (math.nan, "–"),
        ({"near_duplicate": 3, "noise": 1200, "empty": 0}, "near duplicate 3, noise 1\N{NARROW NO-BREAK SPACE}200"),
        ({}, "–"),
    ],
)
def test_facts_are_said_with_the_digits_that_matter(value: float | dict[str, int], said: str) -> None:
    assert fact(value) == said
