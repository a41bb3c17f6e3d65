"""What needs no learning scores too: trivial baselines that stand beside every score."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tasks.cell import UNTRAINED

if TYPE_CHECKING:
    import pandas as pd


def baselines(items: pd.DataFrame) -> list[dict[str, Any]]:
    """For each student and evaluation benchmark, what trivial answers score on its items.

    `base` is the untrained model. `majority` always gives the most frequent gold answer, `majority_label`. `copy` gives
    the question back. `abstain` never answers. All but `base` are compared with gold as text, case and white space
    aside, so that no verifier can be lenient with them. Null where undefined.
    """
    rows = []
    for (student, on), group in items.groupby(["student", "eval_benchmark"], observed=True, sort=True):
        questions = group.drop_duplicates("id")
        gold = _normal(questions["gold"])
        counts = gold.value_counts()
        label = min(counts[counts == counts.max()].index, default=None)
        base = group.loc[group["origin"] == UNTRAINED, "score"].mean()
        rows.append(
            {
                "student": student,
                "eval_benchmark": on,
                "items": len(questions),
                "base": None if math.isnan(base) else float(base),
                "majority": float(counts.max() / len(questions)) if len(counts) else None,
                "majority_label": label,
                "copy": float((_normal(questions["question"]) == gold).mean()),
                "abstain": 0.0,
            }
        )
    return rows


def _normal(texts: pd.Series[str]) -> pd.Series[str]:
    return texts.astype("string").fillna("").str.split().str.join(" ").str.casefold()
