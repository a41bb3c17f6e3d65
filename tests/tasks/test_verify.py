"""Verifiers judge the cases in tests/cases (one a line, each with its source); the stage fails closed."""

import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import InputError
from tasks import verifiers
from tasks.errors import StageFailed
from tasks.rows import Rows
from tasks.runtime import Runtime
from tasks.stage import execute, stage
from tasks.store import Store
from tasks.verifiers import Verdict, find
from tasks.verifiers.number import read
from tasks.verify import verify

CASES = Path(__file__).parents[1] / "cases"


def cases() -> Iterator[Any]:
    for name in verifiers.names():
        for number, line in enumerate((CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines(), start=1):
            yield pytest.param(name, json.loads(line), id=f"{name}-{number}")


@pytest.mark.parametrize(("name", "case"), cases())
def test_case(name: str, case: dict[str, Any]) -> None:
    row = {"id": "1", **case}
    del row["verdict"], row["answer"]
    (judged,) = list(verify.function(Rows.of([row]), find(name), limit=1.0))
    assert (judged["verdict"], judged["answer"]) == (case["verdict"], case["answer"]), case["source"]


def test_there_are_cases_for_each_verifier() -> None:
    assert {path.stem for path in CASES.glob("*.jsonl")} >= set(verifiers.names())
    assert len(list(cases())) >= 120


@pytest.mark.parametrize("name", verifiers.names())
@given(response=st.text(), marked=st.booleans())
def test_no_response_breaks_a_verifier(name: str, response: str, marked: bool) -> None:
    text = f"Final answer: {response}" if marked else response
    gold = "1" if name == "number" else "A"
    assert find(name)(text, {"gold": gold}).verdict in ("correct", "wrong", "unparseable")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20), st.integers(0, 4))
def test_a_number_is_read_exactly_however_it_is_written(number: Decimal, zeros: int) -> None:
    plain = f"{number:f}" if "." in f"{number:f}" else f"{number:f}.0"
    for text in (
        plain + "0" * zeros,
        f"{number:,f}",
        f"${number:f}" if not number.is_signed() else f"-${number.copy_negate():f}",
    ):
        assert Fraction(read(text)) == Fraction(number)
    assert read(plain) == read(f"{number:,f}")


def test_a_new_verifier_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "always.py").write_text(
        "from tasks.verifiers import Verdict\ndef judge(response, row):\n    return Verdict('correct', response)\n"
    )
    monkeypatch.setattr(verifiers, "__path__", [*verifiers.__path__, str(tmp_path)])
    try:
        (row,) = verify.function(Rows.of([answered(1, gold="x")]), find("always"))
        assert row["verdict"] == "correct"
    finally:
        sys.modules.pop("tasks.verifiers.always", None)


def test_an_unknown_verifier_is_named_with_the_nearest_and_all() -> None:
    with pytest.raises(InputError, match=r"'numbr' \(did you mean number\?\). Allowed: choice, exact, number"):
        find("numbr")


def test_what_a_verifier_raises_is_an_error_not_a_wrong_answer() -> None:
    (row,) = verify.function(Rows.of([{"id": "1", "response": "x", "gold": "1"}]), breaks, limit=1.0)
    assert row["verdict"] == "error"
    (row,) = verify.function(Rows.of([{"id": "1", "response": None, "gold": "1"}]), find("number"), limit=1.0)
    assert row["verdict"] == "error"


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
    assert artifact.facts == {"correct": 95, "wrong": 0, "unparseable": 0, "error": 5}
    assert len(artifact.rows()) == 100


def test_the_verifier_is_part_of_the_key() -> None:
    assert verify(twelves(), find("number")).key != verify(twelves(), find("exact")).key
    assert "tasks/final_answer.py" in verify(twelves(), find("number")).ingredients["code"]


def answered(number: int, gold: str) -> dict[str, str]:
    return {"id": str(number), "response": "Final answer: 12", "gold": gold}


def breaks(response: str, row: dict[str, Any]) -> Verdict:
    raise ZeroDivisionError("broken")


@stage()
def twelves() -> list[dict[str, str]]:
    return [answered(number, gold="twelve" if number < 5 else "12") for number in range(100)]
