"""What needs no learning scores too: trivial baselines that stand beside every score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from types import FunctionType
from typing import TYPE_CHECKING, Any

from tasks.comparison.cell import UNTRAINED
from tasks.comparison.records import Evaluated
from tasks.storage.rows import Row, Rows
from tasks.verification.verdict import judged

if TYPE_CHECKING:
    import pandas as pd

REFERENCES = ("answers", "references")
"""Columns with which a benchmark gives several gold answers, or part of a score: equality with one says too little."""
ABSTAINED = ("", "unanswerable")
"""Answers that give none; a benchmark with questions that have no answer may ask for the second."""


def baselines(
    items: pd.DataFrame, cells: Sequence[Evaluated[Rows]], judges: Mapping[str, FunctionType]
) -> list[dict[str, Any]]:
    """For each student and evaluation benchmark, what trivial answers score on its items.

    `base` is the untrained model. `majority` always gives the most frequent gold answer, `majority_label`. `copy` gives
    the question back. `abstain` never answers. All but `base` are, as `judged_by` says, compared with gold as `text`,
    case and white space aside, so that no verifier can be lenient with them; where a benchmark has several gold answers
    or grades them, by its `verifier`, and then `abstain` is the better of an empty answer and "unanswerable". Null
    where undefined.
    """
    rows = []
    for (student, on), group in items.groupby(["student", "eval_benchmark"], observed=True, sort=True):
        questions = group.drop_duplicates("id")
        gold = _normal(questions["gold"])
        counts = gold.value_counts()
        label = min(counts[counts == counts.max()].index, default=None)
        base = group.loc[group["arm"] == UNTRAINED, "score"].mean()
        found: dict[str, Any] = {
            "judged_by": "text",
            "majority": float(counts.max() / len(questions)) if len(counts) else None,
            "majority_label": label,
            "copy": float((_normal(questions["question"]) == gold).mean()),
            "abstain": 0.0,
        }
        if str(on) in judges and judges[str(on)].__module__.endswith(".code"):
            # Gold is a test program: as an answer it would pass no test, and its frequency is no score.
            found |= {"majority": None, "majority_label": None, "copy": None}
        asked = _asked(cells, str(student), str(on))
        if str(on) in judges and any(column in row for row in asked[:1] for column in REFERENCES):
            found |= _by_verifier(asked, judges[str(on)], label or "")
        rows.append(
            {
                "student": student,
                "eval_benchmark": on,
                "items": len(questions),
                "base": None if math.isnan(base) else float(base),
                **found,
            }
        )
    return rows


def _asked(cells: Sequence[Evaluated[Rows]], student: str, on: str) -> list[Row]:
    """The benchmark's questions with all their columns, once each."""
    for one in cells:
        if (one.cell.student, one.cell.eval_benchmark) == (student, on):
            return list({str(row["id"]): row for row in one.answers}.values())
    return []


def _by_verifier(asked: Sequence[Row], judge: FunctionType, label: str) -> dict[str, Any]:
    """The trivial answers' mean scores by the benchmark's own verifier; null where it gives none."""

    def score(answers: Sequence[str]) -> float | None:
        scores = [judged({**row, "response": answer}, judge).score for row, answer in zip(asked, answers, strict=True)]
        known = [score for score in scores if not math.isnan(score)]
        return fmean(known) if known else None

    abstained = [score([answer] * len(asked)) for answer in ABSTAINED]
    return {
        "judged_by": "verifier",
        "majority": score([label] * len(asked)),
        "copy": score([" ".join(str(row["question"]).split()) for row in asked]),
        "abstain": max((value for value in abstained if value is not None), default=None),
    }


def _normal(texts: pd.Series[str]) -> pd.Series[str]:
    return texts.astype("string").fillna("").str.split().str.join(" ").str.casefold()
