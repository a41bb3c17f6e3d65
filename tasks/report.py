"""Report: one page that opens offline, with the verdict first, then what it stands on, then how it was made."""

from __future__ import annotations

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
from tasks.comparison.results import Results
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import stage
from tasks.pipeline.versions import versions
from tasks.pipeline.work import Work
from tasks.reporting import data_efficiency, divergence, figures, missing_cells, predictor_figures, predictors
from tasks.reporting.formatting import FILTERS
from tasks.reporting.learnt import others_of, panels, words_of
from tasks.reporting.learnt_figure import drawn_of, learnt
from tasks.reporting.provenance import (
    matched_by,
    not_asked_by,
    sampling_in_intervals,
    stages_of,
    told_by,
    versions_of,
)
from tasks.reporting.scaling_figure import scaling
from tasks.reporting.steps import Steps
from tasks.reporting.token_surprise import coloured, curves, legend
from tasks.reporting.training import alarms_of, shared_settings, trained_by, training_of
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
KINDS_OF_ARMS = {
    **KINDS,
    "in_domain": "Which arm does better, in domain",
    "elsewhere": "Which arm keeps more of the other benchmarks",
}
"""The same where arms differ in more than whose responses they train on."""
TRIVIAL = {"majority": "most frequent gold answer", "copy": "the question copied", "abstain": "no answer"}
MOST_CLAIMS = 8
"""More claims of one kind than these are folded."""
MOST_ANSWERS = 6
"""Examples with more answers than these are folded."""
SATURATED = 0.35
"""A change of this size gets the full colour."""
MOST_MISSING = 50


@stage(reads_manifests=True)
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
    page = render(Results.read(compared.folder), title, provenance, steps, declared, templates)
    (work.folder / "report.html").write_text(page, encoding="utf-8")


def render(
    results: Results,
    title: str,
    provenance: Mapping[str, Any],
    steps: Steps[Artifact] = NO_STEPS,
    declared: Mapping[str, Sequence[Fact]] = NO_FACTS,
    templates: Mapping[str, str] = TEMPLATES,
) -> str:
    """The page for a comparison's results. Everything that comes from models or files is escaped."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    environment = Environment(
        loader=DictLoader(dict(templates)),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {**FILTERS, "coloured": coloured, "predicted": predictors.shown}
    perplexity = results.of_largest(results.tables["perplexity"])
    perplexity = perplexity[~perplexity["arm"].map(is_control).astype(bool)]
    arms = list(results.tables["summary"]["arm"])
    cells = results.tables["cells"]
    draws = {str(arm): int(most) for arm, most in perplexity.groupby("arm", sort=True)["draws"].max().items()}
    seeds = min((verdict["seeds"] for verdict in results.verdicts), default=0)
    return environment.get_template("page.html.jinja").render(
        title=title,
        about=str(provenance.get("about") or ""),
        notes=str(provenance.get("notes") or ""),
        pilot=list((provenance.get("pilot") or {}).get("lines") or ()),
        by_name=any(verdict["by_name"] for verdict in results.verdicts),
        parts=[_part(verdict, number, results) for number, verdict in enumerate(results.verdicts)],
        sampling=sampling_in_intervals(
            provenance.get("questions") or {},
            seeds,
            per_seed=[arm for arm, number in draws.items() if number > 1],
            once=[arm for arm, number in draws.items() if number == 1],
        ),
        trivial=TRIVIAL,
        most_claims=MOST_CLAIMS,
        most_answers=MOST_ANSWERS,
        most_picks=predictors.MOST_PICKS,
        passes=_passes(results),
        graded=_records(results.of_largest(results.tables["graded"])),
        perplexity=_records(perplexity.sort_values(["student", "benchmark", "ppl_median"])),
        examples=results.examples,
        legend=legend(),
        looks=figures.marks(arms),
        missing=results.missing,
        lost=missing_cells.rows(results.missing),
        most_missing=MOST_MISSING,
        counts={verdict: int(cells[verdict].sum()) for verdict in ("correct", "wrong", "unparseable", "error")},
        cells=len(cells),
        provenance={name: value for name, value in provenance.items() if name not in ("about", "notes", "pilot")},
        stages=stages_of(steps.made),
        told=told_by(steps.made, declared),
        matched=matched_by(steps.choices),
        trained=trained_by(steps.choices, steps.trained),
        training=(training := training_of(steps.trained)),
        shared_settings=shared_settings(training),
        alarms=alarms_of(training),
        not_asked=not_asked_by(steps.asked),
        versions=versions_of(steps.made) if steps.made else versions(),
    )


def _shown(value: Any) -> Any:
    """What a template puts into the page: texts with unseen characters as escapes."""
    return type(value)(all_visible(value)) if isinstance(value, str) else value


def _passes(results: Results) -> dict[str, Any]:
    """Pass@k as a table: the values of k, and for each arm and evaluation benchmark the value at each."""
    lines: dict[tuple[str, str, str], dict[int, float]] = {}
    for row in _records(results.of_largest(results.tables["pass_at_k"])):
        arm = (row["arm"], row["train_benchmark"], row["eval_benchmark"])
        lines.setdefault(arm, {})[int(row["k"])] = float(row["pass_at_k"])
    return {"ks": sorted({k for values in lines.values() for k in values}), "lines": lines}


def _part(verdict: dict[str, Any], number: int, results: Results) -> dict[str, Any]:
    """What the page shows for one student."""
    student = verdict["student"]
    mine = _of(student, results.of_largest(results.tables["summary"]))
    trained_on = _of(student, results.of_largest(results.responses))
    trained_on = trained_on[~trained_on["arm"].map(is_control).astype(bool)]
    trained_on = trained_on[trained_on["chosen"]] if trained_on["chosen"].any() else trained_on
    order = [standing["arm"] for standing in verdict["standings"]]
    points = _of(student, results.tables["scaling"])
    approaches = _of(student, results.of_largest(results.tables["approaches"]))
    before_and_after = panels(mine, approaches, _competing(mine, order))
    of_panels = learnt(before_and_after, list(results.tables["summary"]["arm"]), verdict["measure"])
    arms = list(results.tables["summary"]["arm"])
    known = _of(student, results.tables["predictors"])
    recorded = predictors.panels(_of(student, results.tables["predictor_record"]), known)
    adapters = _of(student, results.of_largest(results.tables["divergence"]))
    drawn = {
        "changes": figures.changes(verdict) if verdict["standings"] else "",
        "scaling": scaling(points, order, list(results.tables["summary"]["arm"]), verdict["measure"]),
        "perplexity": figures.perplexities(trained_on),
        "surprise": curves(_of(student, results.tables["surprise"]), order),
        "accuracy": figures.accuracy_by_perplexity(verdict),
        "forgetting": figures.forgetting(verdict, mine),
        **{f"learnt{place}x": figure for place, figure in enumerate(of_panels)},
        "razor": divergence.razor(adapters, arms),
    }
    for place, panel in enumerate(recorded):
        mine_alike = known[known["training"] == panel.training]
        name = f"scatters{place}x"
        drawn[name] = predictor_figures.scatters(mine_alike, panel, arms, verdict["measure"], name)
        drawn[f"regrets{place}x"] = predictor_figures.regrets(panel, f"regrets{place}x")
    baselines = {b["eval_benchmark"]: b for b in results.baselines if b["student"] == student}
    kinds = KINDS_OF_ARMS if verdict["by_name"] else KINDS
    claims = {kind: [c for c in verdict["claims"] if c["kind"] == kind] for kind in kinds}
    return {
        "verdict": verdict,
        "word": "arm" if verdict["by_name"] else "origin",
        "kinds": kinds,
        "claims": claims,
        "decided": {kind: Counter(claim["status"] for claim in each) for kind, each in claims.items()},
        "matrix": _matrix(mine, [*order, *(standing["arm"] for standing in verdict["controls"])]),
        "sizes": _sizes(points),
        "efficiency": data_efficiency.lines(_records(_of(student, results.tables["efficiency"]))),
        "learnt": before_and_after,
        "learnt_figures": {
            one.train_benchmark: f"learnt{place}x"
            for place, (one, _) in enumerate(zip(before_and_after, of_panels, strict=False))
        },
        "learnt_left_out": any(len(drawn_of(one)) < len(one.evaluations) for one in before_and_after),
        "approaches": words_of(before_and_after),
        "told": others_of(before_and_after),
        "predictors": recorded,
        "predictor_values": [predictors.by_arm(known[known["training"] == panel.training]) for panel in recorded],
        "forgetting": divergence.sentences(_of(student, results.tables["forgetting"])),
        "divergence": divergence.lines(adapters),
        "baselines": baselines,
        "trivial": {name: _mean(baselines, verdict["train_benchmarks"], name) for name in TRIVIAL},
        "figures": {
            name: Markup(text.replace(f'"{name}-', f'"{name}{number}-').replace(f"#{name}-", f"#{name}{number}-"))
            for name, text in drawn.items()
        },
    }


def _competing(summary: pd.DataFrame, order: Sequence[str]) -> list[str]:
    """The arms of a student without controls: those that stand in the verdict, then those that have no place there."""
    others = sorted(arm for arm in summary["arm"].unique() if arm not in order and not is_control(arm))
    return [*order, *others]


def _of(student: str, frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["student"] == student]


def _sizes(points: pd.DataFrame) -> dict[str, Any]:
    """The scaling curves as a table: the sizes, and for each training benchmark and arm its point at each."""
    lines: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for row in _records(points):
        lines.setdefault((row["train_benchmark"], row["arm"]), {})[int(row["size"])] = row
    return {"all": sorted({size for line in lines.values() for size in line} - {0}), "lines": lines}


def _mean(baselines: Mapping[str, Mapping[str, Any]], benchmarks: list[str], name: str) -> float | None:
    """A trivial baseline in domain: its mean over the training benchmarks; None where one is unknown."""
    values = [baselines[on][name] if on in baselines else None for on in benchmarks]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _matrix(summary: pd.DataFrame, order: Sequence[str]) -> dict[str, Any]:
    """Training × evaluation: for each training benchmark its arms, and for each arm a cell an evaluation."""
    benchmarks = sorted(summary["eval_benchmark"].unique())
    place = {arm: number for number, arm in enumerate(order)}
    summary = summary.sort_values(
        "arm", key=lambda names: names.map(lambda name: place.get(name, len(place))), kind="stable"
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
        groups.setdefault(row["train_benchmark"], {}).setdefault(row["arm"], []).append(cell)
    return {"benchmarks": benchmarks, "groups": groups}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
