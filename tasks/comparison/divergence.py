"""How far training moved a student from itself, and whether it forgot more where it moved further.

"RL's razor" (Shenfeld et al. 2025, arXiv 2509.04259): what a model loses elsewhere goes with the KL divergence from the
base model π0 to the trained one π on the prompts of the new task. Estimated here with one response y of π0 to each of
some training questions x: the mean over their tokens of log π0(y_t | x, y_<t) − log π(y_t | x, y_<t), in nats, by which
each token counts the same. Responses that were cut off are left out, since their end was not drawn from π0.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from tasks.comparison.bootstrap import Bootstrap
from tasks.comparison.cell import UNTRAINED, Arm
from tasks.comparison.items import arm_of
from tasks.comparison.predictor_groups import Group
from tasks.comparison.predictor_record import records
from tasks.comparison.records import Moved
from tasks.comparison.statistics import CONFIDENCE, Estimate, Measured, Term
from tasks.storage.rows import Rows

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DIVERGENCES = (
    *("student", "train_benchmark", "arm", "origin", "method", "size", "seed", "kl", "kl_low", "kl_high"),
    *("responses", "tokens", "elsewhere"),
)
FORGETTING = ("student", "train_benchmark", "arms", "correlation", "correlation_low", "correlation_high")
FEWEST = 2
"""Responses below which a divergence has no interval."""


def divergences(moved: Sequence[Moved[Rows]], cells: pd.DataFrame) -> pd.DataFrame:
    """One row per adapter (`DIVERGENCES`): KL in nats a token with its 95 % interval over responses, and `elsewhere`,
    the mean change of its scores on the benchmarks that it was not trained on; NaN where it was evaluated on none.

    Args:
        cells: score of every cell (tasks/comparison/tables.py).
    """
    import pandas as pd

    rows = []
    untrained = cells[cells["arm"] == UNTRAINED].set_index(["student", "eval_benchmark"])["score"]
    for one in sorted(moved, key=lambda one: (one.of, one.seed)):
        kl, responses, tokens = divergence(one.before, one.after)
        of = one.of
        named = {"student": of.student, "train_benchmark": of.train_benchmark, "arm": of.arm}
        mine = cells[(cells["size"] == of.size) & (cells["seed"] == one.seed)]
        for column, name in named.items():
            mine = mine[mine[column].astype(str) == name]
        mine = mine[mine["eval_benchmark"].astype(str) != of.train_benchmark]
        scores = zip(mine["eval_benchmark"], mine["score"], strict=True)
        changes = pd.Series([score - untrained.get((of.student, on), math.nan) for on, score in scores], dtype=float)
        rows.append((*of, one.seed, kl.value, kl.low, kl.high, responses, tokens, changes.mean()))
    return pd.DataFrame(rows, columns=list(DIVERGENCES))


def divergence(before: Rows, after: Rows) -> tuple[Estimate, int, int]:
    """KL from the model of `before` to that of `after`, on how many responses and tokens; see above."""
    import numpy as np

    names = [name for name in ("tokens", "nll", "finish") if name in before.columns]
    first = _frame(before, names)
    first["after"] = _frame(after, ["nll"])["nll"]
    kept = first["nll"].notna() & first["after"].notna()
    if "finish" in first:
        kept &= first["finish"] == "stop"
    first = first[kept]
    tokens = first["tokens"].to_numpy(dtype=np.float64)
    if not tokens.sum():
        return Estimate(math.nan), 0, 0
    moved = (first["after"] - first["nll"]).to_numpy(dtype=np.float64)
    return _ratio(moved, tokens), len(first), int(tokens.sum())


def _frame(rows: Rows, names: Sequence[str]) -> pd.DataFrame:
    """Some columns of rows."""
    import pandas as pd

    return pd.DataFrame({name: rows.column(name) for name in names})


def _ratio(sums: np.ndarray, counts: np.ndarray) -> Estimate:
    """Σ sums / Σ counts with its t-interval by linearisation (Cochran 1977, ratio estimator)."""
    from scipy.special import stdtrit

    value, n = float(sums.sum() / counts.sum()), len(sums)
    if n < FEWEST:
        return Estimate(value, items=n)
    error = math.sqrt(n / (n - 1) * float(((sums - value * counts) ** 2).sum())) / float(counts.sum())
    width = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * error
    return Estimate(value, value - width, value + width, items=n)


def forgetting(
    table: pd.DataFrame, sample: Measured, benchmarks: Sequence[str], lost: Collection[tuple[Arm, str]] = ()
) -> pd.DataFrame:
    """One row per student and training benchmark (`FORGETTING`): Spearman's correlation over arms of KL, the mean over
    seeds, with the mean change on other benchmarks; below zero where arms that moved further lost more.

    Arms of all methods and controls count, of the largest size. Intervals are over questions and seeds.
    """
    import numpy as np
    import pandas as pd

    bootstrap = Bootstrap(sample)
    rows = []
    largest = table[table["size"] == table["size"].max()]
    for (student, benchmark), here in largest.groupby(["student", "train_benchmark"], sort=True):
        points = []
        for named, each in here.groupby(["arm", "origin", "method", "size"], sort=True):
            arm = arm_of((student, benchmark, *named))
            if _elsewhere(arm, sample, benchmarks) and not any(of == arm for of, _ in lost):
                points.append((arm, float(each["kl"].mean())))
        terms = [_elsewhere(arm, sample, benchmarks) for arm, _ in points]
        group = Group(
            name=benchmark,
            options=tuple(arm.arm for arm, _ in points),
            accuracies=np.array([sample.estimate(each).value for each in terms], dtype=np.float64),
            values={"kl": np.array([kl for _, kl in points], dtype=np.float64)},
            replicates=np.column_stack([bootstrap.replicates(each) for each in terms]) if terms else None,
        )
        found = records([group], {"kl": False}, over_groups=False)[0].groups[0].correlation
        rows.append((student, benchmark, len(points), found.value, found.low, found.high))
    return pd.DataFrame(rows, columns=list(FORGETTING))


def _elsewhere(arm: Arm, sample: Measured, benchmarks: Sequence[str]) -> list[Term]:
    """The mean change of an arm on the benchmarks that it was not trained on."""
    others = [
        on for on in benchmarks if on != arm.train_benchmark and sample.has(arm, on) and sample.has(arm.untrained, on)
    ]
    return [Term(arm, on, minus=arm.untrained, weight=1 / len(others)) for on in others]
