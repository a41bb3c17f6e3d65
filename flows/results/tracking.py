"""Trackers: where a finished study's numbers go besides its own report, when a person asks for it.

`mothertongue run STUDY --track mlflow`, or MOTHERTONGUE_TRACK=mlflow in a worker's environment. A new tracker is one
new file here, with one class that has a `record`. A tracker that fails costs one line, never the study.
"""

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from data import kinds
from flows.results.history import Kept
from tasks.endpoint.secrets import masked

TRACK = "MOTHERTONGUE_TRACK"
UNNAMED = re.compile(r"[^\w\-. ]+")
"""What a part of a metric's name may not hold: `/` parts them, and `@` is not known everywhere."""


@dataclass(frozen=True)
class Finished:
    """A study's results, as a tracker takes them."""

    study: str
    run: str
    """What these results are called in the study's history; the same results have the same name."""
    key: str
    """Key of the report: what tells these results from all others."""
    parameters: Mapping[str, str]
    """The study's values, by key: `questions.train`."""
    metrics: Mapping[str, float]
    """`score/<arm>/<trained on>/<evaluated on>`, `delta/…`, `perplexity/<arm>/<benchmark>`; of several students, each
    under its own name first; of several sizes, an arm is `<arm> size <size>`."""
    tags: Mapping[str, str]
    verdict: str
    files: tuple[Path, ...]
    """The report and the tables."""
    finished: str
    """When, as 2026-07-26T12:00:00Z."""


class Tracker(Protocol):
    """Somewhere that keeps results."""

    def record(self, finished: Finished) -> str:
        """Keep the results, unless they are kept already; says in a few words where.

        Raises:
            Exception: it could not.
        """
        ...


def find(name: str) -> Tracker:
    """The tracker of that name.

    Raises:
        InputError: there is none, or the package that it needs is missing.
    """
    module = kinds.load("flows.results.trackers", name, "tracker")
    made: Callable[[], Tracker] = module.tracker
    return made()


def track(name: str, folder: Path, say: Callable[[str], None]) -> None:
    """Hand the results in a study's folder to the tracker of that name, if any. Never raises."""
    if not name:
        return
    try:
        say(f"{name}: {find(name).record(finished_in(folder))}")
    except Exception as error:  # what a library raises for a server that is gone is its own business
        why = " ".join((str(error) or type(error).__name__).split())
        say(f"warning: {name} has not got these results: {masked(why, _secrets())[:300]}")


def _secrets() -> list[str]:
    """Values of the environment that a library's message may hold."""
    named = re.compile(r"(TOKEN|PASSWORD|SECRET|KEY)$")
    return [value for name, value in os.environ.items() if named.search(name) and len(value) >= 6]


def finished_in(folder: Path) -> Finished:
    """The results that lie in a folder."""
    run = Kept(folder, json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    manifest = run.manifest
    names = ("report.html", "verdict.json", "summary.csv", "perplexity.csv", "manifest.json")
    return Finished(
        study=run.study,
        run=run.name,
        key=manifest["report"]["key"],
        parameters=dict(_flat(manifest["study"])),
        metrics=_metrics(run),
        tags={
            "mothertongue.study": run.study,
            "mothertongue.run": run.name,
            "mothertongue.report": manifest["report"]["key"],
            "mothertongue.missing": str(len(manifest["failed"])),
            **{f"version.{name}": version for name, version in manifest["versions"].items()},
        },
        verdict="\n\n".join(verdict["sentence"] for verdict in run.verdicts),
        files=tuple(folder / name for name in names if (folder / name).is_file()),
        finished=manifest["finished"],
    )


def _flat(value: Any, where: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [pair for name, inner in value.items() for pair in _flat(inner, f"{where}.{name}".lstrip("."))]
    return [(where, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]


def _metrics(run: Kept) -> dict[str, float]:
    summary, perplexity = (run.rows(name) for name in ("summary.csv", "perplexity.csv"))
    several = len({row["student"] for row in (*summary, *perplexity)}) > 1
    found: dict[str, float] = {}

    def put(row: Mapping[str, str], column: str, *name: str) -> None:
        number = float(row[column] or "nan")
        if math.isfinite(number):
            first = [row["student"]] if several else []
            found["/".join(UNNAMED.sub(".", part) for part in (*first, *name))] = number

    for row in summary:
        place = (_arm(row), row["train_benchmark"], row["eval_benchmark"])
        put(row, "score", "score", *place)
        put(row, "delta", "delta", *place)
        put(row, "base_score", "score", "no training", row["eval_benchmark"])
    for row in perplexity:
        put(row, "ppl_median", "perplexity", _arm(row), row["benchmark"])
        put(row, "pass_rate", "correct", _arm(row), row["benchmark"])
    return found


def _arm(row: Mapping[str, str]) -> str:
    return row["arm"] if row["size"] == "0" else f"{row['arm']} size {row['size']}"
