"""Examples to read: the same question answered for every arm, and by the student before and after training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tasks.comparison.arms import is_control
from tasks.comparison.cell import UNTRAINED
from tasks.scoring.token_surprise import tokens

if TYPE_CHECKING:
    import pandas as pd

PER_BENCHMARK = 3
BENCHMARKS = 6
"""More training benchmarks than these are not shown: the page is to be read."""
MOST_TOKENS = 400
"""Of a longer response, only these first tokens are shown with their surprise."""
APART = 0.5
"""Scores so far apart are telling: right and wrong always, partial scores where the gap is large."""


def examples(items: pd.DataFrame, responses: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Pick questions by rule, not by hand: spread evenly over the ids, those with answers that differ first.

    `training`: questions with each arm's response, verdict and perplexity, where they were kept with its tokens' nats;
    arms that train on the same response share one. `evaluation`: questions with the answers of the untrained model and
    of each arm (the first seed, the largest size), in domain and on the benchmark that did worst, there with what the
    untrained model had right and an arm lost. Each answer has the `arms` that it is of.
    """
    return {"training": _training(responses), "evaluation": _evaluation(items)}


def _training(responses: pd.DataFrame) -> list[dict[str, Any]]:
    found = []
    shown = responses[~responses["arm"].map(is_control).astype(bool)]
    shown = shown[shown["chosen"]] if shown["chosen"].any() else shown
    for (student, benchmark), group in list(shown.groupby(["student", "train_benchmark"], sort=True))[:BENCHMARKS]:
        group = group.drop_duplicates(["id", "arm"])
        complete = group.groupby("id")["arm"].nunique()
        ids = sorted(complete[complete == complete.max()].index)
        traced = group[group["token_nll"].notna()].groupby("id")["arm"].nunique()
        ids = sorted(traced[traced == complete.max()].index) or ids
        for identifier in _spread(ids, PER_BENCHMARK):
            rows = group[group["id"] == identifier].sort_values("perplexity")
            answers: list[dict[str, Any]] = []
            for _, same in rows.groupby(["perplexity", "origin", "response"], sort=False, dropna=False):
                row = same.iloc[0]
                answers.append(_answer(row, same["arm"], perplexity=row["perplexity"]) | {"tokens": _tokens(row)})
            found.append(_question(rows.iloc[0], student, benchmark, answers))
    return found


def _evaluation(items: pd.DataFrame) -> list[dict[str, Any]]:
    found = []
    first = items[
        items["sample"] == items.groupby(["student", "eval_benchmark"], observed=True)["sample"].transform("min")
    ]
    base = first[first["arm"] == UNTRAINED]
    trained = first[(first["arm"] != UNTRAINED) & ~first["arm"].astype(str).map(is_control).astype(bool)]
    trained = trained[trained["size"] == trained["size"].max()]
    trained = trained[trained["seed"] == trained.groupby("student", observed=True)["seed"].transform("min")]
    groups = trained.groupby(["student", "train_benchmark"], observed=True, sort=True)
    for (student, benchmark), group in list(groups)[:BENCHMARKS]:
        means = group.groupby("eval_benchmark", observed=True)["score"].mean()
        elsewhere = means.drop(benchmark, errors="ignore").dropna()
        for on in [benchmark, *([elsewhere.idxmin()] if len(elsewhere) else [])]:
            answered = group[group["eval_benchmark"] == on]
            untrained = base[(base["student"] == student) & (base["eval_benchmark"] == on)]
            together = _pair(answered, untrained)
            scores = together.groupby("id")["score"]
            before = untrained.groupby("id")["score"].mean().reindex(scores.min().index)
            differing = scores.max() - scores.min() >= APART
            differing = differing if differing.any() else scores.nunique() > 1
            lost = before - scores.min() >= APART
            telling = lost if on != benchmark and lost.any() else differing if differing.any() else ~differing
            ids = sorted(telling[telling].index)
            for identifier in _spread(ids, PER_BENCHMARK - 1):
                rows = together[together["id"] == identifier]
                answers = [_answer(row, [row["arm"]]) for _, row in rows.iterrows()]
                found.append(_question(rows.iloc[0], student, benchmark, answers) | {"eval_benchmark": on})
    return found


def _pair(answered: pd.DataFrame, untrained: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    together = pd.concat([untrained, answered])
    return together[together["id"].isin(set(answered["id"]))]


def _question(row: Any, student: Any, benchmark: Any, answers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "student": str(student),
        "train_benchmark": str(benchmark),
        "id": str(row["id"]),
        "question": _text(row["question"]),
        "gold": _text(row["gold"]),
        "answers": answers,
    }


def _answer(row: Any, arms: Iterable[str], perplexity: float | None = None) -> dict[str, Any]:
    known = perplexity is not None and perplexity == perplexity and perplexity != float("inf")
    return {
        "arms": [str(arm) for arm in arms],
        "response": _text(row["response"]),
        "verdict": _text(row["verdict"]),
        "perplexity": float(perplexity) if known and perplexity is not None else None,
        "score": _partial(row.get("score")),
    }


def _tokens(row: Any) -> list[tuple[str, float, int]]:
    """Text, nats and number of tokens of each piece of a response; empty where they were not kept."""
    texts, nats = row["token_text"], row["token_nll"]
    if not hasattr(nats, "__len__"):  # a row without them: None, or pandas' NaN
        return []
    found = tokens(texts[:MOST_TOKENS], nats[:MOST_TOKENS])
    return [(text, round(value, 3), count) for text, value, count in found]


def _partial(score: Any) -> float | None:
    """A score that the verdict does not say."""
    return float(score) if score is not None and 0 < score < 1 else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _spread(ids: list[Any], count: int) -> list[Any]:
    """`count` of them at even distances."""
    if len(ids) <= count:
        return ids
    return [ids[(2 * k + 1) * len(ids) // (2 * count)] for k in range(count)]
