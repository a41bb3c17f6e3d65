"""What a comparison found, as files and as one object: written by `compare`, read by the report and the UI.

Each table is written twice: as CSV with six digits, for people, and as Parquet with all of them. What reads a
comparison again reads `Results`, so that nothing is computed from rounded numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.comparison.cell import UNTRAINED

if TYPE_CHECKING:
    import pandas as pd

TABLES = (
    *("summary", "scaling", "efficiency", "cells", "pass_at_k", "graded", "perplexity", "surprise", "approaches"),
    *("predictors", "predictor_record", "divergence", "forgetting"),
)
"""Names of the tables; tasks/compare.py says what is in each."""


@dataclass(frozen=True)
class Results:
    """A comparison's data, with all digits.

    `verdicts`, `baselines`, `missing` and `partly_right` are those of verdict.json, where what is undefined is null.
    """

    folder: Path
    verdicts: list[dict[str, Any]]
    baselines: list[dict[str, Any]]
    missing: list[dict[str, Any]]
    partly_right: list[str]

    @classmethod
    def read(cls, folder: Path) -> Results:
        """The results that `compare` wrote into a folder; tables, examples and responses when they are asked for."""
        found = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
        return cls(folder, found["verdicts"], found["baselines"], found["missing"], found["partly_right"])

    @cached_property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """`TABLES` by name."""
        import pandas as pd

        return {name: pd.read_parquet(self.folder / f"{name}.parquet") for name in TABLES}

    @cached_property
    def examples(self) -> dict[str, Any]:
        """Questions to read, with the answers of several arms."""
        return dict(json.loads((self.folder / "examples.json").read_text(encoding="utf-8")))

    @cached_property
    def responses(self) -> pd.DataFrame:
        """Verdict, tokens, nll and perplexity of every scored response (responses.parquet)."""
        import pandas as pd

        return pd.read_parquet(self.folder / "responses.parquet")

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table's rows by column."""
        return [{str(name): value for name, value in row.items()} for row in self.tables[table].to_dict("records")]

    @property
    def sizes(self) -> list[int]:
        """The study's sizes, smallest first; empty where it does not vary them."""
        return sorted({int(size) for size in self.tables["summary"]["size"]} - {0})

    def of_largest(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of the largest size, which claims are about, and of the student with no training."""
        return frame[(frame["size"] == max(self.sizes, default=0)) | (frame["arm"] == UNTRAINED)]


def write_table(frame: pd.DataFrame, name: str, folder: Path) -> None:
    """Write one of `TABLES`."""
    assert name in TABLES
    frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    frame.to_parquet(folder / f"{name}.parquet", index=False)
