"""Parts of an unfinished artifact: in order again whatever the order was, told apart, and never all in memory."""

import random
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.resources.errors import StageFailed
from tasks.storage import external_sort, partial_rows
from tasks.storage.external_sort import Run, merged, write_run
from tasks.storage.partial_rows import PartialRows
from tasks.storage.rows import Row, RowFile, Rows, in_tables, to_table


def source(count: int) -> Rows:
    return Rows.of([{"id": f"q{i}", "text": f"question {i}"} for i in range(count)])


def answer(row: Row, samples: int = 1) -> list[Row]:
    return [{**row, "sample": sample, "answer": f"{row['id']} {sample}"} for sample in range(samples)]


def finished(folder: Path, count: int, order: str, samples: int = 1, flush: int = 7) -> bytes:
    """The bytes of `rows.parquet` when rows are finished in some order, a part every few rows."""
    made = PartialRows(folder, source(count))
    rows = list(made.pending())
    match order:
        case "backwards":
            rows.reverse()
        case "shuffled":
            random.Random(1).shuffle(rows)
        case "two ends":
            rows = [row for pair in zip(rows[: count // 2], reversed(rows), strict=False) for row in pair]
    for number, row in enumerate(rows):
        made.add(list(reversed(answer(row, samples))))
        if number % flush == flush - 1:
            made.flush()
    assert made.finish("test") == count * samples
    return (folder / "rows.parquet").read_bytes()


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("order", ["backwards", "shuffled", "two ends"])
def test_the_order_in_which_rows_are_finished_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str, samples: int
) -> None:
    forward = finished(tmp_path / "forward", 600, "forward", samples, flush=600)
    monkeypatch.setattr(external_sort, "WINDOW", 50)
    monkeypatch.setattr(external_sort, "MOST_OPEN", 4)
    monkeypatch.setattr(external_sort, "RUN_GROUP", 3)
    assert finished(tmp_path / order, 600, order, samples) == forward
    rows = Rows([tmp_path / order / "rows.parquet"])
    assert rows.column("answer") == [f"q{i} {sample}" for i in range(600) for sample in range(samples)]
    assert "__position__" not in rows.columns
    assert not (tmp_path / order / "parts" / "longer").exists()


def test_few_runs_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_sort, "MOST_OPEN", 4)
    monkeypatch.setattr(external_sort, "WINDOW", 10)
    runs = []
    for number in range(30):  # each reaches over all positions
        rows = [{"id": position} for position in range(number, 300, 30)]
        write_run(tmp_path / f"{number}.parquet", to_table(rows), [row["id"] for row in rows])
        runs.append(Run.read(tmp_path / f"{number}.parquet"))
    open_now: list[int] = []
    most = [0]
    reader = external_sort._Reader

    class Counted(reader):  # type: ignore[valid-type, misc]
        def __init__(self, run: Run) -> None:
            super().__init__(run)
            open_now.append(1)
            most[0] = max(most[0], len(open_now))

        def close(self) -> None:
            super().close()
            if open_now:
                open_now.pop()

    monkeypatch.setattr(external_sort, "_Reader", Counted)
    tables = list(merged(runs, tmp_path / "longer"))
    assert [id for table in tables for id in table.column("id").to_pylist()] == list(range(300))
    assert max(table.num_rows for table in tables) <= 20
    assert most[0] <= 4


def test_a_second_try_is_given_only_what_is_missing(tmp_path: Path) -> None:
    first = PartialRows(tmp_path, source(9000))
    for row in first.pending():
        if int(row["id"][1:]) % 3:
            first.add(answer(row))
    first.flush()
    again = PartialRows(tmp_path, source(9000))
    assert again.units == 6000
    left = again.pending()
    assert len(left) == 3000
    assert left.columns == ["id", "text"]
    assert [row["id"] for row in left] == left.column("id") == [f"q{i}" for i in range(0, 9000, 3)]
    assert left[1]["text"] == "question 3"
    with pytest.raises(StageFailed, match=r"left out 3000 of 9000 rows, the first being \('q0',\)"):
        again.finish("test")


def test_rows_that_two_runs_made_are_in_the_result_once(tmp_path: Path) -> None:
    one, other = PartialRows(tmp_path, source(20), name="a-"), PartialRows(tmp_path, source(20), name="b-")
    for row in one.pending():
        if row["id"] != "q7":
            one.add(answer(row, 2))
    for row in other.pending():
        if int(row["id"][1:]) > 4:
            other.add(answer(row, 2))
    one.flush()
    other.flush()
    assert PartialRows(tmp_path, source(20)).finish("test") == 40
    assert Rows([tmp_path / "rows.parquet"]).column("id") == [f"q{i}" for i in range(20) for _ in range(2)]


def test_a_row_that_is_not_of_the_input_or_comes_twice_is_refused(tmp_path: Path) -> None:
    made = PartialRows(tmp_path, source(3))
    rows = list(made.pending())
    made.add(rows[1])
    with pytest.raises(StageFailed, match="q1, which is not a row of its input, or yielded it twice"):
        made.add(rows[1])
    with pytest.raises(StageFailed, match="q9, which is not"):
        made.add({"id": "q9"})


def test_rows_that_a_stage_took_from_elsewhere_are_known_too(tmp_path: Path) -> None:
    made = PartialRows(tmp_path, source(5))
    for row in made.pending().table.to_pylist():
        made.add(answer(row))
    assert made.finish("test") == 5


def test_samples_of_one_question_are_units_of_their_own(tmp_path: Path) -> None:
    rows = Rows.of([row for question in source(4) for row in answer(question, 3)])
    made = PartialRows(tmp_path, rows)
    for row in reversed(list(made.pending())):
        made.add(row | {"verdict": "correct"})
    assert made.finish("test") == 12
    found = Rows([tmp_path / "rows.parquet"])
    assert list(zip(found.column("id"), found.column("sample"), strict=True)) == [
        (f"q{i}", sample) for i in range(4) for sample in range(3)
    ]


def test_parts_whose_columns_differ_in_type_are_put_together(tmp_path: Path) -> None:
    made = PartialRows(tmp_path, source(4))
    values: list[object] = [None, 1, 1.5, None]
    for row, value in zip(list(made.pending()), values, strict=True):
        made.add({**row, "value": value, "tokens": ["a"] if value else None})
        made.flush()
    made.finish("test")
    rows = Rows([tmp_path / "rows.parquet"])
    assert rows.column("value") == [None, 1.0, 1.5, None]
    assert rows.column("tokens") == [None, ["a"], ["a"], None]


def test_a_column_that_widens_late_is_written_as_if_it_had_been_known(tmp_path: Path) -> None:
    rows: list[Row] = [{"id": i, "value": None if i < 700 else i / 2 if i == 999 else i} for i in range(1000)]
    with RowFile(tmp_path / "late.parquet", group=100) as file:
        for table in in_tables(rows, 30):
            file.add(table)
    with RowFile(tmp_path / "known.parquet", group=100) as file:
        file.add(to_table(rows))
    assert file.rows == 1000
    assert Rows([tmp_path / "late.parquet"]).column("value") == [row["value"] for row in rows]
    assert (tmp_path / "late.parquet").read_bytes() == (tmp_path / "known.parquet").read_bytes()
    assert pq.read_metadata(tmp_path / "late.parquet").num_row_groups == 10


MEASURE = """
import resource, sys
from pathlib import Path
from tasks.storage.partial_rows import PartialRows
from tasks.storage.rows import RowFile, Rows, in_tables

folder, count = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir()
with RowFile(folder / "source.parquet") as file:
    for table in in_tables({"id": f"question {i}", "text": "x" * 40} for i in range(count)):
        file.add(table)
parts = PartialRows(folder, Rows([folder / "source.parquet"]))
for row in parts.pending():
    parts.add([{**row, "sample": sample, "response": "y" * 40} for sample in (0, 1)])
parts.flush()
parts = PartialRows(folder, Rows([folder / "source.parquet"]))
assert parts.units == count
assert parts.finish("test") == 2 * count
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_ten_times_the_rows_take_no_more_memory(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        command = [sys.executable, "-c", MEASURE, str(tmp_path / str(count)), str(count)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    few, many = peak(20_000), peak(200_000)
    assert many < 1.25 * few, f"{few} KiB for 20,000 rows, {many} KiB for 200,000"


def test_a_part_is_written_before_too_many_rows_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial_rows, "MOST_ROWS", 50)
    made = PartialRows(tmp_path, source(120))
    for row in made.pending():
        made.add(row)
    assert len(list((tmp_path / "parts").glob("*.parquet"))) == 2
