"""`mothertongue compare A B`: what changed between two finished runs, in what they were made of and in numbers."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flows.results.history import Kept
from tasks.comparison.cell import Arm
from tasks.comparison.statistics import Estimate, Measured, Term
from tasks.storage.artifacts import Store

if TYPE_CHECKING:
    import pandas as pd

ARM = ("student", "train_benchmark", "arm", "origin", "method", "size")
SAME = 5e-7
"""Numbers closer than this were written with the same digits."""


@dataclass(frozen=True)
class Change:
    """One thing that is another, new or gone (None)."""

    what: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class CellChange:
    """An arm on an evaluation benchmark in both runs; NaN where a run has no number. Scores are shares."""

    name: tuple[str, ...]
    """Student, training benchmark, arm, origin, method, size and evaluation benchmark."""
    score: tuple[float, float]
    """Before and after."""
    delta: tuple[float, float]
    """Against no training, before and after."""
    change: float
    """Of the score, over the questions that both runs asked; over each run's own where the answers are gone."""
    low: float = math.nan
    high: float = math.nan
    """95 % interval of the change, paired by question; NaN where the answers of a run are no longer kept."""
    items: int = 0
    """Questions that both runs asked."""
    asked: int = 0
    """Questions that the second run asked."""

    @property
    def in_both(self) -> bool:
        return not any(map(math.isnan, self.score))

    @property
    def decided(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass
class Difference:
    """Two runs held against each other."""

    before: Kept
    after: Kept
    code: dict[str, list[str]] = field(default_factory=dict)
    """Source files whose code is another, by stage."""
    data: list[Change] = field(default_factory=list)
    models: list[Change] = field(default_factory=list)
    values: list[Change] = field(default_factory=list)
    """Values of the study."""
    versions: list[Change] = field(default_factory=list)
    failed: list[Change] = field(default_factory=list)
    cells: list[CellChange] = field(default_factory=list)
    perplexities: list[Change] = field(default_factory=list)
    verdicts: list[Change] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """What one of the runs, of an earlier version, did not write down."""
    paired: bool = False
    """Whether the answers of both runs were there to be paired."""

    @property
    def same(self) -> bool:
        """Whether both are the same results."""
        return self.before.id == self.after.id

    @property
    def changed_cells(self) -> list[CellChange]:
        return [cell for cell in self.cells if not (_alike(*cell.score) and _alike(*cell.delta))]

    def as_data(self) -> dict[str, Any]:
        """For machines; undefined numbers are null."""
        named = (
            "code",
            "data",
            "models",
            "values",
            "versions",
            "failed",
            "perplexities",
            "verdicts",
            "unknown",
            "paired",
        )
        lists = {name: getattr(self, name) for name in named}
        plain = {
            name: [asdict(one) if isinstance(one, Change) else one for one in value]
            if isinstance(value, list)
            else value
            for name, value in lists.items()
        }
        runs = {name: {"study": run.study, "run": run.name} for name, run in self._runs()}
        return _without_nan({**runs, "same": self.same, **plain, "cells": [_cell(cell) for cell in self.cells]})

    def _runs(self) -> tuple[tuple[str, Kept], tuple[str, Kept]]:
        return ("before", self.before), ("after", self.after)


def compare(before: Kept, after: Kept, store: Store) -> Difference:
    """Hold two finished runs against each other."""
    found = Difference(before, after)
    if found.same:
        return found
    one, other = before.manifest, after.manifest
    found.unknown = [name for name in ("code", "data", "models") if name not in one or name not in other]
    found.code = dict(_code(one.get("code", {}), other.get("code", {}), before.study == after.study))
    if not found.unknown:
        found.data = list(_of_maps(one["data"], other["data"]))
    models = [run["students"] if found.unknown else run["models"] for run in (one, other)]
    found.models = list(_of_maps(*models))
    found.values = list(_of_values(one["study"], other["study"]))
    found.versions = list(_of_maps(one["versions"], other["versions"]))
    found.failed = list(_of_maps(one["failed"], other["failed"]))
    found.cells, found.paired = _cells(before, after, store)
    found.perplexities = list(_perplexities(before, after))
    found.verdicts = list(_of_maps(_sentences(before), _sentences(after)))
    return found


def _code(before: Mapping[str, Any], after: Mapping[str, Any], one_study: bool) -> Iterator[tuple[str, list[str]]]:
    """The files of each stage of both that changed. Of two studies, each has files that the other does not use."""
    for stage in sorted({*before} & {*after}):
        changes = [change.what for change in _of_maps(before[stage], after[stage])]
        if not one_study:
            changes = [file for file in changes if file in before[stage] and file in after[stage]]
        if changes:
            yield stage, changes


def _of_maps(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in [*before, *(name for name in after if name not in before)]:
        if before.get(name) != after.get(name):
            yield Change(name, before.get(name), after.get(name))


def _of_values(before: Any, after: Any, where: str = "") -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _of_values(before.get(name), after.get(name), f"{where}.{name}".lstrip("."))
    elif before != after:
        yield Change(where, before, after)


def _number(text: str | None) -> float:
    return float(text) if text else math.nan


def _cells(before: Kept, after: Kept, store: Store) -> tuple[list[CellChange], bool]:
    """Every cell of either run, in the order of the second; and whether answers could be paired."""
    tables = [_summary(run) for run in (before, after)]
    names = [*tables[1], *(name for name in tables[0] if name not in tables[1])]
    answered = [_items(run, store) for run in (before, after)]
    intervals: dict[tuple[str, ...], Estimate] = {}
    if answered[0] is not None and answered[1] is not None:
        shared = [name for name in names if name in tables[0] and name in tables[1]]
        intervals = _paired(answered[0], answered[1], shared)
    found = []
    for name in names:
        one, other = tables[0].get(name, {}), tables[1].get(name, {})
        scores, deltas = ([_number(row.get(what)) for row in (one, other)] for what in ("score", "delta"))
        paired = intervals.get(name, Estimate(scores[1] - scores[0]))
        change = (paired.value, paired.low, paired.high, paired.items)
        found.append(
            CellChange(name, (scores[0], scores[1]), (deltas[0], deltas[1]), *change, int(other.get("n") or 0))
        )
    return found, bool(intervals)


def _summary(run: Kept) -> dict[tuple[str, ...], dict[str, str]]:
    """A run's summary by arm and evaluation benchmark, the student without training among the arms."""
    rows = run.rows("summary.csv")
    untrained = {
        (*map(str, Arm(row["student"], "", "", "", "").untrained), row["eval_benchmark"]): {
            "score": row["base_score"],
            "n": row["n"],
        }
        for row in rows
    }
    return untrained | {tuple(row[name] for name in (*ARM, "eval_benchmark")): row for row in rows}


def _items(run: Kept, store: Store) -> "pd.DataFrame | None":
    """All answers of a run, from the store or from its results folder; None where neither has them any more."""
    import pandas as pd

    artifact = store.open(run.manifest["compare"]["stage"], run.manifest["compare"]["key"])
    beside = run.folder / "items.parquet"
    path = artifact.path("items.parquet") if artifact is not None else beside if beside.is_file() else None
    if path is None:
        return None
    items = pd.read_parquet(path)
    if "arm" not in items.columns:  # a run of before there were arms
        items = items.assign(arm=items["origin"], size=0)
    # The same id may stand for another question where the data has changed.
    asked = items["question"].astype(str) + "\0" + items["gold"].astype(str)
    return items.assign(id=items["id"].astype(str) + "\0" + asked)


def _paired(
    before: "pd.DataFrame", after: "pd.DataFrame", names: Iterable[tuple[str, ...]]
) -> dict[tuple[str, ...], Estimate]:
    """Each cell's change over the questions that both runs asked; cells without any are left out."""
    import pandas as pd

    from tasks.comparison.items import matrices
    from tasks.comparison.peers import peers

    asked = [set(zip(run["eval_benchmark"].astype(str), run["id"], strict=True)) for run in (before, after)]
    shared = asked[0] & asked[1]
    counts = Counter(on for on, _ in shared)
    both = pd.concat([_marked(before, "before", shared), _marked(after, "after", shared)], ignore_index=True)
    if both.empty:
        return {}
    scores = matrices(both)
    sample = Measured(scores, peers=peers(scores))
    found = {}
    for name in names:
        student, trained, arm, origin, method, size, on = name
        one, other = (Arm(f"{mark} {student}", trained, arm, origin, method, int(size)) for mark in ("before", "after"))
        estimate = sample.estimate([Term(other, on, minus=one)])
        if estimate.items:
            found[name] = replace(estimate, items=counts[on])
    return found


def _marked(items: "pd.DataFrame", run: str, shared: set[tuple[str, str]]) -> "pd.DataFrame":
    """The answers to shared questions; the student is called by the run too, so that its arms are told apart."""
    pairs = zip(items["eval_benchmark"].astype(str), items["id"], strict=True)
    items = items[[pair in shared for pair in pairs]]
    names = {name: items[name].astype(str) for name in (*ARM, "eval_benchmark") if name != "size"}
    return items.assign(**{**names, "student": f"{run} " + names["student"]})


def _perplexities(before: Kept, after: Kept) -> Iterator[Change]:
    tables = [
        {
            (row["student"], row["benchmark"], row["arm"], row["size"]): _number(row["ppl_median"])
            for row in run.rows("perplexity.csv")
        }
        for run in (before, after)
    ]
    for name in [*tables[1], *(name for name in tables[0] if name not in tables[1])]:
        one, other = tables[0].get(name, math.nan), tables[1].get(name, math.nan)
        if not _alike(one, other):
            student, benchmark, arm, size = name
            of_size = "" if size == "0" else f" size {size}"
            yield Change(f"{arm}/{benchmark}{of_size} to {student}", one, other)


def _sentences(run: Kept) -> dict[str, str]:
    """What a run says: its verdicts, and what it found of each claim.

    A verdict is about a student; runs from before studies had arms have one for each student and method, of one method.
    """
    said = {}
    for verdict in run.verdicts:
        of = verdict["student"]
        said[f"{of}: verdict"] = verdict["sentence"]
        for claim in verdict["contrasts"]:
            said[f"{of}: {claim['claim']}"] = f"{claim['status']}: {claim['sentence']}"
        for claim in verdict["claims"]:
            said[f"{of}: {claim['text']}"] = f"{claim['status']}: {claim['sentence']}"
    return said


def _alike(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=SAME, abs_tol=SAME)


def _cell(cell: CellChange) -> dict[str, Any]:
    named = dict(zip((*ARM, "eval_benchmark"), cell.name, strict=True))
    numbers = {
        f"{what}_{when}": value
        for what, pair in (("score", cell.score), ("delta", cell.delta))
        for when, value in zip(("before", "after"), pair, strict=True)
    }
    interval = {"change": cell.change, "change_ci_low": cell.low, "change_ci_high": cell.high, "items": cell.items}
    return {**named, **numbers, **interval}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
