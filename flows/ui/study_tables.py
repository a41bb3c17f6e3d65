"""A study's results as the tables that the Prefect UI shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tasks.comparison.arms import is_control
from tasks.comparison.results import Results
from tasks.reporting.formatting import chance, percent, points, ranged, ratio
from tasks.reporting.markdown import escaped

Table = list[dict[str, str]]
VERDICTS = ("correct", "wrong", "unparseable", "error")
WHERE = ["student", "train_benchmark", "arm", "origin", "size"]


def main_table(results: Results) -> Table:
    """The summary: scores in per cent, changes in points, each with its interval."""
    summary = results.tables["summary"]
    several = [name for name in ("student", "method") if summary[name].nunique() > 1]
    return [
        {
            **{name: row[name] for name in several},
            "trained on": row["train_benchmark"],
            **_arm(row),
            "evaluated on": row["eval_benchmark"],
            "items": f"{int(row['n'])}",
            "score": ranged(percent(row["score"]), row["ci_low"], row["ci_high"], sign=False),
            "change": ranged(points(row["delta"]), row["delta_ci_low"], row["delta_ci_high"]),
            "p (Holm)": chance(row["p_holm"]),
        }
        for row in results.rows("summary")
    ]


def verdict_counts(results: Results) -> Table:
    """Verdicts on all responses of each training benchmark and arm."""
    counts = results.responses.groupby(WHERE)["verdict"].value_counts().unstack(fill_value=0)
    counts = counts.reindex(columns=list(VERDICTS), fill_value=0)
    return [
        {
            **_where(dict(zip(WHERE, where, strict=True))),
            "responses": f"{sum(row):,}",
            **{verdict: f"{n:,}" for verdict, n in zip(VERDICTS, row, strict=True)},
            "correct, %": percent(row[0] / judged) if (judged := sum(row[:3])) else "–",
        }
        for where, row in zip(counts.index, counts.itertuples(index=False, name=None), strict=True)
        if not is_control(where[2])
    ]


def perplexity(results: Results) -> Table:
    """How familiar each arm's responses are to the student before it is trained."""
    return [
        {
            **_where({**row, "train_benchmark": row["benchmark"]}),
            "responses": f"{int(row['rows']):,}",
            "tokens each": ratio(row["tokens_mean"]),
            "perplexity, median": ratio(row["ppl_median"]),
            "mean": ratio(row["ppl_mean"]),
            "of all tokens": ratio(row["ppl_corpus"]),
        }
        for row in results.rows("perplexity")
        if not is_control(row["arm"])
    ]


def matrix(results: Results) -> str:
    """Accuracy in per cent and its change in points: a table a student, a line an arm, a column an evaluation."""
    students: dict[str, dict[tuple[str, str, int], dict[str, dict[str, Any]]]] = {}
    for row in results.rows("summary"):
        arm = (row["train_benchmark"], row["arm"], row["size"])
        students.setdefault(row["student"], {}).setdefault(arm, {})[row["eval_benchmark"]] = row
    lines: list[str] = []
    for student, arms in students.items():
        columns = sorted({benchmark for cells in arms.values() for benchmark in cells})
        lines += [
            f"**{escaped(student)}**",
            "",
            f"| trained on | arm | {' | '.join(map(escaped, columns))} |",
            "| --- " * (len(columns) + 2) + "|",
        ]
        base = {on: row["base_score"] for cells in arms.values() for on, row in cells.items()}
        lines.append("|  | no training | " + " | ".join(percent(base[on]) for on in columns) + " |")
        for (benchmark, name, size), cells in sorted(arms.items()):
            shown = [_cell(cells.get(on), on == benchmark) for on in columns]
            called = escaped(f"{name}, size {size}" if size else name)
            lines.append(f"| {escaped(benchmark)} | {called} | {' | '.join(shown)} |")
        lines.append("")
    return "\n".join([*lines, "Accuracy in %, change in points in brackets; in domain in bold type."])


def _where(row: Mapping[str, Any]) -> dict[str, str]:
    return {"student": row["student"], "benchmark": row["train_benchmark"], **_arm(row)}


def _arm(row: Mapping[str, Any]) -> dict[str, str]:
    """Its name, and what is not said by it: whose responses it trains on, and how many questions."""
    other = {"origin": row["origin"]} if row["origin"] != row["arm"] else {}
    return {"arm": row["arm"], **other, **({"size": f"{row['size']}"} if row["size"] else {})}


def _cell(row: Mapping[str, Any] | None, in_domain: bool) -> str:
    if row is None or math.isnan(row["score"]):
        return "–"
    text = f"{percent(row['score'])} ({points(row['delta'])})"
    return f"**{text}**" if in_domain else text
