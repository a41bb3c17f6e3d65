"""Report: one page that opens offline, with the verdict first, then what it stands on, then how it was made."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from tasks import report_figures as figures
from tasks.phrasing import signed
from tasks.stage import Work, stage
from tasks.store import Artifact
from tasks.versions import versions

if TYPE_CHECKING:
    import pandas as pd

PAGE = (Path(__file__).resolve().parent.parent / "data" / "report" / "page.html.jinja").read_text(encoding="utf-8")
KINDS = {
    "in_domain": "Who teaches more, in domain",
    "elsewhere": "Who keeps more of the other benchmarks",
    "perplexity": "What the student finds familiar",
    "gain": "Does training help at all",
    "loss": "Does it cost accuracy elsewhere",
}
SATURATED = 0.35
"""A change of this size gets the full colour."""
MOST_MISSING = 50


@stage()
def report(
    compared: Artifact,
    title: str,
    provenance: dict[str, Any],
    made: tuple[Artifact, ...] = (),
    template: str = PAGE,
    *,
    work: Work,
) -> None:
    """Write `report.html`.

    Args:
        compared: compare's artifact.
        title: the study's name.
        provenance: how the study was made, as JSON-able data; `about` and `notes` are shown as text, the rest as lists.
        made: the stages' artifacts, for counts, time and template hashes.
        template: the page, in Jinja.
    """
    page = render(compared.folder, title, provenance, stages_of(made), template, versions_of(made))
    (work.folder / "report.html").write_text(page, encoding="utf-8")


def render(
    folder: Path,
    title: str,
    provenance: Mapping[str, Any],
    stages: list[dict[str, Any]] | None = None,
    template: str = PAGE,
    made_with: Mapping[str, str] | None = None,
) -> str:
    """The page for compare's files in `folder`. Everything that comes from models or files is escaped."""
    import pandas as pd
    from jinja2 import Environment, StrictUndefined

    found = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    summary, perplexity, cells = (_table(folder / f"{name}.csv") for name in ("summary", "perplexity", "cells"))
    responses = pd.read_parquet(folder / "responses.parquet")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "percent": _percent,
        "points": _points,
        "ratio": _ratio,
        "p": _p,
        "value": _value,
        "n": _count,
        "glue": _glue,
    }
    parts = [_part(verdict, number, summary, responses, found) for number, verdict in enumerate(found["verdicts"])]
    return environment.from_string(template).render(
        title=title,
        about=str(provenance.get("about") or ""),
        notes=str(provenance.get("notes") or ""),
        parts=parts,
        kinds=KINDS,
        passes=_passes(folder),
        perplexity=perplexity.sort_values(["student", "benchmark", "ppl_median"]).to_dict("records"),
        examples=json.loads((folder / "examples.json").read_text(encoding="utf-8")),
        origins=figures.marks(summary["origin"]),
        missing=found["missing"],
        most_missing=MOST_MISSING,
        counts={verdict: int(cells[verdict].sum()) for verdict in ("correct", "wrong", "unparseable", "error")},
        cells=len(cells),
        provenance={name: value for name, value in provenance.items() if name not in ("about", "notes")},
        stages=stages or [],
        versions=made_with or versions(),
    )


def _passes(folder: Path) -> dict[str, Any]:
    """Pass@k as a table: the values of k, and for each arm and evaluation benchmark the value at each."""
    import pandas as pd

    frame = pd.read_csv(folder / "pass_at_k.csv", keep_default_na=False)
    lines: dict[tuple[str, str, str], dict[int, float]] = {}
    for row in _records(frame):
        arm = (row["origin"], row["train_benchmark"], row["eval_benchmark"])
        lines.setdefault(arm, {})[int(row["k"])] = float(row["pass_at_k"])
    return {"ks": sorted({k for values in lines.values() for k in values}), "lines": lines}


def _part(
    verdict: dict[str, Any], number: int, summary: pd.DataFrame, responses: pd.DataFrame, found: dict[str, Any]
) -> dict[str, Any]:
    """What the page shows for one student and method."""
    mine = summary[(summary["student"] == verdict["student"]) & (summary["method"] == verdict["method"])]
    trained_on = responses[responses["student"] == verdict["student"]]
    trained_on = trained_on[trained_on["chosen"]] if trained_on["chosen"].any() else trained_on
    drawn = {
        "changes": figures.changes(verdict) if verdict["standings"] else "",
        "perplexity": figures.perplexities(trained_on),
        "accuracy": figures.accuracy_by_perplexity(verdict),
        "forgetting": figures.forgetting(verdict, mine),
    }
    return {
        "verdict": verdict,
        "claims": {kind: [c for c in verdict["claims"] if c["kind"] == kind] for kind in KINDS},
        "matrix": _matrix(mine, [standing["origin"] for standing in verdict["standings"]]),
        "baselines": {b["eval_benchmark"]: b for b in found["baselines"] if b["student"] == verdict["student"]},
        "figures": {
            name: Markup(text.replace(f'"{name}-', f'"{name}{number}-').replace(f"#{name}-", f"#{name}{number}-"))
            for name, text in drawn.items()
        },
    }


def _matrix(summary: pd.DataFrame, order: list[str]) -> dict[str, Any]:
    """Training × evaluation: for each training benchmark its origins, and for each origin a cell an evaluation."""
    benchmarks = sorted(summary["eval_benchmark"].unique())
    place = {origin: number for number, origin in enumerate(order)}
    summary = summary.sort_values(
        "origin", key=lambda names: names.map(lambda name: place.get(name, len(place))), kind="stable"
    )
    summary = summary.sort_values(["train_benchmark"], kind="stable")
    groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in _records(summary):
        delta = row["delta"]
        shade = 0.0 if math.isnan(delta) else min(1.0, abs(delta) / SATURATED)
        decided = row["delta_ci_low"] > 0 or row["delta_ci_high"] < 0
        cell = {
            **row,
            "in_domain": row["train_benchmark"] == row["eval_benchmark"],
            "decided": decided,
            "colour": "gain" if delta > 0 else "loss",
            "strength": round(6 + 60 * shade) if shade else 0,
        }
        groups.setdefault(row["train_benchmark"], {}).setdefault(row["origin"], []).append(cell)
    return {"benchmarks": benchmarks, "groups": groups}


def stages_of(made: tuple[Artifact, ...]) -> list[dict[str, Any]]:
    """Runs, rows, seconds and template hashes of each stage, in the order they first appear."""
    by_stage: dict[str, dict[str, Any]] = {}
    for artifact in made:
        manifest = artifact.manifest
        entry = by_stage.setdefault(
            manifest["stage"],
            {"stage": manifest["stage"], "runs": 0, "rows": 0, "seconds": 0.0, "templates": Counter()},
        )
        entry["runs"] += 1
        entry["rows"] += manifest["rows"] or 0
        entry["seconds"] += manifest["seconds"]
        if "template" in manifest["facts"]:
            entry["templates"][manifest["facts"]["template"]] += 1
    return [{**entry, "templates": sorted(entry["templates"])} for entry in by_stage.values()]


def versions_of(made: tuple[Artifact, ...]) -> dict[str, str]:
    """Versions the artifacts were made with; several of one package where it was changed in between."""
    found: dict[str, set[str]] = {}
    for artifact in made:
        for package, version in artifact.manifest["versions"].items():
            found.setdefault(package, set()).add(version)
    return {package: " and ".join(sorted(each)) for package, each in found.items()}


def main_table(compared: Artifact) -> list[dict[str, Any]]:
    """The summary as rows for a Prefect table: scores in per cent, changes in points, each with its interval."""
    summary = _table(compared.folder / "summary.csv")
    return [
        {
            "trained on": row["train_benchmark"],
            "origin": row["origin"],
            "evaluated on": row["eval_benchmark"],
            "items": int(row["n"]),
            "score": _ranged(_percent(row["score"]), row["ci_low"], row["ci_high"], sign=False),
            "change": _ranged(_points(row["delta"]), row["delta_ci_low"], row["delta_ci_high"]),
            "p (Holm)": _p(row["p_holm"]),
        }
        for row in _records(summary)
    ]


def main_table_markdown(compared: Artifact) -> str:
    """The same table in Markdown."""
    rows = main_table(compared)
    if not rows:
        return ""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def verdict_markdown(compared: Artifact) -> str:
    """The verdict in Markdown, for a Prefect artifact: the answer, then the claims."""
    found = json.loads((compared.folder / "verdict.json").read_text(encoding="utf-8"))
    lines = []
    for verdict in found["verdicts"]:
        lines += [f"**{verdict['sentence']}**", *verdict["details"], "", "| | claim | found |", "| --- | --- | --- |"]
        lines += [f"| {c['status']} | {c['text']} | {c['sentence']} |" for c in verdict["claims"]]
        lines.append("")
    if found["missing"]:
        lines.append(f"Missing cells: {len(found['missing'])}; the report lists them.")
    return "\n".join(lines)


def _table(path: Path) -> pd.DataFrame:
    """One of compare's tables; names stay text, even one like "NA" or "10"."""
    import pandas as pd

    names = ("student", "train_benchmark", "benchmark", "origin", "method", "eval_benchmark")
    return pd.read_csv(path, converters=dict.fromkeys(names, str))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _ranged(value: str, low: float, high: float, sign: bool = True) -> str:
    if math.isnan(low):
        return value
    return f"{value} ({signed(100 * low, sign=sign)} to {signed(100 * high, sign=sign)})"


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _percent(share: float | None) -> str:
    return "–" if math.isnan(_known(share)) else f"{100 * _known(share):.1f}"


def _points(difference: float | None) -> str:
    return signed(100 * _known(difference))


def _ratio(value: float | None, log: bool = False) -> str:
    value = _known(value)
    if math.isnan(value):
        return "–"
    value = math.exp(min(700.0, value)) if log else value
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}" if value < 1e6 else f"{value:.1e}"


def _p(value: float | None) -> str:
    value = _known(value)
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _glue(text: str) -> str:
    """Keep "95 %" and "5.2 points" on one line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" points", "\N{NO-BREAK SPACE}points")


def _count(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _value(value: Any) -> str:
    """A setting as one line: maps as `name value`, lists with commas, null as a dash."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_value(item) for item in value)
    return "–" if value is None or value == "" else str(value)
