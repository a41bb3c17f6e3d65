"""Local folders laid out as data sets are on the hub or as their authors distribute them, and judging by benchmark."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data.benchmark import Benchmark
from data.row_values import Row
from data.source import Hub
from tasks.kinds import verifiers

ROWS = Path(__file__).parents[1] / "rows"


def rows(name: str) -> list[Row]:
    return [json.loads(line) for line in (ROWS / name).read_text(encoding="utf-8").splitlines()]


def hub_folder(folder: Path, config: str, splits: Mapping[str, Iterable[Row]]) -> Path:
    """A folder as the hub has it: a card that names the config's Parquet files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = "data" if config == "default" else config
    (folder / place).mkdir(parents=True)
    card = ["---", "configs:", f"- config_name: {config}", "  data_files:"]
    for split, given in splits.items():
        pq.write_table(pa.Table.from_pylist(list(given)), folder / place / f"{split}-00000-of-00001.parquet")
        card += [f"  - split: {split}", f"    path: {place}/{split}-*"]
    (folder / "README.md").write_text("\n".join([*card, "---", ""]))
    return folder


def from_hub(benchmark: Benchmark, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    """The benchmark as it is, but for the hub's data set being this folder."""
    assert isinstance(benchmark.source, Hub)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", folder / "cache")
    return replace(benchmark, source=replace(benchmark.source, id=str(folder)))


def judged(benchmark: Benchmark, row: Row, response: str) -> str:
    verdict: Any = verifiers.find(benchmark.verifier)(response, row)
    return str(verdict.verdict)


def assert_right(benchmark: Benchmark, questions: Iterable[Row]) -> None:
    """Each row's gold answer and reference are judged correct, and its prompt can be filled."""
    from tasks.models.filling import fill

    for row in questions:
        assert judged(benchmark, row, f"Final answer: {row['gold']}") == "correct"
        if row["reference"] is not None:
            assert judged(benchmark, row, row["reference"]) == "correct"
        assert row["question"] in fill(benchmark.prompt, row)
