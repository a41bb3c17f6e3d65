"""A response that is missing is in no figure from the file to the report's table; an empty one is a response."""

import math
from pathlib import Path
from typing import Any

import pytest

from tasks.comparison.cell import ResponsesOf
from tasks.comparison.records import Offered
from tasks.comparison.responses import perplexities, responses_of
from tasks.kinds.verifiers import find
from tasks.models.model import Model, resolve
from tasks.origins.minimum_change import summary as kept_summary
from tasks.origins.minimum_change import words_kept
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.score import familiarity, score, summary
from tasks.select import Match
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tasks.verification.missing_response import from_file, is_missing
from tasks.verify import counts, verify
from tests.tasks.selected import selected

SAID = "She has 12.\nFinal answer: 12"


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return resolve(str(tiny_model))


def rows(*responses: str | None, **more: Any) -> list[Row]:
    return [
        {"id": f"q{n}", "sample": 0, "question": f"Ann has {n}.", "gold": "12", "response": text, **more}
        for n, text in enumerate(responses)
    ]


def through(given: list[Row], model: Model) -> Rows:
    """What the chain makes of responses: judged and scored, in the order of the questions."""
    judged = Rows.of(list(verify.function(Rows.of(given), find("number"))))
    return Rows.of(sorted(score.function(judged, model, "{{ question }}"), key=lambda row: row["id"]))


@pytest.mark.parametrize("missing", [{"response": None}, {"response": "", "finish": "error"}, {"finish": "no_room"}])
def test_a_missing_response_is_in_no_figure(missing: Row, model: Model) -> None:
    whole = rows(SAID, SAID, SAID)
    one_gone = [*whole[:2], {**whole[2], **missing}]
    found, without = through(one_gone, model), through(whole[:2], model)
    assert familiarity(found) == familiarity(without) | {"missing": 1}
    last = found[2]
    assert (last["response"], last["verdict"], last["tokens"]) == (None, "missing", None)
    assert all(math.isnan(last[name]) for name in ("nll", "perplexity", "score"))
    assert counts(found) == {"correct": 2, "wrong": 0, "unparseable": 0, "error": 0, "missing": 1}


def test_an_empty_response_is_in_the_figures(model: Model) -> None:
    found = through(rows(SAID, ""), model)
    assert familiarity(found)["scored"] == 2
    assert [row["verdict"] for row in found] == ["correct", "unparseable"]


def test_nothing_but_missing_responses_is_said(model: Model) -> None:
    found = through(rows(None, None), model)
    with pytest.raises(StageFailed, match="there is no response to score: all of them are missing"):
        summary(found)


def test_the_table_of_perplexities_counts_them_by_arm(model: Model) -> None:
    scored = {"self": through(rows(SAID, SAID, None), model), "human": through(rows(SAID, SAID), model)}
    offered = [Offered(ResponsesOf("s", "b", arm), arm, made, made) for arm, made in scored.items()]
    table = perplexities(responses_of(offered)).set_index("origin")
    assert dict(table["missing"]) == {"human": 0, "self": 1}
    assert dict(table["rows"]) == {"human": 2, "self": 2}
    for column in ("ppl_mean", "ppl_median", "ppl_corpus", "tokens_mean", "pass_rate"):
        assert table.loc["self", column] == pytest.approx(table.loc["human", column])


@pytest.mark.parametrize("correct", ["only", "any", "same"])
def test_no_arm_is_trained_on_one(correct: Any, model: Model, tmp_path: Path) -> None:
    work = Work(tmp_path, Runtime(Store(tmp_path)), "select", {})
    scored = {"self": through(rows(SAID, SAID, None), model), "human": through(rows(SAID, SAID, SAID), model)}
    taken = selected(scored, Match(correct=correct, minimum=1), None, 0, work=work)
    assert sorted((row["origin"], row["id"]) for row in taken) == [
        *(("human", "q0"), ("human", "q1"), ("self", "q0"), ("self", "q1"))
    ]
    own = work.facts["origins"]["self"]
    assert (own["responses"], own["verdicts"]["missing"], own["pass_rate"]) == (2, 1, 1.0)


def test_what_is_made_of_a_draft_may_be_missing() -> None:
    made = Rows.of(list(words_kept.function(Rows.of(rows(SAID, None, draft=SAID)))))
    assert made.column("words_kept") == [1.0, None]
    assert kept_summary(made) == {"words_kept": 1.0, "unchanged": 1.0}


@pytest.mark.parametrize(
    ("value", "csv", "text"),
    [
        (None, False, None),
        (math.nan, False, None),
        ("", True, None),
        ("", False, ""),
        (" ", False, " "),
        ("nan", False, "nan"),
        (12, False, "12"),
        ("12</s>", False, "12"),
    ],
)
def test_what_a_file_says_is_missing(value: Any, csv: bool, text: str | None) -> None:
    found, _ = from_file("x, row 1", {"response": value}, "response", csv)
    assert found == text
    assert is_missing({"response": found}) == (text is None)
