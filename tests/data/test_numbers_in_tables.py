"""Numbers of a table become the digits that mean them, whatever the file stores them in."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.row_values import in_digits, text
from data.table_file import TableFile


@pytest.mark.parametrize(
    ("number", "digits"),
    [(1e-5, "0.00001"), (1e17, "1" + "0" * 17), (18.6, "18.6"), (-2.5e-7, "-0.00000025"), (18.0, "18.0")],
)
def test_a_float_of_json_is_read_without_an_exponent(tmp_path: Path, number: float, digits: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"gold": number}) + "\n")
    ((place, row),) = TableFile(file)
    assert text(place, row, "gold") == digits


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_digits_of_a_float_are_the_float(number: float) -> None:
    assert float(in_digits(number)) == number
    assert "e" not in in_digits(number)


@pytest.mark.parametrize("made", [pa.float16(), pa.float32(), pa.float64()])
def test_a_float_of_parquet_is_what_its_digits_say(tmp_path: Path, made: pa.DataType) -> None:
    file = tmp_path / "rows.parquet"
    values = np.array([18.6, 0.1, 3.0], dtype=made.to_pandas_dtype())
    pq.write_table(pa.table({"gold": pa.array([*values, None], made), "other": ["a", "b", "c", "d"]}), file)
    rows = [row for _, row in TableFile(file)]
    assert [text("", row, "gold") for row in rows[:3]] == ["18.6", "0.1", "3.0"]
    assert rows[3]["gold"] is None


@pytest.mark.parametrize(
    ("number", "digits"), [("18.50", "18.50"), ("-3", "-3"), ("1E+3", "1000"), ("1E-8", "0.00000001")]
)
def test_a_decimal_of_parquet_is_its_digits(tmp_path: Path, number: str, digits: str) -> None:
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"gold": pa.array([Decimal(number)])}), file)
    ((place, row),) = TableFile(file)
    assert Decimal(text(place, row, "gold")) == Decimal(digits)
    assert text(place, row, "gold") == digits
