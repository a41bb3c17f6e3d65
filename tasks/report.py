"""Report: one page that opens offline, with the verdict first, then what it stands on, then how it was made."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from data.visible import all_visible
from tasks.comparison.arms import is_control
from tasks.comparison.claim import SIGNIFICANCE
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import Work, stage
from tasks.pipeline.versions import versions
from tasks.reporting import figures, missing_cells
from tasks.reporting.formatting import FILTERS, chance, percent, points, ranged
from tasks.reporting.markdown import escaped
from tasks.reporting.provenance import Steps, matched_by, not_asked_by, stages_of, told_by, trained_by, versions_of
from tasks.reporting.token_surprise import coloured, curves, legend
from tasks.storage.artifacts import Artifact

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).resolve().parent.parent / "data" / "report"
TEMPLATES = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.jinja"))}
NO_STEPS: Steps[Artifact] = Steps()
NO_FACTS: Mapping[str, tuple[Fact, ...]] = MappingProxyType({})
KINDS = {
    "in_domain": "Who teaches more, in domain",
    "elsewhere": "Who keeps more of the other benchmarks",
    "perplexity": "What the student finds familiar",
    "gain": "Does training help at all",
    "loss": "Does it cost anything elsewhere",
}
TRIVIAL = {"majority": "most frequent gold answer", "copy": "the question copied", "abstain": "no answer"}
MOST_CLAIMS = 8
"""More claims of one kind than these are folded."""
MOST_ANSWERS = 6
"""Examples with more answers than these are folded."""
SATURATED = 0.35
"""A change of this size gets the full colour."""
MOST_MISSING = 50
FEW = 20
"""With more claims than these, tables outside the report hold those of the study file and count the others."""


@stage()
def report(
    compared: Artifact,
    title: str,
    provenance: dict[str, Any],
    steps: Steps[Artifact] = NO_STEPS,
    declared: Mapping[str, tuple[Fact, ...]] = NO_FACTS,
    templates: Mapping[str, str] = TEMPLATES,
    *,
    work: Work,
) -> None:
    """Write `report.html`.

    Args:
        compared: compare's artifact.
        title: the study's name.
        provenance: how the study was made, as JSON-able data; `about` and `notes` are shown as text, the rest as lists.
        steps: what was made on the way to the comparison.
        declared: the facts that each stage declares, by its name.
        templates: `page.html.jinja` and what it includes, by file name.
    """
    page = render(compared.folder, title, provenance, steps, declared, templates)
    (work.folder / "report.html").write_text(page, encoding="utf-8")


def render(
    folder: Path,
    title: str,
    provenance: Mapping[str, Any],
    steps: Steps[Artifact] = NO_STEPS,
    declared: Mapping[str, Sequence[Fact]] = NO_FACTS,
    templates: Mapping[str, str] = TEMPLATES,
) -> str:
    """The page for compare's files in `folder`. Everything that comes from models or files is escaped."""
    import pandas as pd
    from jinja2 import DictLoader, Environment, StrictUndefined

    found = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    summary, perplexity, cells, graded, surprise = (
        _table(folder / f"{name}.csv") for name in ("summary", "perplexity", "cells", "graded", "surprise")
    )
    responses = pd.read_parquet(folder / "responses.parquet")
    perplexity = perplexity[~perplexity["origin"].map(is_control).astype(bool)]
    environment = Environment(
        loader=DictLoader(dict(templates)),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {**FILTERS, "coloured": coloured}
    parts = [
        _part(verdict, number, summary, responses, surprise, found) for number, verdict in enumerate(found["verdicts"])
    ]
    return environment.get_template("page.html.jinja").render(
        title=title,
        about=str(provenance.get("about") or ""),
        notes=str(provenance.get("notes") or ""),
        parts=parts,
        kinds=KINDS,
        trivial=TRIVIAL,
        most_claims=MOST_CLAIMS,
        most_answers=MOST_ANSWERS,
        passes=_passes(folder),
        graded=_records(graded),
        perplexity=_records(perplexity.sort_values(["student", "benchmark", "ppl_median"])),
        examples=json.loads((folder / "examples.json").read_text(encoding="utf-8")),
        legend=legend(),
        origins=figures.marks(summary["origin"]),
        missing=found["missing"],
        lost=missing_cells.rows(found["missing"]),
        most_missing=MOST_MISSING,
        counts={verdict: int(cells[verdict].sum()) for verdict in ("correct", "wrong", "unparseable", "error")},
        cells=len(cells),
        provenance={name: value for name, value in provenance.items() if name not in ("about", "notes")},
        stages=stages_of(steps.made),
        told=told_by(steps.made, declared),
        matched=matched_by(steps.choices),
        trained=trained_by(steps.choices, steps.trained),
        not_asked=not_asked_by(steps.asked),
        versions=versions_of(steps.made) if steps.made else versions(),
    )


def _shown(value: Any) -> Any:
    """What a template puts into the page: texts with unseen characters as escapes."""
    return type(value)(all_visible(value)) if isinstance(value, str) else value


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
    verdict: dict[str, Any],
    number: int,
    summary: pd.DataFrame,
    responses: pd.DataFrame,
    surprise: pd.DataFrame,
    found: dict[str, Any],
) -> dict[str, Any]:
    """What the page shows for one student and method."""
    mine = summary[(summary["student"] == verdict["student"]) & (summary["method"] == verdict["method"])]
    trained_on = responses[responses["student"] == verdict["student"]]
    trained_on = trained_on[~trained_on["origin"].map(is_control).astype(bool)]
    trained_on = trained_on[trained_on["chosen"]] if trained_on["chosen"].any() else trained_on
    order = [standing["origin"] for standing in verdict["standings"]]
    drawn = {
        "changes": figures.changes(verdict) if verdict["standings"] else "",
        "perplexity": figures.perplexities(trained_on),
        "surprise": curves(surprise[surprise["student"] == verdict["student"]], order),
        "accuracy": figures.accuracy_by_perplexity(verdict),
        "forgetting": figures.forgetting(verdict, mine),
    }
    baselines = {b["eval_benchmark"]: b for b in found["baselines"] if b["student"] == verdict["student"]}
    claims = {kind: [c for c in verdict["claims"] if c["kind"] == kind] for kind in KINDS}
    return {
        "verdict": verdict,
        "claims": claims,
        "decided": {kind: Counter(claim["status"] for claim in each) for kind, each in claims.items()},
        "matrix": _matrix(mine, [*order, *(standing["origin"] for standing in verdict["controls"])]),
        "baselines": baselines,
        "trivial": {name: _mean(baselines, verdict["train_benchmarks"], name) for name in TRIVIAL},
        "figures": {
            name: Markup(text.replace(f'"{name}-', f'"{name}{number}-').replace(f"#{name}-", f"#{name}{number}-"))
            for name, text in drawn.items()
        },
    }


def _mean(baselines: Mapping[str, Mapping[str, Any]], benchmarks: list[str], name: str) -> float | None:
    """A trivial baseline in domain: its mean over the training benchmarks; None where one is unknown."""
    values = [baselines[on][name] if on in baselines else None for on in benchmarks]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


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
        decided = row["p_holm"] < SIGNIFICANCE
        cell = {
            **row,
            "in_domain": row["train_benchmark"] == row["eval_benchmark"],
            "decided": decided,
            "colour": "gain" if delta > 0 else "loss",
            "strength": round(6 + 60 * shade) if shade else 0,
        }
        groups.setdefault(row["train_benchmark"], {}).setdefault(row["origin"], []).append(cell)
    return {"benchmarks": benchmarks, "groups": groups}


def main_table(compared: Artifact) -> list[dict[str, Any]]:
    """The summary as rows for a Prefect table: scores in per cent, changes in points, each with its interval."""
    summary = _table(compared.folder / "summary.csv")
    several = [name for name in ("student", "method") if summary[name].nunique() > 1]
    return [
        {
            **{name: row[name] for name in several},
            "trained on": row["train_benchmark"],
            "origin": row["origin"],
            "evaluated on": row["eval_benchmark"],
            "items": int(row["n"]),
            "score": ranged(percent(row["score"]), row["ci_low"], row["ci_high"], sign=False),
            "change": ranged(points(row["delta"]), row["delta_ci_low"], row["delta_ci_high"]),
            "p (Holm)": chance(row["p_holm"]),
        }
        for row in _records(summary)
    ]


def verdict_markdown(compared: Artifact) -> str:
    """The verdict in Markdown, for a Prefect artifact: the answer, then the claims, which a table would not wrap."""
    found = json.loads((compared.folder / "verdict.json").read_text(encoding="utf-8"))
    lines = []
    for verdict in found["verdicts"]:
        lines += [f"**{escaped(verdict['sentence'])}**", *map(escaped, verdict["details"]), ""]
        lines += [_item(answer["status"], answer["claim"], answer["sentence"]) for answer in verdict["contrasts"]]
        if len(verdict["claims"]) <= FEW:
            lines += [_item(claim["status"], claim["text"], claim["sentence"]) for claim in verdict["claims"]]
        else:
            lines += ["", f"{len(verdict['claims'])} claims about pairs of origins are in the report."]
        lines.append("")
    said = missing_cells.lines(found["missing"], FEW)
    lines += [*said[:1], "", *(f"- {escaped(line)}" for line in said[1:])]
    return "\n".join(lines)


def _item(status: str, claim: str, sentence: str) -> str:
    return f"- **{status}**: {escaped(claim)} {escaped(sentence)}"


def _table(path: Path) -> pd.DataFrame:
    """One of compare's tables; names stay text, even one like "NA" or "10"."""
    import pandas as pd

    names = ("student", "train_benchmark", "benchmark", "origin", "method", "eval_benchmark")
    return pd.read_csv(path, converters=dict.fromkeys(names, str))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
