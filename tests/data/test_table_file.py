"""A user's file is read whole or not at all, and what is wrong with it is named by row and column."""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import row_values
from data.errors import InputError
from data.row_values import text, text_or_none
from data.table_file import TableFile, locate

ROWS = Path(__file__).parents[1] / "rows"
Write = Callable[[str, str | bytes], TableFile]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def written(name: str, content: str | bytes) -> TableFile:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return TableFile(path)

    return written


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_formats_give_the_same_rows(suffix: str) -> None:
    jsonl = [row for _, row in TableFile(ROWS / "questions.jsonl")]
    assert [row for _, row in TableFile(ROWS / f"questions.{suffix}")] == jsonl
    assert len(jsonl) == 4
    assert jsonl[2]["question"].endswith('in "cm"?')


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("f.jsonl", "", "f.jsonl: has no rows"),
        ("f.jsonl", "\n\n", "f.jsonl: has no rows"),
        ("f.jsonl", '{"a": 1}\n{"a": 2', r"f.jsonl, row 2: is not valid JSON: Expecting"),
        ("f.jsonl", '{"a": 1}\n\n{"a": 2}\n', "f.jsonl, row 2: is empty"),
        ("f.jsonl", '{"a": 1}\n[1]\n', "f.jsonl, row 2: is a list; allowed: one JSON object a line"),
        ("f.jsonl", '[{"a": 1}]', "f.jsonl, row 1: is a list"),
        ("f.jsonl", "null\n", "f.jsonl, row 1: is null"),
        ("f.jsonl", b'{"a": "\xff"}\n', r"f.jsonl, row 1: is not UTF-8 \(byte 8 of the line\)"),
        ("f.jsonl", '{"a": ' + "[" * 100_000, "f.jsonl, row 1: is not valid JSON"),
        (
            "f.jsonl",
            '{"a": 1}\n{"n": ' + "9" * 5000 + "}",
            r"f.jsonl, row 2: has a whole number of more than 4,300",
        ),
        ("f.jsonl", '{"a": {"b": 1, "c": 2, "b": 3}}', "f.jsonl, row 1: has the key 'b' twice in one object"),
        ("f.jsonl", '{"a": 1}'.encode("utf-16"), "f.jsonl: is not UTF-8: it begins as UTF-16 or UTF-32 does"),
        ("f.csv", "a,b\n1,2\n".encode("utf-16"), "f.csv: is not UTF-8: it begins as UTF-16 or UTF-32 does"),
        ("f.csv", "a,b\n1,2\n".encode("utf-16-le"), "f.csv: is not UTF-8: it begins as UTF-16 or UTF-32 does"),
        ("f.csv", "a,b\n1,2\n".encode("utf-32-be"), "f.csv: is not UTF-8: it begins as UTF-16 or UTF-32 does"),
        ("f.csv", "", "f.csv: has no rows"),
        ("f.csv", "a,b\n", "f.csv: has no rows"),
        ("f.csv", "a,b\n1,2\n1,2,3\n", "f.csv, row 2: has 3 fields, the header has 2"),
        ("f.csv", "a,b\n1,2\n1\n", "f.csv, row 2: has 1 fields, the header has 2"),
        ("f.csv", "a,b\n1,2\n\n1,2\n", "f.csv, row 2: is empty"),
        ("f.csv", 'a,b\n1,2\n1,"2\n', r"f.csv, row 2: is not valid CSV: unexpected end of data"),
        ("f.csv", "a,a\n1,2\n", "f.csv: the header names 'a' twice"),
        ("f.csv", "a,\n1,2\n", "f.csv: the header has a column without a name"),
        ("f.csv", "a;b\n1;2\n", "f.csv: columns are separated by ';'; allowed: commas"),
        ("f.parquet", "no parquet", "f.parquet: cannot be read as Parquet"),
        ("f.json", "[]", r"f.json: not a format that can be read. Allowed: .jsonl, .csv, .parquet, .jsonl.gz"),
    ],
)
def test_a_broken_file_is_named_by_place(write: Write, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(write(name, content))


def listed(document: Any) -> Iterator[dict[str, Any]]:
    for number in document["list"]:
        yield {"n": number["n"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1", "f.json: is not valid JSON: Expecting"),
        (b"\xff", r"f.json: is not UTF-8 \(byte 1\)"),
        ("[1]", "f.json: is no document that tests.data.test_table_file.listed can read: list indices must be"),
        ('{"lists": []}', "f.json: has no key 'list' where tests.data.test_table_file.listed looks for it"),
        ('{"list": []}', "f.json: has no rows"),
    ],
)
def test_a_json_document_is_read_through_its_function(write: Write, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(replace(write("f.json", content), document=listed))
    good = replace(write("g.json", '{"list": [{"n": 1}, {"n": 2}]}'), document=listed)
    assert list(good) == [("g.json, row 1", {"n": 1}), ("g.json, row 2", {"n": 2})]


def test_compressed_lines_are_read_and_broken_ones_named(write: Write) -> None:
    packed = gzip.compress(b'{"a": 1}\n{"a": 2}\n')
    assert list(write("f.jsonl.gz", packed)) == [("f.jsonl.gz, row 1", {"a": 1}), ("f.jsonl.gz, row 2", {"a": 2})]
    for content in (b'{"a": 1}\n', packed[:-12], packed[:10] + b"\xff\xff" + packed[12:]):
        with pytest.raises(InputError, match=r"f.jsonl.gz: cannot be read as gzip"):
            list(write("f.jsonl.gz", content))


def test_the_index_that_pandas_writes_is_no_column(write: Write) -> None:
    assert list(write("f.csv", ",a\n0,x\n")) == [("f.csv, row 1", {"a": "x"})]


def test_blank_lines_at_the_end_are_no_rows(write: Write) -> None:
    assert len(list(write("f.jsonl", '{"a": 1}\n\n\n'))) == 1
    assert len(list(write("f.csv", "a,b\n1,2\n\n\n"))) == 1


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        list(TableFile(tmp_path / "none.jsonl"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="a folder, not a file"):
        list(TableFile(tmp_path / "folder.csv"))


def test_byte_order_marks_quotes_and_line_breaks(write: Write) -> None:
    csv = write("f.csv", b'\xef\xbb\xbfa,b\r\n"1, ""x""","two\nlines \xc3\xa9"\r\n')
    assert [row for _, row in csv] == [{"a": '1, "x"', "b": "two\nlines \u00e9"}]
    assert [row for _, row in write("f.jsonl", b'\xef\xbb\xbf{"a": 1}\n')] == [{"a": 1}]


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        (
            {"qestion": "x"},
            "question",
            r"f, row 17: column 'question' is missing \(has: qestion; did you mean 'qestion'\?\)",
        ),
        ({"a": "x"}, "question", r"column 'question' is missing \(has: a\)"),
        ({}, "question", r"is missing \(has: none\)"),
        ({"a": None}, "a", "column 'a' is empty"),
        ({"a": "  "}, "a", "column 'a' is empty"),
        ({"a": float("nan")}, "a", "column 'a' is empty"),
        ({"a": [1]}, "a", "column 'a' is a list; allowed: text or a number"),
        ({"a": {}}, "a", "column 'a' is an object"),
        ({"a": True}, "a", "column 'a' is true or false"),
        ({"a": "\ud800"}, "a", "column 'a' is not valid UTF-8 text"),
    ],
)
def test_a_wrong_value_is_named_by_row_and_column(row: dict[str, object], column: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        text("f, row 17", row, column)


def test_numbers_are_text_in_digits() -> None:
    assert [text("", {"a": value}, "a") for value in (72, 7.5, " x ")] == ["72", "7.5", " x "]
    assert text_or_none("", {"a": None}, "a") is None


def test_bytes_that_are_no_text_in_a_csv_are_named_when_read(write: Write) -> None:
    with pytest.raises(InputError, match=r"f.csv, row 1: column 'b' is not UTF-8: b'Jos\\xe9'; allowed: save it as"):
        list(write("f.csv", b"a,b\n1,Jos\xe9\n"))
    with pytest.raises(InputError, match=r"f.csv: the header is not UTF-8: b'\\xff'"):
        list(write("f.csv", b"a,\xff\n1,2\n"))


def test_check_looks_at_the_first_row(write: Write) -> None:
    file = write("f.jsonl", '{"a": 1}\n{broken\n')
    file.check(["a"])
    with pytest.raises(InputError, match=r"f.jsonl, row 1: column 'b' is missing"):
        file.check(["a", "b"])


def test_rows_are_given_as_they_are_once_their_columns_are_checked(write: Write) -> None:
    file = write("f.jsonl", '{"a": 1, "b": null}\n{"b": [1]}\n')
    (place, row), (next_place, next_row) = TableFile(file.path)
    assert row == {"a": 1, "b": None}
    assert (text_or_none(place, row, "a"), text_or_none(place, row, "b")) == ("1", None)
    with pytest.raises(InputError, match=r"f.jsonl, row 2: column 'a' is missing \(has: b\)"):
        text_or_none(next_place, next_row, "a")


def test_parquet_is_read_in_batches_and_rows_are_numbered(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": list(range(10_000))}), tmp_path / "f.parquet")
    places = [place for place, _ in TableFile(tmp_path / "f.parquet")]
    assert places[0].endswith("f.parquet, row 1")
    assert places[-1].endswith("row 10000")


def test_locate_tries_the_folders_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "f.csv").touch()
    assert locate("f.csv", [tmp_path / "a", tmp_path / "b"]) == tmp_path / "b" / "f.csv"
    assert locate(str(tmp_path / "b" / "f.csv"), [tmp_path / "a", tmp_path]) == tmp_path / "b" / "f.csv"
    with pytest.raises(InputError, match=r"g.csv: there is no such file \(looked from .*a"):
        locate("g.csv", [tmp_path / "a"])


def test_kind_names_values_in_words() -> None:
    values: list[Any] = [None, 1, "x", [], {}]
    assert [row_values.kind(value) for value in values] == ["null", "a number", "text", "a list", "an object"]
