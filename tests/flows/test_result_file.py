"""What can be read in is written in the chosen format, or refused by row and column before any work is done."""

import datetime
import gzip
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import InputError
from data.table_file import TableFile
from flows.cli import verify_file
from flows.cli.result_file import ResultFile

COLUMNS = {"question": "question", "response": "response", "gold": "gold", "id": "id"}
ROW = {"question": "?", "response": "#### 18", "gold": "18"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def verify(name: str, out: str | None = None, benchmark: str = "gsm8k") -> Path:
    """The result file of `mothertongue verify`."""
    before = set(Path().iterdir())
    verify_file.verify(Path(name), benchmark, COLUMNS, None, None if out is None else Path(out), as_json=True)
    (made,) = set(Path().iterdir()) - before
    return made


def lines(*rows: Any) -> None:
    Path("x.jsonl").write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))


def strict(path: Path) -> list[dict[str, Any]]:
    """A JSONL file's rows, read as the JSON standard has it."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text(encoding="utf-8").splitlines()]


def refused_before_work(said: str, name: str, out: str | None = None, monkeypatch: Any = None) -> None:
    """The command ends with one line and has judged nothing and left nothing behind."""
    before = set(Path().iterdir())

    def work(*_: Any, **__: Any) -> Any:
        raise AssertionError("a row was judged")

    monkeypatch.setattr("tasks.verify.judged_all", work)
    with pytest.raises(InputError, match=said) as caught:
        verify(name, out)
    assert str(caught.value).isprintable()
    assert set(Path().iterdir()) == before


def test_half_a_surrogate_pair_is_written_as_it_came(here: None) -> None:
    lines({**ROW, "note": "half \ud83d emoji"})
    assert strict(verify("x.jsonl"))[0]["note"] == "half \ud83d emoji"


@pytest.mark.parametrize(
    ("row", "out", "said"),
    [
        ({**ROW, "note": "half \ud83d"}, "o.csv", r"x.jsonl, row 2: column 'note' is 'half \\ud83d': half a surrogate"),
        (
            {**ROW, "note": "half \ud83d"},
            "o.parquet",
            r"x.jsonl, row 2: column 'note' is 'half \\ud83d', which does",
        ),
        (
            {**ROW, "id": 2**70},
            "o.parquet",
            r"x.jsonl, row 2: column 'id' is 1180591620717411303424, which",
        ),
        ({**ROW, "id": "a\ud83d"}, None, r"x.jsonl, row 2: column 'id' is not valid UTF-8 text: 'a\\ud83d"),
        ({**ROW, "a": {}}, "o.parquet", r"x.jsonl, row 2: column 'a' is \{\}, which does not fit Parquet"),
        ({**ROW, "v": float("inf")}, None, r"x.jsonl, row 2: column 'v' is inf: infinity, which .jsonl cannot hold"),
        ({**ROW, "v": [[-math.inf]]}, "o.csv", r"x.jsonl, row 2: column 'v' is .*: infinity, which .csv cannot hold"),
        (
            {**ROW, "v": json.loads("[" * 400 + "]" * 400)},
            None,
            r"column 'v' is a list of 1: more lists and objects inside",
        ),
        ({**ROW, "": 1}, "o.csv", r"--out o.csv: no column of a CSV file can be called ''; allowed: .jsonl"),
    ],
)
def test_what_the_format_cannot_hold_is_said_before_any_work(
    row: dict[str, Any], out: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines(ROW, row)
    refused_before_work(said, "x.jsonl", out, monkeypatch)


def test_a_column_of_mixed_types_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    lines({**ROW, "a": 1}, {**ROW, "a": "x"})
    refused_before_work("--out o.parquet: column 'a' does not fit Parquet", "x.jsonl", "o.parquet", monkeypatch)


def test_latin_1_in_a_column_that_nothing_needs_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x.csv").write_bytes(b"id,question,response,gold,author\n1,q,#### 18,18,Jos\xe9\n")
    refused_before_work(r"x.csv, row 1: column 'author' is not UTF-8: b'Jos\\xe9'", "x.csv", None, monkeypatch)


def test_a_number_that_python_does_not_read_names_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    lines(ROW, json.dumps(ROW)[:-1] + f', "n": {"7" * 5000}}}')
    refused_before_work("x.jsonl, row 2: has a whole number of more than 4,300 digits", "x.jsonl", None, monkeypatch)


def test_undefined_numbers_become_null_however_deep() -> None:
    lines({**ROW, "a": float("nan"), "b": [1.5, float("nan"), {"c": float("nan")}]})
    row = strict(verify("x.jsonl"))[0]
    assert (row["a"], row["b"]) == (None, [1.5, None, {"c": None}])


def parquet(**columns: pa.Array) -> None:
    texts = {name: pa.array([value]) for name, value in ROW.items()}
    pq.write_table(pa.table({**texts, **columns}), "x.parquet")


NOON = datetime.datetime(2026, 11, 27, 12, 0, 0, 123456)


@pytest.mark.parametrize(
    ("column", "jsonl", "csv"),
    [
        (pa.array([NOON]), "2026-11-27T12:00:00.123456", "2026-11-27T12:00:00.123456"),
        (pa.array([NOON], pa.timestamp("us", "UTC")), "2026-11-27T12:00:00.123456+00:00", None),
        (pa.array([NOON.date()]), "2026-11-27", "2026-11-27"),
        (pa.array([NOON.time()]), "12:00:00.123456", "12:00:00.123456"),
        (pa.array([Decimal("18.60")]), "18.60", "18.60"),
        (pa.array([[Decimal("0.10"), None]]), ["0.10", None], '["0.10", null]'),
        (pa.array([{"when": NOON.date()}]), {"when": "2026-11-27"}, '{"when": "2026-11-27"}'),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), [["k", 1]], '[["k", 1]]'),
        (pa.array(["a"]).dictionary_encode(), "a", "a"),
        (pa.array([2**64 - 1], pa.uint64()), 2**64 - 1, str(2**64 - 1)),
        (pa.array([1.5], pa.float16()), 1.5, "1.5"),
    ],
)
def test_the_types_of_parquet_are_written_in_each_format(column: pa.Array, jsonl: Any, csv: str | None) -> None:
    parquet(value=column)
    assert strict(verify("x.parquet", "o.jsonl"))[0]["value"] == jsonl
    ((_, row),) = TableFile(verify("x.parquet", "o.csv"))
    assert row["value"] == (csv or jsonl)
    ((_, kept),) = TableFile(verify("x.parquet"))
    assert kept["value"] == column.to_pylist()[0]


@pytest.mark.parametrize("out", ["o.jsonl", "o.csv"])
@pytest.mark.parametrize(
    ("column", "said"),
    [
        (
            pa.array([b"\x00\xff"]),
            r"x.parquet, row 1: column 'value' is b'\\x00\\xff': a value of the type bytes, which",
        ),
        (pa.array([[b"x"]]), r"column 'value' is .*: a value of the type bytes, which .* cannot hold; allowed: --out"),
        (pa.array([datetime.timedelta(1)]), r"column 'value' is datetime.timedelta\(days=1\): a value of the type"),
    ],
)
def test_bytes_are_text_in_no_format(column: pa.Array, said: str, out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(value=column)
    refused_before_work(said, "x.parquet", out, monkeypatch)


def test_what_python_cannot_read_of_parquet_names_row_and_column(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
    for column, type in ((broken, "string"), (pa.array([400_000_000_000], pa.timestamp("s")), "timestamp")):
        parquet(value=column)
        said = rf"x.parquet, row 1: column 'value' holds what cannot be read \({type}"
        refused_before_work(said, "x.parquet", None, monkeypatch)


def test_our_own_csv_is_read_again() -> None:
    row = {"question": "?", "gold": "A", "options": ["cat", 'the "dog"'], "response": "Final answer: A"}
    lines(row)
    first = verify("x.jsonl", "o.csv", "ecqa")
    again = verify(str(first), "p.csv", "ecqa")
    (one,), (two,) = ([row for _, row in TableFile(path)] for path in (first, again))
    assert json.loads(one["options"]) == row["options"]
    assert {name: two[name] for name in one} == one
    assert two["verified_verdict"] == one["verdict"]


@pytest.mark.parametrize(
    ("file", "out", "target"),
    [
        ("a.jsonl.gz", None, "a.verified.jsonl"),
        ("a.b.jsonl.gz", None, "a.b.verified.jsonl"),
        ("a.CSV", None, "a.verified.CSV"),
        ("a.parquet", None, "a.verified.parquet"),
        ("a.jsonl", "b.jsonl.gz", "b.jsonl.gz"),
    ],
)
def test_the_result_lies_beside_the_file(file: str, out: str | None, target: str) -> None:
    Path(file).touch()
    assert ResultFile.of(Path(file), Path(out) if out else None, "verified").path == Path(target)


def test_compressed_lines_come_in_and_go_out() -> None:
    Path("x.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROW).encode()))
    assert verify("x.jsonl.gz").name == "x.verified.jsonl"
    ((_, row),) = TableFile(verify("x.jsonl.gz", "o.jsonl.gz"))
    assert row["verdict"] == "correct"


@pytest.mark.parametrize("name", ["FILE.txt", "FILE.tsv", "FILE.json", "FILE", "FILE.csv.gz"])
def test_an_unknown_ending_of_the_file_itself_names_the_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(name).write_text("x")
    said = rf"^{name}: not a format that can be read. Allowed: .jsonl, .csv, .parquet, .jsonl.gz$"
    refused_before_work(said, name, None, monkeypatch)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("nowhere/o.csv", "--out nowhere/o.csv: there is no folder nowhere"),
        ("folder.csv", "--out folder.csv: is a folder; allowed: a file"),
        (f"{'o' * 300}.csv", "--out o+.csv: cannot be written: File name too long"),
        ("/proc/o.csv", "--out /proc/o.csv: cannot be written: "),
        ("o.xlsx", r"--out o.xlsx: .xlsx ending is unknown; allowed: .jsonl, .csv, .parquet, .jsonl.gz"),
    ],
)
def test_where_nothing_can_be_written_nothing_is_judged(out: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines(ROW)
    Path("folder.csv").mkdir()
    refused_before_work(said, "x.jsonl", out, monkeypatch)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["a\ud83d", "b"]], r"x.jsonl, row 1: column 'options' is \['a\\ud83d', 'b'\]; allowed: a list of texts"),
        ([["a", "b"], ["a", 1]], r"x.jsonl, row 2: column 'options' is \['a', 1\]; allowed: a list of texts"),
        (
            [[2**70, "b"]],
            r"x.jsonl, row 1: column 'options' is \[1180591620717411303424, 'b'\]; allowed: a list of texts",
        ),
        ([{}], r"x.jsonl, row 1: column 'options' is \{\}; allowed: a list of texts"),
    ],
)
def test_a_list_that_no_column_can_hold_is_named(rows: list[Any], said: str) -> None:
    lines(*({"question": "?", "gold": "A", "options": options, "response": "A"} for options in rows))
    with pytest.raises(InputError, match=said) as caught:
        verify("x.jsonl", None, "ecqa")
    assert str(caught.value).isprintable()
    assert [path.name for path in Path().iterdir()] == ["x.jsonl"]
