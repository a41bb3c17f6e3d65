"""What the Prefect UI shows of a study beside its graph: tables, the verdict, and where the rest is."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from data.visible import all_visible
from flows.ui.background_sender import mailbox
from flows.ui.run_log import artifact_key, shown_artifact
from tasks.comparison.arms import is_control
from tasks.pipeline.stage import Node
from tasks.report import main_table, verdict_markdown
from tasks.reporting.formatting import duration, percent, points, ratio
from tasks.reporting.markdown import escaped
from tasks.storage.artifacts import Artifact

Table = list[dict[str, str]]
VERDICTS = ("correct", "wrong", "unparseable", "error")
REPORT_URL = "MOTHERTONGUE_REPORT_URL"
"""Where a web server shows the results folder `runs`, for links that a browser can open."""
SAFE = ":/?#@!$&'*+,;=%~"
"""What an address in Markdown keeps as it is."""


def show_step(node: Node, made: Artifact) -> None:
    """Leave what a step found as a table of its run."""
    if rows := node.stage.step_table(made.facts):
        table = [{node.stage.name: name, node.label: value} for name, value in rows.items()]
        mailbox.artifact(shown_artifact("table", artifact_key(node.run_name), _cells(table), node.run_name))


def show_study(name: str, compared: Artifact, report: Path, spent: Iterable[Mapping[str, Any]]) -> None:
    """Leave the study's results as tables and Markdown of the flow run, and where the report and its files are.

    Args:
        compared: compare's artifact.
        report: the report's page in the results folder.
        spent: what each step took: `stage`, `made` (in this run), `rows`, `seconds`, `tokens`, `usd`; see `cost`.
    """
    page, files = places(name, compared, report)
    text = f"{verdict_markdown(compared)}\n\nReport: {page}\n\nTables and answers: {files}\n"
    left = [
        ("markdown", "verdict", text, "Verdict"),
        (
            "markdown",
            "matrix",
            matrix(compared),
            "Accuracy of every arm on every benchmark, change against no training",
        ),
        ("table", "summary", _cells(main_table(compared)), "Every cell, seeds pooled"),
        ("table", "verdict-counts", _cells(verdict_counts(compared)), "Verdicts on the responses of each origin"),
        (
            "table",
            "perplexity",
            _cells(perplexity(compared)),
            "How familiar the responses are to the student before training",
        ),
        ("table", "cost", _cells(cost(spent)), "What each stage took"),
        ("markdown", "report", page, "Report"),
    ]
    for kind, key, data, what in left:
        mailbox.artifact(shown_artifact(kind, artifact_key(key), data, f"{what}: {name}"))


def places(name: str, compared: Artifact, report: Path) -> tuple[str, str]:
    """Where a study's report and its tables are, as Markdown: a link where a web server shows the report, else paths.

    A page from a server may not lead to a file, even one of the same machine: browsers block such links.
    """
    base, store = os.environ.get(REPORT_URL), os.environ.get("MOTHERTONGUE_STORE", "")
    page = escaped(report.absolute())
    if base:
        address = f"{base.rstrip('/')}/{quote(name)}/{report.name}"
        page = f"[{escaped(address)}]({quote(address, safe=SAFE)})"
    if "://" in store:
        return page, escaped(f"{store.rstrip('/')}/{compared.manifest['stage']}/{compared.manifest['key']}")
    return page, escaped(compared.folder.absolute())


def _cells(table: Iterable[Mapping[str, Any]]) -> str:
    """A table as Prefect takes it. Its pages read a cell as Markdown, a column's name as it is."""
    return json.dumps([{all_visible(name): escaped(value) for name, value in row.items()} for row in table])


def verdict_counts(compared: Artifact) -> Table:
    """Verdicts on all responses of each training benchmark and origin."""
    import pandas as pd

    found = pd.read_parquet(compared.path("responses.parquet"), columns=[*WHERE, "verdict"])
    counts = (
        found.groupby(WHERE)["verdict"].value_counts().unstack(fill_value=0).reindex(columns=VERDICTS, fill_value=0)
    )
    return [
        {
            **_where(*where),
            "responses": f"{sum(row):,}",
            **{verdict: f"{n:,}" for verdict, n in zip(VERDICTS, row, strict=True)},
            "correct, %": percent(row[0] / judged) if (judged := sum(row[:3])) else "–",
        }
        for where, row in zip(counts.index, counts.itertuples(index=False, name=None), strict=True)
        if not is_control(where[2])
    ]


WHERE = ["student", "train_benchmark", "origin"]


def perplexity(compared: Artifact) -> Table:
    """How familiar each origin's responses are to the student before it is trained."""
    return [
        {
            **_where(row["student"], row["benchmark"], row["origin"]),
            "responses": f"{int(row['rows']):,}",
            "tokens each": ratio(row["tokens_mean"]),
            "perplexity, median": ratio(row["ppl_median"]),
            "mean": ratio(row["ppl_mean"]),
            "of all tokens": ratio(row["ppl_corpus"]),
        }
        for row in _records(compared.path("perplexity.csv"))
        if not is_control(row["origin"])
    ]


def _where(student: str, benchmark: str, origin: str) -> dict[str, str]:
    return {"student": student, "benchmark": benchmark, "origin": origin}


def matrix(compared: Artifact) -> str:
    """Accuracy in per cent and its change in points: a table a student, a line an arm, a column an evaluation."""
    students: dict[str, dict[tuple[str, str], dict[str, dict[str, Any]]]] = {}
    for row in _records(compared.path("summary.csv")):
        arm = (row["train_benchmark"], row["origin"])
        students.setdefault(row["student"], {}).setdefault(arm, {})[row["eval_benchmark"]] = row
    lines: list[str] = []
    for student, arms in students.items():
        columns = sorted({benchmark for cells in arms.values() for benchmark in cells})
        lines += [
            f"**{escaped(student)}**",
            "",
            f"| trained on | origin | {' | '.join(map(escaped, columns))} |",
            "| --- " * (len(columns) + 2) + "|",
        ]
        base = {on: row["base_score"] for cells in arms.values() for on, row in cells.items()}
        lines.append("|  | no training | " + " | ".join(percent(base[on]) for on in columns) + " |")
        for (benchmark, origin), cells in sorted(arms.items()):
            shown = [_cell(cells.get(on), on == benchmark) for on in columns]
            lines.append(f"| {escaped(benchmark)} | {escaped(origin)} | {' | '.join(shown)} |")
        lines.append("")
    return "\n".join([*lines, "Accuracy in %, change in points in brackets; in domain in bold type."])


def _cell(row: Mapping[str, Any] | None, in_domain: bool) -> str:
    if row is None or math.isnan(row["score"]):
        return "–"
    text = f"{percent(row['score'])} ({points(row['delta'])})"
    return f"**{text}**" if in_domain else text


def cost(spent: Iterable[Mapping[str, Any]]) -> Table:
    """What each stage took, one line a stage and one for all."""
    stages: dict[str, list[Mapping[str, Any]]] = {}
    for step in spent:
        stages.setdefault(step["stage"], []).append(step)
    everything = [step for steps in stages.values() for step in steps]
    return [_cost(stage, steps) for stage, steps in stages.items()] + ([_cost("all", everything)] if everything else [])


def _cost(stage: str, steps: list[Mapping[str, Any]]) -> dict[str, str]:
    def total(name: str) -> float:
        return sum(step.get(name) or 0 for step in steps)

    now = [step for step in steps if step["made"]]
    usd = [step["usd"] for step in steps if step.get("usd") is not None]
    return {
        "stage": stage,
        "steps": f"{len(steps):,}",
        "in this run": f"{len(now):,}",
        "rows": f"{total('rows'):,.0f}" if total("rows") else "–",
        "tokens": f"{total('tokens'):,.0f}" if total("tokens") else "–",
        "time": duration(total("seconds")),
        "of it in this run": duration(sum(step["seconds"] for step in now)) if now else "–",
        "API": f"${sum(usd):,.2f}" if usd else "–",
    }


def _records(path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    names = ("student", "train_benchmark", "benchmark", "origin", "method", "eval_benchmark")
    frame = pd.read_csv(path, converters=dict.fromkeys(names, str))
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
