"""Stages whose rows do not fit into memory: the same results as for few rows, and flat memory."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from data.benchmark import Benchmark, questions_of
from data.errors import InputError
from data.user_benchmark import Columns, UserBenchmark
from tasks import questions as asking
from tasks.origins.imported import ResponsesFile, imported
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.questions import questions
from tasks.selection.match import Match
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, RowFile, Rows, Streamed, in_tables, to_table
from tests.tasks.selected import selected


def own(tmp_path: Path, rows: list[Row], **columns: str) -> Benchmark:
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    mine = UserBenchmark(name="own", train="own.jsonl", verifier="number", columns=Columns(**columns))
    return mine.resolve([tmp_path])


def rows_of(count: int) -> list[Row]:
    return [
        {"name": f"n{i}", "question": f"What is {i}?", "gold": str(i), "level": None if i < 60 else i, "tags": [str(i)]}
        for i in range(count)
    ]


@pytest.mark.parametrize("count", [None, 100, 37])
def test_a_large_source_gives_the_questions_that_a_small_one_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int | None
) -> None:
    benchmark = own(tmp_path, rows_of(100), id="name")
    small = execute(questions(benchmark, "train", count, 3), Runtime(Store(tmp_path / "small")))[0]
    monkeypatch.setattr(asking, "HELD", 30)
    monkeypatch.setattr(asking, "GROUP", 7)
    large = execute(questions(benchmark, "train", count, 3), Runtime(Store(tmp_path / "large")))[0]
    assert list(large.rows()) == list(small.rows()) == questions_of(benchmark, "train", count, 3)
    assert large.path("rows.parquet").read_bytes() == small.path("rows.parquet").read_bytes()


def test_what_is_wrong_far_down_in_a_large_source_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "HELD", 30)
    monkeypatch.setattr(asking, "GROUP", 7)
    rows = rows_of(100)
    with pytest.raises(InputError, match=r"own.jsonl, row 91: id 'n5' stands already at .*own.jsonl, row 6"):
        questions.function(own(tmp_path, [*rows[:90], {**rows[90], "name": "n5"}], id="name"), "train", 10, 0)
    objects = [{**row, "extra": {"a": "x" if number == 80 else 1}} for number, row in enumerate(rows)]
    with pytest.raises(InputError, match=r"own/train: column 'extra' holds values"):
        questions.function(own(tmp_path, objects), "train", 10, 0)
    with pytest.raises(InputError, match="own/train: has 100 questions, 101 were asked for"):
        questions.function(own(tmp_path, rows), "train", 101, 0)


def test_responses_are_joined_in_the_order_of_the_file_wherever_they_stand(tmp_path: Path) -> None:
    asked = Rows.of([{"id": f"q{i}", "question": f"What is {i % 900}?"} for i in range(1000)])  # some twice
    given = [{"question": f"what is  {i}?", "response": f"{i} {n}"} for i in range(950) for n in range(20)]
    random.Random(0).shuffle(given)
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given))
    work = Work(tmp_path / "work", Runtime(Store(tmp_path)), "imported", {})
    made = imported.function(asked, ResponsesFile(path=tmp_path / "r.jsonl"), work=work)
    assert len(made) == 20_000
    by_question: dict[str, list[str]] = {}
    for row in given:
        by_question.setdefault(row["question"].replace("  ", " "), []).append(row["response"])
    expected = [
        (row["id"], sample, text)
        for row in asked
        for sample, text in enumerate(by_question[row["question"].casefold()])
    ]
    assert [(row["id"], row["sample"], row["response"]) for row in made] == expected
    assert (work.facts["answered"], work.facts["responses"], work.facts["unused"]) == (1000, 20_000, 50 * 20)


def response(id: int, sample: int, **other: object) -> Row:
    said = {"response": f"{id} {sample}", "verdict": "correct", "tokens": id % 9, "perplexity": 2.0}
    return {"id": f"q{id}", "sample": sample, **said, **other}


@pytest.mark.parametrize("kept_on_disk", [True, False])
def test_origins_in_different_orders_are_put_into_the_first_ones(tmp_path: Path, kept_on_disk: bool) -> None:
    forward = [response(id, sample) for id in range(9000) for sample in (0, 1)]
    backward = [response(id, 0, style="plain") for id in reversed(range(4000))]
    mixed = [response(id, sample) for sample in (1, 0) for id in range(3000)]  # a question's rows lie apart
    scored = {"a": Rows.of(forward), "b": Rows.of(backward), "c": Rows.of(mixed)}
    work = Work(tmp_path, Runtime(Store(tmp_path)), "select", {}) if kept_on_disk else None
    made = selected(scored, Match(), 2000, 0, work=work)
    assert len(made) == 6000
    taken = [[row["id"] for row in made if row["origin"] == origin] for origin in scored]
    assert taken[0] == taken[1] == taken[2]
    assert [int(id[1:]) for id in taken[0]] == sorted(int(id[1:]) for id in taken[0])
    assert {row["sample"] for row in made} == {0}
    assert {row["style"] for row in made if row["origin"] == "b"} == {"plain"}


def test_rows_can_be_read_from_anywhere(tmp_path: Path) -> None:
    rows = [{"id": i, "text": f"t{i}"} for i in range(1000)]
    with RowFile(tmp_path / "rows.parquet", group=64) as file:
        for table in in_tables(rows, 100):
            file.add(table)
    schema = pa.schema({"id": pa.int64(), "text": pa.string()})
    kinds: list[Rows] = [
        Rows.of(rows),
        Rows([tmp_path / "rows.parquet"]),
        Rows([tmp_path / "rows.parquet", tmp_path / "rows.parquet"])[:1000],
        Streamed(schema, 1000, lambda: [to_table(rows[at : at + 90]) for at in range(0, 1000, 90)]),
    ]
    for kind in kinds:
        assert len(kind) == 1000
        assert kind.columns == ["id", "text"]
        for start in (0, 63, 64, 65, 500, 999, 1000):
            assert [id for b in kind.batches(["id"], start) for id in b.column("id").to_pylist()] == list(
                range(start, 1000)
            )
        assert list(kind) == rows


CHAIN = """
import resource, sys
from pathlib import Path
from data.benchmark import find
from data.user_benchmark import Columns, UserBenchmark
from tasks.leak import leak
from tasks.questions import questions
from tasks.origins.human import references
from tasks.storage.rows import RowFile, Rows, in_tables
from tasks.pipeline.runtime import Runtime
from tasks.selection.match import Match
from tasks.select import select
from tasks.pipeline.execution import execute
from tasks.storage.artifacts import Store
from tasks.kinds.verifiers import find as judge
from tasks.training_rows import training_rows
from tasks.verify import verify

folder, count = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir()
rows = ({"name": f"n{i}", "question": f"What is {i} and {i}?", "gold": str(2 * i), "worked": f"A: {2 * i}"}
        for i in range(count))
with RowFile(folder / "own.parquet") as file:
    for table in in_tables(rows):
        file.add(table)
columns = Columns(id="name", reference="worked")
own = UserBenchmark(name="own", train="own.parquet", verifier="number", columns=columns).resolve([folder])
asked = questions(own, "train", None, 0)
verified = verify(references(asked, "reference"), judge("number"))
chosen = select({"human": verified}, {"human": verified}, Match(), None, 0)
taken = training_rows(chosen, verified, "human")
runtime = Runtime(Store(folder / "store"))
for node in (asked, leak(train={"own": asked}, evaluation={"ledger": questions(find("abacus/ledger"), "test", 20, 0)}),
             *chosen.upstream[0].upstream, verified, chosen, taken):
    execute(node, runtime)
assert execute(taken, runtime)[0].manifest["rows"] == count
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_ten_times_the_questions_take_no_more_memory(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        command = [sys.executable, "-c", CHAIN, str(tmp_path / str(count)), str(count)]
        ended = subprocess.run(command, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return int(ended.stdout.splitlines()[-1])

    few, many = peak(10_000), peak(100_000)
    assert many < 1.3 * few, f"{few} KiB for 10,000 questions, {many} KiB for 100,000"
