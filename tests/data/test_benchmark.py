"""Benchmarks are found by name, known by content, and read with every row accounted for."""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from data import benchmark, benchmarks, kinds
from data.benchmark import Benchmark, find, matching, names, questions_of
from data.errors import InputError
from data.prompt import prompt
from data.row_values import Row
from data.source import Files, Hub
from tasks.kinds import verifiers
from tasks.kinds.stages import contract
from tasks.pipeline.cache_key import encode
from tasks.questions import questions
from tests.data.layouts import from_hub, hub_folder
from tests.data.layouts import rows as rows_in


def files(tmp_path: Path, rows: list[dict[str, Any]], **options: Any) -> Benchmark:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Benchmark("mine", Files({"train": (path,)}), "number", "{{ question }}", splits=("train",), **options)


def row(number: int, **other: Any) -> dict[str, Any]:
    return {"question": f"What is {number} + 1?", "gold": number + 1, "reference": None, **other}


def test_every_benchmark_has_a_verifier_a_prompt_and_a_licence() -> None:
    assert {"gsm8k", "abacus/ledger"} <= set(names())
    for name in names():
        found = find(name)
        assert found.name == name
        assert callable(verifiers.find(found.verifier))
        assert "{{ question }}" in found.prompt
        assert found.licence != "not stated"


def test_a_new_benchmark_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sums.py").write_text(
        "from data.benchmark import Benchmark\nfrom data.prompt import prompt\nfrom data.source import Hub\n"
        "BENCHMARKS = (Benchmark('sums', Hub('a/sums', 'main', '0' * 40), 'number', prompt('question')),)\n"
    )
    monkeypatch.setattr(benchmarks, "__path__", [*benchmarks.__path__, str(tmp_path)])
    benchmark._all.cache_clear()
    try:
        assert "sums" in names()
        assert find("sums").verifier == "number"
    finally:
        sys.modules.pop("data.benchmarks.sums", None)
        benchmark._all.cache_clear()


def test_unknown_names_are_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(InputError, match=r"'gms8k' \(did you mean gsm8k\?\). Allowed: abacus/.*, gsm8k, "):
        find("gms8k")
    with pytest.raises(InputError, match="no benchmark is called 'abbacus/"):
        matching("abbacus/*")
    with pytest.raises(InputError, match="no prompt is called 'questoin'"):
        prompt("questoin")


def test_families_of_many_names_are_said_as_one() -> None:
    allowed = ["a/one", "a/two", "b", *(f"c/{n}" for n in range(5)), "d"]
    assert kinds.unknown("benchmark", "zzz", allowed) == (
        "no benchmark is called 'zzz'. Allowed: a/one, a/two, b, c/* (5), d"
    )


def test_a_pattern_stands_for_all_that_match() -> None:
    assert [found.name for found in matching("abacus/*")] == [name for name in names() if name.startswith("abacus/")]
    assert [found.name for found in matching("gsm8k")] == ["gsm8k"]


def test_a_generated_benchmark_gives_questions_by_seed() -> None:
    ledger = find("abacus/ledger")
    first = questions_of(ledger, "train", 20, 0)
    assert first == questions_of(ledger, "train", 20, 0)
    assert first[:5] == questions_of(ledger, "train", 5, 0)
    assert first != questions_of(ledger, "train", 20, 1)
    assert {"id", "question", "gold", "reference", "reference_terse"} <= set(first[0])
    with pytest.raises(InputError, match="abacus/ledger/train: its questions are generated; say how many"):
        questions_of(ledger, "train", None, 0)
    with pytest.raises(InputError, match=r"no split is called 'pretrain' .*Allowed: train, test"):
        questions_of(ledger, "pretrain", 5, 0)
    with pytest.raises(InputError, match=r"has about .* questions, 10000000 were asked for"):
        questions_of(find("abacus/clock"), "test", 10_000_000, 0)


def test_a_part_is_random_nested_and_in_order(tmp_path: Path) -> None:
    mine = files(tmp_path, [row(number) for number in range(100)])
    ten, thirty = (questions_of(mine, "train", count, 7) for count in (10, 30))
    assert [made["id"] for made in ten] == sorted(made["id"] for made in ten)
    assert {made["id"] for made in ten} < {made["id"] for made in thirty}
    assert ten != questions_of(mine, "train", 10, 8)
    assert questions_of(mine, "train", None, 7)[3] == {
        "id": "train/000003",
        "question": "What is 3 + 1?",
        "gold": "4",
        "reference": None,
    }
    with pytest.raises(InputError, match="mine/train: has 100 questions, 101 were asked for"):
        questions_of(mine, "train", 101, 7)
    with pytest.raises(InputError, match="0 questions were asked for"):
        questions_of(mine, "train", 0, 7)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [row(1), {"question": "x", "reference": None}],
            {},
            r"rows.jsonl, row 2: column 'gold' is missing \(has: question",
        ),
        ([row(1), row(2, gold=" ")], {}, r"rows.jsonl, row 2: column 'gold' is empty"),
        ([row(1), row(2, reference=[1])], {}, r"rows.jsonl, row 2: column 'reference' is a list"),
        ([row(1, id="a"), row(2, id="a")], {"id": "id"}, r"row 2: id 'a' stands already at .*rows.jsonl, row 1"),
        ([row(1, level=1), row(2, level="hard")], {}, r"row 2: column 'level' is text, in earlier rows it is a number"),
    ],
)
def test_a_broken_row_is_named(
    tmp_path: Path, rows: list[dict[str, Any]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        questions_of(files(tmp_path, rows, **options), "train", None, 0)


def test_other_columns_stay_unless_a_stage_will_add_them(tmp_path: Path) -> None:
    mine = files(tmp_path, [row(1, level="hard", answer="x", verdict="y", origin="z")])
    (made,) = questions_of(mine, "train", None, 0, contract(mine.verifier))
    assert set(made) == {"id", "question", "gold", "reference", "level"}


def test_content_makes_the_key_not_the_path(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    here, there = files(tmp_path / "a", [row(1)]), files(tmp_path / "b", [row(1)])
    assert key(here) == key(there)
    assert key(here) != key(files(tmp_path / "b", [row(2)]))
    assert key(here) != key(Benchmark("mine", here.source, "number", "", gold="reference", splits=("train",)))
    assert key(here) == key(Benchmark("mine", here.source, "exact", "other {{ question }}", splits=("train",)))


def shaped(raw: Row) -> Row:
    if raw["n"] < 0:
        raise ValueError(f"column 'n' is {raw['n']}; allowed: 0 or more")
    return {
        "id": raw["name"],
        "question": f"{raw['n']} + 1?",
        "gold": raw["n"] + 1,
        "reference": None,
        "right": [raw["n"]],
    }


def small(row: Row, split: str) -> bool:
    return bool(row["gold"] < 10)


def test_rows_are_shaped_kept_and_joined(tmp_path: Path) -> None:
    given = [{"name": "a", "n": 1}, {"name": "a", "n": 2}, {"name": "b", "n": 50}, {"name": "c", "n": 4}]
    mine = files(tmp_path, given, row=shaped, keep=small, joined="right", id="id", labels=("yes", "no"))
    assert questions_of(mine, "train", None, 0) == [
        {"id": "a", "question": "1 + 1?", "gold": "2", "reference": None, "right": [1, 2], "labels": ["yes", "no"]},
        {"id": "c", "question": "4 + 1?", "gold": "5", "reference": None, "right": [4], "labels": ["yes", "no"]},
    ]
    with pytest.raises(InputError, match=r"rows.jsonl, row 1: column 'n' is missing \(has: name, m\)"):
        questions_of(files(tmp_path, [{"name": "a", "m": 1}], row=shaped), "train", None, 0)
    with pytest.raises(InputError, match=r"rows.jsonl, row 1: column 'n' is -1; allowed: 0 or more"):
        questions_of(files(tmp_path, [{"name": "a", "n": -1}], row=shaped), "train", None, 0)
    with pytest.raises(InputError, match="mine/train: none of its source's rows is a question of this split"):
        questions_of(files(tmp_path, [{"name": "a", "n": 11}], row=shaped, keep=small), "train", None, 0)


@pytest.mark.parametrize(
    ("verifier", "other", "message"),
    [
        ("label", {}, r"row 1: the verifier label needs a column 'labels': a list with the answers that are allowed"),
        ("label", {"labels": []}, r"row 1: column 'labels' is \[\]; allowed: a list of texts"),
        ("label", {"labels": ["3", "4"]}, "row 1: the gold answer '2' is none of the labels: 3, 4"),
        ("label", {"labels": "2, 3"}, r"row 1: column 'labels' is text; allowed: a list \(in CSV, as JSON\)"),
        ("span", {"answers": None}, "row 1: column 'answers' is null; allowed: a list of texts with the right answers"),
        ("span", {"answers": [2]}, r"row 1: column 'answers' is \[2\]; allowed: a list of texts"),
        ("rouge_l", {}, "row 1: the verifier rouge_l needs a column 'references'"),
        ("ni_exact", {"references": {}}, "row 1: column 'references' is {}; allowed: a list of texts"),
    ],
)
def test_what_a_verifier_needs_is_checked_when_rows_are_read(
    tmp_path: Path, verifier: str, other: dict[str, Any], message: str
) -> None:
    mine = replace(files(tmp_path, [row(1, **other)]), verifier=verifier)
    with pytest.raises(InputError, match=message):
        questions_of(mine, "train", None, 0, contract(verifier))


def test_another_split_does_not_change_the_key_of_one(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps({"question": "a", "answer": "#### 1"}))
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": "b", "answer": "#### 2"}))
    before = key(find("gsm8k").at(tmp_path).only("train"))
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": "c", "answer": "#### 3"}))
    assert key(find("gsm8k").at(tmp_path).only("train")) == before


def test_what_shapes_and_chooses_rows_is_part_of_the_key() -> None:
    code = questions(find("gsm8k"), "train", None, 0).described["code"]
    assert "data/benchmarks/gsm8k.py" in code
    assert "data/abacus/ledger.py" not in code
    assert "data/abacus/ledger.py" in questions(find("abacus/ledger"), "train", 5, 0).described["code"]
    whole, algebra = (questions(find(name), "train", None, 0) for name in ("math", "math/algebra"))
    assert whole.described["code"]["data/benchmarks/math.py"] != algebra.described["code"]["data/benchmarks/math.py"]


def test_functions_whose_code_could_not_be_in_the_key_are_refused() -> None:
    with pytest.raises(ValueError, match="must be a function at the top of a module"):
        Benchmark("x", find("gsm8k").source, "number", "", row=lambda row: row)


def test_a_hub_name_is_pinned() -> None:
    with pytest.raises(ValueError, match="'main' is no commit"):
        Hub("openai/gsm8k", "main", "main")
    encode(find("gsm8k"), lambda function: function.__name__)


def test_a_hub_data_set_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local folder of the hub's layout in place of a hub name."""
    gsm8k = find("gsm8k")
    folder = hub_folder(tmp_path / "gsm8k", "main", dict.fromkeys(("train", "test"), rows_in("gsm8k.jsonl")))
    loaded = from_hub(gsm8k, folder, monkeypatch)
    assert [made["gold"] for made in questions_of(loaded, "test", None, 0)] == ["120", "900", "1,080"]
    assert questions_of(gsm8k.at(folder), "test", None, 0)[0]["gold"] == "120"
    missing = Benchmark("x", Hub(str(folder), "socratic", "0" * 40), "number", "")
    with pytest.raises(InputError, match="cannot be loaded"):
        questions_of(missing, "test", None, 0)


def test_another_commit_in_the_cache_is_not_taken_for_the_pinned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network `datasets` would take it."""
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    folder = hub_folder(tmp_path / "sums", "main", {"train": [row(1)]})
    local = Benchmark("sums", Hub(str(folder), "main", "0" * 40), "number", "")
    loaded = from_hub(local, folder, monkeypatch)
    assert len(questions_of(loaded, "train", None, 0)) == 1
    (built,) = (path for path in (folder / "cache/sums/main/0.0.0").iterdir() if path.is_dir())
    cached = folder / "cache" / "someone___sums" / "main" / "0.0.0"
    cached.mkdir(parents=True)
    built.rename(cached / ("1" * 40))
    pinned = Benchmark("sums", Hub("someone/sums", "main", "1" * 40), "number", "")
    assert len(questions_of(pinned, "train", None, 0)) == 1
    other = Benchmark("sums", Hub("someone/sums", "main", "2" * 40), "number", "")
    with pytest.raises(ConnectionError, match=f"commit {'2' * 40} is not cached, {'1' * 40} is, and no hub answers"):
        questions_of(other, "train", None, 0)


def key(of: Benchmark) -> str:
    return questions(of, "train", None, 0).recipe


def by_length(most: int, question: str, response: str) -> str:
    return "hasty" if len(response) < most else "careful"


def test_an_approach_is_a_function_whose_code_can_be_part_of_a_key(tmp_path: Path) -> None:
    words = {"approaches": ("careful", "hasty")}
    found = files(tmp_path, [row(1)], approach=partial(by_length, 9), feedback=partial(by_length, 9), **words)
    assert found.identity() == files(tmp_path, [row(1)]).identity(), "questions are the same"

    def nested(question: str, response: str) -> str:
        return "hasty"

    for hidden in (nested, partial(nested), lambda question, response: "hasty"):
        with pytest.raises(ValueError, match="must be a function at the top of a module"):
            files(tmp_path, [row(1)], approach=hidden, **words)
        with pytest.raises(ValueError, match="must be a function at the top of a module"):
            files(tmp_path, [row(1)], feedback=hidden)
    for options in ({"approach": by_length}, {"approach": by_length, "approaches": ("careful",)}, words):
        with pytest.raises(ValueError, match="go together"):
            files(tmp_path, [row(1)], **options)
