"""The comparison's tables: every arm's scores, every cell's counts, pass@k, and the answers to graded questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.comparison.cell import Arm
from tasks.comparison.items import ARM, CELL, JUDGED
from tasks.comparison.pass_at_k import mean_pass_at_k
from tasks.comparison.records import Evaluated
from tasks.comparison.statistics import UNDEFINED, Estimate, Measured, Term, holm
from tasks.storage.rows import Rows

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = (
    *(*ARM, "eval_benchmark", "n", "score", "ci_low", "ci_high"),
    *("base_score", "delta", "delta_ci_low", "delta_ci_high", "p_holm"),
)
GRADED = (*ARM, "eval_benchmark", "part", "n", "exact", "score")


def summary(sample: Measured, arms: list[Arm], benchmarks: list[str]) -> pd.DataFrame:
    """One row per arm, size and evaluation benchmark (`SUMMARY`), seeds pooled; missing ones have n 0 and no numbers.

    `n` counts items; Holm's family is all comparisons of an arm with the base model in the study.
    """
    import pandas as pd

    base_scores: dict[tuple[str, str], Estimate] = {}
    rows = []
    for arm in arms:
        base = arm.untrained
        for on in benchmarks:
            if (arm.student, on) not in base_scores:
                base_scores[arm.student, on] = sample.estimate([Term(base, on)]) if sample.has(base, on) else UNDEFINED
            score = sample.estimate([Term(arm, on)])
            delta = sample.estimate([Term(arm, on, minus=base)])
            base_score = base_scores[arm.student, on].value
            rows.append((*arm, on, score.items, score.value, score.low, score.high, base_score, *difference(delta)))
    frame = pd.DataFrame(rows, columns=list(SUMMARY))
    frame["p_holm"] = holm(frame["p_holm"].tolist())
    return frame


def difference(estimate: Estimate) -> tuple[float, float, float, float]:
    return estimate.value, estimate.low, estimate.high, estimate.p


def cell_counts(items: pd.DataFrame) -> pd.DataFrame:
    """Score and verdict counts of every cell."""
    import pandas as pd

    cells = items.groupby(list(CELL), observed=True, sort=True)
    counts = cells["verdict"].value_counts().unstack(fill_value=0)
    counts = counts.reindex(columns=[*JUDGED, "error"], fill_value=0)
    return pd.concat([cells["score"].mean(), counts], axis=1).reset_index()


def passes(items: pd.DataFrame) -> pd.DataFrame:
    """Unbiased pass@k (Chen et al. 2021) of every arm, mean over questions and seeds; k doubles up to the samples.

    What passes is an answer judged correct, whatever part of a score another one earns.
    """
    import pandas as pd

    judged = items[items["score"].notna()].assign(passed=lambda frame: frame["verdict"] == "correct")
    counts = (
        judged.groupby([*CELL, "id"], observed=True)["passed"]
        .agg(answers="size", passes="sum")
        .astype(int)
        .reset_index()
    )
    rows = []
    for arm, each in counts.groupby([*ARM, "eval_benchmark"], observed=True, sort=True):
        samples = int(each["answers"].min())
        pairs = list(zip(each["answers"], each["passes"], strict=True))
        if samples > 1:
            ks = sorted({*(2**power for power in range(samples.bit_length())), samples})
            rows += [(*arm, k, samples, len(pairs), mean_pass_at_k(pairs, k)) for k in ks]
    return pd.DataFrame(rows, columns=[*ARM, "eval_benchmark", "k", "samples", "questions", "pass_at_k"])


def partly_right(items: pd.DataFrame) -> list[str]:
    """Evaluation benchmarks on which some answer's score is neither 0 nor 1."""
    between = items.loc[(items["score"] > 0) & (items["score"] < 1), "eval_benchmark"]
    return sorted(map(str, between.unique()))


def graded(items: pd.DataFrame, cells: Sequence[Evaluated[Rows]]) -> pd.DataFrame:
    """One row per arm, evaluation benchmark whose answers can be partly right, and part of it (`GRADED`).

    `exact` is the share judged correct and `score` the mean score (F1, ROUGE-L), seeds and samples pooled. Parts are
    "all" and, where a question may have no answer (SQuAD 2.0), "with an answer" and "without an answer".
    """
    import pandas as pd

    rows = []
    for on in partly_right(items):
        here = items[(items["eval_benchmark"] == on) & items["score"].notna()]
        none = _unanswerable(cells, on)
        parts = {"all": here}
        if none:
            parts["with an answer"] = here[~here["id"].isin(none)]
            parts["without an answer"] = here[here["id"].isin(none)]
        for part, frame in parts.items():
            for arm, each in frame.groupby(list(ARM), observed=True, sort=True):
                exact = (each["verdict"] == "correct").mean()
                rows.append((*arm, on, part, each["id"].nunique(), exact, each["score"].mean()))
    return pd.DataFrame(rows, columns=list(GRADED))


def _unanswerable(cells: Sequence[Evaluated[Rows]], on: str) -> set[str]:
    """Ids of the questions whose list of gold answers is empty."""
    found: set[str] = set()
    for one in cells:
        rows = one.answers
        if one.cell.eval_benchmark == on and "answers" in rows.columns:
            pairs = zip(rows.column("id"), rows.column("answers"), strict=True)
            found |= {str(id) for id, answers in pairs if answers is not None and not len(answers)}
    return found
