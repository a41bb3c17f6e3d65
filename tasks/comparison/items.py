"""Every evaluated answer in one table, and the scores in it as arrays of seeds x items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from tasks.comparison.cell import UNTRAINED, Arm
from tasks.comparison.records import Evaluated
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Rows

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ARM = ("student", "train_benchmark", "arm", "origin", "method", "size")
CELL = (*ARM, "seed", "eval_benchmark")
ITEMS = (*CELL, "id", "sample", "question", "gold", "response", "verdict", "score")
JUDGED = ("correct", "wrong", "unparseable")
"""Verdicts on an answer. An error is no answer to judge, nor is a missing one: neither is ever wrong."""


def answers(cells: Sequence[Evaluated[Rows]]) -> pd.DataFrame:
    """All cells' answers in one frame (`ITEMS`), in the order of cell, id and sample. Errors have the score NaN."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    wanted = ("id", "sample", "question", "gold", "response", "verdict", "score")
    every = [cell.answers for cell in cells]
    tables = [rows.table.select([name for name in wanted if name in rows.columns]) for rows in every]
    frame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    lengths = [table.num_rows for table in tables]
    for column, values in zip(CELL, zip(*(astuple(cell.cell) for cell in cells), strict=True), strict=True):
        number = column in ("seed", "size")
        repeated = np.repeat(np.asarray(values, dtype=np.int64 if number else object), lengths)
        frame[column] = repeated if number else pd.Categorical(repeated)
    if "sample" not in frame:
        frame["sample"] = 0
    unknown = set(frame["verdict"].unique()) - {*JUDGED, "error", "missing"}
    if unknown:
        raise StageFailed(f"evaluate gave verdicts that compare does not know: {', '.join(sorted(map(str, unknown)))}")
    frame["id"] = frame["id"].astype(str)
    return frame.sort_values([*CELL, "id", "sample"], kind="stable", ignore_index=True)[list(ITEMS)]


def matrices(items: pd.DataFrame) -> dict[tuple[Arm, str], np.ndarray]:
    """Scores as arrays of seeds × items for each arm and benchmark, samples averaged, NaN where there is no score.

    The base model's runs are averaged into one row: it has no training seed.
    """
    import numpy as np
    import pandas as pd

    found: dict[tuple[Arm, str], np.ndarray] = {}
    for on, of_benchmark in items.groupby("eval_benchmark", observed=True, sort=True):
        column, ids = pd.factorize(of_benchmark["id"], sort=True)
        of_benchmark = of_benchmark.assign(column=column)
        for values, rows in of_benchmark.groupby(list(ARM), observed=True, sort=True):
            arm = arm_of(values)
            seeds, known = pd.factorize(rows["seed"], sort=True)
            if arm.arm == UNTRAINED:
                seeds, known = np.zeros_like(seeds), known[:1]
            place = seeds * len(ids) + rows["column"].to_numpy()
            scored = ~np.isnan(rows["score"].to_numpy())
            size = len(known) * len(ids)
            total = np.bincount(place[scored], rows["score"].to_numpy()[scored], size)
            with np.errstate(invalid="ignore"):
                mean = total / np.bincount(place[scored], minlength=size)
            found[arm, str(on)] = mean.reshape(len(known), len(ids))
    return aligned(found, items)


def arm_of(values: Sequence[Any]) -> Arm:
    """The arm that a group of rows by the columns `ARM` is of."""
    student, train_benchmark, arm, origin, method = map(str, values[:-1])
    return Arm(student, train_benchmark, arm, origin, method, int(values[-1]))


def aligned(found: dict[tuple[Arm, str], np.ndarray], items: pd.DataFrame) -> dict[tuple[Arm, str], np.ndarray]:
    """Give an arm the same rows of seeds on every benchmark, so that a seed's luck is drawn once for all of them."""
    import numpy as np

    trained = items[["seed", "eval_benchmark", *ARM]].drop_duplicates()
    trained = trained[trained["arm"] != UNTRAINED]
    for values, rows in trained.groupby(list(ARM), observed=True):
        arm = arm_of(values)
        seeds = sorted(rows["seed"].unique())
        for on, here in rows.groupby("eval_benchmark", observed=True):
            matrix = found[arm, str(on)]
            if len(matrix) == len(seeds):
                continue
            full = np.full((len(seeds), matrix.shape[1]), np.nan)
            full[[seeds.index(seed) for seed in sorted(here["seed"].unique())]] = matrix
            found[arm, str(on)] = full
    return found
