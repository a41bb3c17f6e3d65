"""Verifiers judge the cases in tests/cases (one a line, each with its source); the stage fails closed."""

import json
import math
import os
import re
import string
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks.verifiers
from data.errors import InputError
from tasks.kinds import verifiers
from tasks.kinds.verifiers import Verdict, find
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import stage
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Store
from tasks.storage.rows import Rows
from tasks.verifiers import ni_exact, rouge_l, span
from tasks.verify import verify

CASES = Path(__file__).parents[1] / "cases"
REAL = Path(os.environ.get("MOTHERTONGUE_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")
IN_SANDBOX = ("code",)
"""Verifiers that run programs; their cases are judged in tests/tasks/test_sandbox.py, where a sandbox is asked for."""

TEXTUAL = tuple(name for name in verifiers.names() if name not in IN_SANDBOX)
GOLDS: dict[str, dict[str, Any]] = {
    "number": {"gold": "1"},
    "math": {"gold": "\\frac{x}{2}"},
    "label": {"gold": "A b", "labels": ["A b", "b"]},
}


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", TEXTUAL)
def test_cases(name: str) -> None:
    """One test for all of a verifier's cases: there are two thousand, and each test costs more than a verdict."""
    other: list[str] = []
    for number, case in enumerate(cases(name), start=1):
        row = {name: value for name, value in case.items() if name not in ("verdict", "answer", "score")}
        (judged,) = list(verify.function(Rows.of([{"id": "1", **row}]), find(name), limit=1.0))
        columns = [column for column in ("verdict", "answer", "score") if column in case]
        found, expected = ([each.get(column) for column in columns] for each in (judged, case))
        if found != [pytest.approx(value, abs=1e-9) if isinstance(value, float) else value for value in expected]:
            other.append(f"{name}.jsonl, line {number}: {found}, not {expected}: {case['source']}")
    assert not other, "\n".join(other)


def test_there_are_cases_for_each_verifier() -> None:
    assert {path.stem for path in CASES.glob("*.jsonl")} >= set(verifiers.names())
    for name in TEXTUAL:
        rows = cases(name)
        assert len(rows) >= 25
        assert all(row["source"] for row in rows)
        assert {"correct", "wrong", "unparseable"} <= {row["verdict"] for row in rows}
    assert sum(len(cases(name)) for name in TEXTUAL) >= 400


def test_no_case_stands_twice() -> None:
    for path in CASES.glob("*.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        asked = Counter(json.dumps({k: v for k, v in row.items() if k != "source"}, sort_keys=True) for row in rows)
        assert not [row for row, count in asked.items() if count > 1], path.name


@pytest.mark.parametrize("name", TEXTUAL)
@settings(deadline=None)
@given(response=st.text(), marked=st.booleans())
def test_no_response_breaks_a_verifier(name: str, response: str, marked: bool) -> None:
    text = f"Final answer: {response}" if marked else response
    judged = find(name)(text, GOLDS.get(name, {"gold": "A"}))
    assert judged.verdict in ("correct", "wrong", "unparseable")
    assert 0 <= judged.score <= 1


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="0123456789xy+-*/^_=<>(){}[],.;:!%$| \\", max_size=25))
def test_no_formula_breaks_the_math_verifier(formula: str) -> None:
    judged = find("math")(f"\\boxed{{{formula}}}", {"gold": "x+1"})
    assert judged.verdict in ("correct", "wrong", "unparseable")


WORDS = st.lists(
    st.sampled_from(["a", "an", "the", "cat", "Dog", "u.s.", "-", "?", "\u00e9", "\u6771", "\u2019", "1,0"]), max_size=5
).map(" ".join)


@given(st.lists(WORDS, max_size=3), WORDS.filter(str.strip))
def test_span_scores_as_the_official_script(answers: list[str], said: str) -> None:
    judged = find("span")(said, {"answers": answers})
    golds = [gold for gold in answers if squad_normal(gold)] or [""]
    assert (judged.verdict == "correct") == any(squad_normal(gold) == squad_normal(said) for gold in golds)
    assert judged.score == pytest.approx(max(squad_f1(gold, said) for gold in golds))


@given(st.lists(WORDS.filter(str.strip), min_size=1, max_size=3), WORDS.filter(str.strip))
def test_natural_instructions_scores_as_the_official_script(references: list[str], said: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    row = {"references": references, "gold": references[0]}
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    if not rouge_l.foreign("".join(references)):
        best = max(scorer.score(prediction=said, target=text)["rougeL"].fmeasure for text in references)
        assert find("rouge_l")(said, row).score == pytest.approx(best)
    exact = any(ni_normal(said) == ni_normal(text) for text in references)
    assert (find("ni_exact")(said, row).verdict == "correct") == exact
    assert ni_exact.normal(said) == ni_normal(said)


def test_span_totals_are_apart_for_answerable_and_unanswerable_and_drop_no_row() -> None:
    asked = (("in France", ["France"]), ("France", ["France"]), ("", ["France"]), ("unanswerable", []), ("x", []))
    rows = [{"id": str(n), "response": f"Final answer: {a}", "answers": g} for n, (a, g) in enumerate(asked)]
    found = span.totals(verify.function(Rows.of(rows), find("span")))
    assert found["HasAns_exact"] == pytest.approx(100 / 3)
    assert found["HasAns_f1"] == pytest.approx(100 * (2 / 3 + 1) / 3)
    assert (found["NoAns_exact"], found["NoAns_total"], found["total"]) == (50, 2, 5)
    assert found["exact"] == pytest.approx(40)
    assert math.isnan(span.totals(rows[:0])["HasAns_f1"])


def test_span_agrees_with_the_official_rule_on_real_questions() -> None:
    file = REAL / "squad2" / "dev-16-articles.json"
    if not file.is_file():
        pytest.skip(f"no {file}; set MOTHERTONGUE_DATA to a folder that has squad2/")
    paragraphs = [p for article in json.loads(file.read_text())["data"] for p in article["paragraphs"]]
    asked = [(p["context"], q) for p in paragraphs for q in p["qas"]]
    exact = f1 = 0.0
    rows = []
    for number, (context, question) in enumerate(asked):
        words = context.split()
        answers = [a["text"] for a in question["answers"]]
        said = (words[number % len(words)], "", *answers[:1], " ".join([*answers[:1], words[0]]))[
            number % 4 if answers else number % 2
        ]
        golds = [a for a in answers if squad_normal(a)] or [""]
        exact += max(squad_normal(a) == squad_normal(said) for a in golds)
        f1 += max(squad_f1(a, said) for a in golds)
        rows.append({"id": str(number), "response": f"Final answer: {said or 'unanswerable'}", "answers": answers})
    found = span.totals(verify.function(Rows.of(rows), find("span")))
    assert (found["total"], found["HasAns_total"]) == (6078, 2910)
    assert found["exact"] == pytest.approx(100 * exact / len(asked))
    assert found["f1"] == pytest.approx(100 * f1 / len(asked))


def test_math_reads_every_gold_number_of_gsm8k_as_number_does() -> None:
    file = REAL / "gsm8k" / "model_solutions.jsonl"
    if not file.is_file():
        pytest.skip(f"no {file}; set MOTHERTONGUE_DATA to a folder that has gsm8k/")
    golds = {
        row["question"]: row["answer"].rpartition("####")[2].strip()
        for row in map(json.loads, (file.parent / "test.jsonl").read_text(encoding="utf-8").splitlines())
    }
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    differ = []
    for row in rows:
        as_math = find("math")(row["response"], {"gold": golds[row["question"]]}).verdict
        as_number = find("number")(row["response"], {"gold": golds[row["question"]]}).verdict
        if (as_math == "correct") != (as_number == "correct"):
            differ.append((row["response"][-60:], golds[row["question"]], as_math, as_number))
    assert not differ


def squad_normal(text: str) -> str:
    """As evaluate-v2.0.py has it, in its own steps: lower, punctuation, articles, white space."""
    kept = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept, flags=re.UNICODE).split())


def squad_f1(gold: str, said: str) -> float:
    want, have = squad_normal(gold).split(), squad_normal(said).split()
    same = sum((Counter(want) & Counter(have)).values())
    if not want or not have:
        return float(want == have)
    return 2 * same / (len(want) + len(have))


def ni_normal(text: str) -> str:
    """As evaluation.py of Natural Instructions has it."""
    return " ".join("".join(char for char in text.lower() if char not in set(string.punctuation)).split())


def test_a_new_verifier_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "always.py").write_text(
        "from tasks.kinds.verifiers import Verdict\n"
        "def judge(response, row):\n    return Verdict('correct', response)\n"
    )
    monkeypatch.setattr(tasks.verifiers, "__path__", [*tasks.verifiers.__path__, str(tmp_path)])
    try:
        (row,) = verify.function(Rows.of([answered(1, gold="x")]), find("always"))
        assert row["verdict"] == "correct"
    finally:
        sys.modules.pop("tasks.verifiers.always", None)


def test_an_unknown_verifier_is_named_with_the_nearest_and_all() -> None:
    allowed = "character_lcs, choice, .*exact, .*number"
    with pytest.raises(InputError, match=rf"'numbr' \(did you mean number\?\). Allowed: {allowed}"):
        find("numbr")


def test_what_a_verifier_raises_is_an_error_not_a_wrong_answer() -> None:
    (row,) = verify.function(Rows.of([{"id": "1", "response": "x", "gold": "1"}]), breaks, limit=1.0)
    assert row["verdict"] == "error"
    (row,) = verify.function(Rows.of([{"id": "1", "response": 5, "gold": "1"}]), find("number"), limit=1.0)
    assert row["verdict"] == "error"


@pytest.mark.parametrize(
    "row", [{"response": None}, {"response": "", "finish": "error"}, {"response": None, "finish": "stop"}]
)
def test_a_missing_response_is_neither_wrong_nor_an_error(row: dict[str, Any]) -> None:
    (made,) = verify.function(Rows.of([{"id": "1", "gold": "1", **row}]), find("number"))
    assert (made["verdict"], made["answer"]) == ("missing", None)
    assert math.isnan(made["score"])


def test_an_empty_response_is_a_response() -> None:
    (made,) = verify.function(Rows.of([{"id": "1", "gold": "1", "response": ""}]), find("number"))
    assert (made["verdict"], made["score"]) == ("unparseable", 0.0)


def test_too_many_errors_fail_the_stage_and_name_rows_and_reason() -> None:
    rows = Rows.of([answered(number, gold="twelve" if number < 2 else "12") for number in range(100)])
    with pytest.raises(StageFailed, match=r"2 of 100 .* 1.0% allowed.*'twelve' is no number.*First rows: 0, 1"):
        list(verify.function(rows, find("number")))


def test_few_errors_are_kept_as_errors() -> None:
    rows = Rows.of([answered(number, gold="twelve" if number == 0 else "12") for number in range(100)])
    verdicts = [row["verdict"] for row in verify.function(rows, find("number"))]
    assert verdicts.count("error") == 1
    assert verdicts.count("correct") == 99


def test_a_failed_stage_fails_again_on_the_next_try(tmp_path: Path) -> None:
    runtime = Runtime(Store(tmp_path))
    source = twelves()
    execute(source, runtime)
    node = verify(source, find("number"))
    for _ in range(2):
        with pytest.raises(StageFailed, match="5 of 100"):
            execute(node, runtime)


def test_verdicts_are_counted_in_the_manifest(tmp_path: Path) -> None:
    runtime = Runtime(Store(tmp_path))
    execute(twelves(), runtime)
    artifact, _ = execute(verify(twelves(), find("number"), limit=0.05), runtime)
    assert artifact.facts == {"correct": 95, "wrong": 0, "unparseable": 0, "error": 5, "missing": 0}
    assert len(artifact.rows()) == 100


def test_the_verifier_is_part_of_the_key() -> None:
    assert verify(twelves(), find("number")).recipe != verify(twelves(), find("exact")).recipe
    assert "tasks/answer/final_answer.py" in verify(twelves(), find("number")).described["code"]


def answered(number: int, gold: str) -> dict[str, str]:
    return {"id": str(number), "response": "Final answer: 12", "gold": gold}


def breaks(response: str, row: dict[str, Any]) -> Verdict:
    raise ZeroDivisionError("broken")


@stage()
def twelves() -> list[dict[str, str]]:
    return [answered(number, gold="twelve" if number < 5 else "12") for number in range(100)]
