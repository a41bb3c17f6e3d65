"""Benchmarks are found by name, known by content, and read with every row accounted for."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from data import benchmark, benchmarks
from data.benchmark import Benchmark, find, matching, names, questions_of
from data.errors import InputError
from data.source import Files, Hub
from tasks import verifiers
from tasks.identity import encode
from tasks.questions import questions

ROWS = Path(__file__).parents[1] / "rows"


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
        "from data.benchmark import Benchmark, prompt\nfrom data.source import Hub\n"
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
    with pytest.raises(InputError, match=r"'gms8k' \(did you mean gsm8k\?\). Allowed: abacus/.*, gsm8k"):
        find("gms8k")
    with pytest.raises(InputError, match="no benchmark is called 'abbacus/"):
        matching("abbacus/*")
    with pytest.raises(InputError, match="no prompt is called 'questoin'"):
        benchmark.prompt("questoin")


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
    (made,) = questions_of(files(tmp_path, [row(1, level="hard", answer="x", verdict="y")]), "train", None, 0)
    assert made["level"] == "hard"
    assert not {"answer", "verdict"} & set(made)


def test_content_makes_the_key_not_the_path(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    here, there = files(tmp_path / "a", [row(1)]), files(tmp_path / "b", [row(1)])
    assert key(here) == key(there)
    assert key(here) != key(files(tmp_path / "b", [row(2)]))
    assert key(here) != key(Benchmark("mine", here.source, "number", "", gold="reference", splits=("train",)))
    assert key(here) == key(Benchmark("mine", here.source, "exact", "other {{ question }}", splits=("train",)))


def test_another_split_does_not_change_the_key_of_one(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps({"question": "a", "answer": "#### 1"}))
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": "b", "answer": "#### 2"}))
    before = key(find("gsm8k").at(tmp_path).only("train"))
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": "c", "answer": "#### 3"}))
    assert key(find("gsm8k").at(tmp_path).only("train")) == before


def test_a_reading_function_is_part_of_the_key() -> None:
    code = questions(find("gsm8k"), "train", None, 0).ingredients["code"]
    assert "data/benchmarks/gsm8k.py" in code
    assert "data/abacus/ledger.py" not in code
    assert "data/abacus/ledger.py" in questions(find("abacus/ledger"), "train", 5, 0).ingredients["code"]


def test_functions_whose_code_could_not_be_in_the_key_are_refused() -> None:
    with pytest.raises(ValueError, match="must be a function at the top of a module"):
        Benchmark("x", find("gsm8k").source, "number", "", gold=lambda row: row["gold"])


def test_a_hub_name_is_pinned() -> None:
    with pytest.raises(ValueError, match="'main' is no commit"):
        Hub("openai/gsm8k", "main", "main")
    encode(find("gsm8k"), lambda function: None)


def test_a_hub_data_set_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local folder of the hub's layout in place of a hub name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "gsm8k"
    (folder / "main").mkdir(parents=True)
    rows = [json.loads(line) for line in (ROWS / "gsm8k.jsonl").read_text().splitlines()]
    for split in ("train", "test"):
        pq.write_table(pa.Table.from_pylist(rows), folder / "main" / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train-*\n"
        "  - split: test\n    path: main/test-*\n---\n"
    )
    gsm8k = find("gsm8k")
    loaded = Benchmark("gsm8k", Hub(str(folder), "main", "0" * 40), "number", "", gold=gsm8k.gold, reference=None)
    assert [made["gold"] for made in questions_of(loaded, "test", None, 0)] == ["120", "900", "1,080"]
    assert questions_of(gsm8k.at(folder), "test", None, 0)[0]["gold"] == "120"
    missing = Benchmark("x", Hub(str(folder), "socratic", "0" * 40), "number", "")
    with pytest.raises(InputError, match="cannot be loaded"):
        questions_of(missing, "test", None, 0)


def key(of: Benchmark) -> str:
    return questions(of, "train", None, 0).key
