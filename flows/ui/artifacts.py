"""What the Prefect UI shows of a study beside its graph: tables, the verdict, and where the rest is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from data.visible import all_visible
from flows.ui.background_sender import sender
from flows.ui.run_log import artifact_key, shown_artifact
from flows.ui.study_tables import Table, main_table, matrix, perplexity, verdict_counts
from tasks.comparison.results import Results
from tasks.pipeline.stage import Node
from tasks.reporting.formatting import duration
from tasks.reporting.markdown import escaped
from tasks.reporting.verdict_markdown import verdict_markdown
from tasks.storage.artifacts import Artifact

REPORT_URL = "MOTHERTONGUE_REPORT_URL"
"""Where a web server shows the results folder `runs`, for links that a browser can open."""
SAFE = ":/?#@!$&'*+,;=%~"
"""What an address in Markdown keeps as it is."""


def show_step(node: Node, made: Artifact) -> None:
    """Leave what a step found as a table of its run."""
    if rows := node.stage.step_table(made.facts):
        table = [{node.stage.name: name, node.label: value} for name, value in rows.items()]
        sender.artifact(shown_artifact("table", artifact_key(node.run_name), _cells(table), node.run_name))


def show_study(name: str, compared: Artifact, report: Path, spent: Iterable[Mapping[str, Any]]) -> None:
    """Leave the study's results as tables and Markdown of the flow run, and where the report and its files are.

    Args:
        compared: compare's artifact.
        report: the report's page in the results folder.
        spent: what each step took: `stage`, `made` (in this run), `rows`, `seconds`, `tokens`, `usd`; see `cost`.
    """
    page, files = places(name, compared, report)
    results = Results.read(compared.folder)
    text = f"{verdict_markdown(results)}\n\nReport: {page}\n\nTables and answers: {files}\n"
    left = [
        ("markdown", "verdict", text, "Verdict"),
        (
            "markdown",
            "matrix",
            matrix(results),
            "Accuracy of every arm on every benchmark, change against no training",
        ),
        ("table", "summary", _cells(main_table(results)), "Every cell, seeds pooled"),
        ("table", "verdict-counts", _cells(verdict_counts(results)), "Verdicts on the responses of each arm"),
        (
            "table",
            "perplexity",
            _cells(perplexity(results)),
            "How familiar the responses are to the student before training",
        ),
        ("table", "cost", _cells(cost(spent)), "What each stage took"),
        ("markdown", "report", page, "Report"),
    ]
    for kind, key, data, what in left:
        sender.artifact(shown_artifact(kind, artifact_key(key), data, f"{what}: {name}"))


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
