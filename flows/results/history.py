"""The finished runs of a study: what each was made of and its tables, under `runs/<study>/history/<time>-<id>/`.

An entry is small, since answers and adapters stay in the store under the keys that its manifest names. The same
results are kept once, however often a run finds them.
"""

import csv
import io
import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import InputError
from flows.results.json_output import say
from tasks.comparison.claim import NOT_SHOWN, REFUTED

RUNS = Path("runs")
HISTORY = "history"
LATEST, PREVIOUS = "latest", "previous"
FORMER_WORDS = {
    "contrasts": {"opposite": REFUTED, "does not hold": NOT_SHOWN},
    "claims": {"undecided": NOT_SHOWN},
}
"""What the status of contrasts and claims was called before studies had arms, and what it is called now."""


@dataclass(frozen=True)
class Kept:
    """One finished run's results, as they lie in a folder."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def study(self) -> str:
        return str(self.manifest["study"]["name"])

    @property
    def id(self) -> str:
        """What tells these results from others: the beginning of the report's key."""
        return str(self.manifest["report"]["key"])[:8]

    @property
    def name(self) -> str:
        """What it is called in a listing: when it finished (UTC), and its id."""
        return f"{self.manifest['finished'].translate(str.maketrans('', '', '-:'))}-{self.id}"

    def text(self, name: str) -> str:
        """The content of one of its files; "" where a run from before had none."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def rows(self, table: str) -> list[dict[str, str]]:
        """A table's rows by column. Runs from before studies had arms get their columns: an arm was its origin."""
        return [
            {"arm": row.get("origin", ""), "size": "0", **row} for row in csv.DictReader(io.StringIO(self.text(table)))
        ]

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """What it found, in today's words, which were others before studies had arms."""
        found = list(json.loads(self.text("verdict.json") or "{}").get("verdicts", []))
        return [verdict if "by_name" in verdict else _in_todays_words(verdict) for verdict in found]


def _in_todays_words(verdict: dict[str, Any]) -> dict[str, Any]:
    contrasts, claims = (
        [{**one, "status": words.get(one["status"], one["status"])} for one in verdict[name]]
        for name, words in FORMER_WORDS.items()
    )
    return {**verdict, "contrasts": contrasts, "claims": claims}


def keep(results: Path, manifest: dict[str, Any], tables: Iterable[str]) -> None:
    """Put a run's manifest and tables, which lie in its results folder, into the study's history; once."""
    entry = Kept(results, manifest)
    if any(kept.id == entry.id for kept in of_folder(results)):
        return
    target = results / HISTORY / entry.name
    draft = target.with_name(f".{entry.name}.{time.monotonic_ns()}")
    draft.mkdir(parents=True)
    for name in (*tables, "manifest.json"):
        if (results / name).is_file():
            shutil.copyfile(results / name, draft / name)
    try:
        draft.rename(target)
    except OSError:  # another process was faster
        shutil.rmtree(draft, ignore_errors=True)


def of_folder(results: Path) -> list[Kept]:
    """The kept runs of a results folder, the newest first."""
    found = [kept for path in (results / HISTORY).glob("[!.]*") if (kept := _read(path)) is not None]
    return sorted(found, key=lambda kept: kept.name, reverse=True)


def of_study(study: str) -> list[Kept]:
    """The kept runs of a study, the newest first; the one whose results the folder now holds is `current`.

    Raises:
        InputError: there is no such study, or it has never been finished.
    """
    kept = of_folder(RUNS / study) or [run for run in [_read(RUNS / study)] if run is not None]
    if not kept:
        raise InputError(f"{study}: no finished run in {RUNS.absolute()}. Allowed: {_listed(studies())}")
    return kept


def studies() -> list[str]:
    """Studies with a finished run here."""
    folders = RUNS.iterdir() if RUNS.is_dir() else iter(())
    return sorted(path.name for path in folders if (path / "manifest.json").is_file() or (path / HISTORY).is_dir())


def current(study: str) -> Kept | None:
    """The run whose results the study's folder now holds; the newest kept one where it holds none."""
    now = _read(RUNS / study)
    kept = of_folder(RUNS / study)
    return next((run for run in kept if now is not None and run.id == now.id), now or (kept[0] if kept else None))


def find(given: str) -> Kept:
    """The run that a name means: `latest`, `previous`, an id or how a listing's name begins; each also after
    `<study>/`; the name of a study (its latest); or a results folder.

    Raises:
        InputError: it means none, or more than one.
    """
    folder = Path(given).expanduser()
    if (folder / "manifest.json").is_file():
        found = _read(folder)
        if found is None:
            raise InputError(f"{given}: its manifest.json is not one of a finished run")
        return found
    study, slash, which = given.rpartition("/")
    if not slash and given in studies():
        study, which = given, LATEST
    if study and study not in studies():
        raise InputError(f"{given}: no finished run of a study {study!r} here. Allowed: {_listed(studies())}")
    if which in (LATEST, PREVIOUS):
        return _by_order(given, study, which)
    known = [run for name in ([study] if study else studies()) for run in of_study(name)]
    found_runs = [run for run in known if which and (run.name.startswith(which) or run.id.startswith(which))]
    if len(found_runs) == 1:
        return found_runs[0]
    if found_runs:
        raise InputError(f"{given}: is the beginning of {len(found_runs)} runs: {_listed(r.name for r in found_runs)}")
    raise InputError(
        f"{given}: no run is called so. Allowed: {LATEST}, {PREVIOUS}, a results folder, or how one of these begins: "
        f"{_listed(f'{run.study}/{run.name}' for run in known)}"
    )


def _by_order(given: str, study: str, which: str) -> Kept:
    known = studies()
    if not study:
        if len(known) != 1:
            names = _listed(f"{name}/{which}" for name in known)
            raise InputError(f"{given}: of which study? Allowed: {names}")
        study = known[0]
    latest = current(study)
    others = [run for run in of_folder(RUNS / study) if latest is None or run.id != latest.id]
    found = latest if which == LATEST else next(iter(others), None)
    if found is None:
        raise InputError(f"{given}: {study} has no {which} run; `mothertongue history {study}` lists what there is")
    return found


def _read(folder: Path) -> Kept | None:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        kept = Kept(folder, manifest)
        return kept if kept.name and kept.study else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "") or "none, there are none"


def show(study: str, as_json: bool) -> None:
    """Print a study's finished runs, the newest first."""
    now = current(study)
    lines = [
        {
            "run": run.name,
            "finished": run.manifest["finished"],
            "current": now is not None and run.id == now.id,
            "missing": len(run.manifest["failed"]),
            "verdicts": [verdict["sentence"] for verdict in run.verdicts],
            "folder": str(run.folder),
        }
        for run in of_study(study)
    ]
    if as_json:
        say({"study": study, "runs": lines})
        return
    for line in lines:
        missing = f"  {line['missing']} steps missing" if line["missing"] else ""
        print(f"{line['run']}{'  (in ' + str(RUNS / study) + ')' if line['current'] else ''}{missing}")
        for sentence in line["verdicts"]:
            print(f"  {sentence}")
    if len(lines) > 1:
        print(f"\nWhat changed: mothertongue compare {study}/{PREVIOUS} {study}/{LATEST}")
