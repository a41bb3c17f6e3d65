"""`mothertongue store gc`: what of the store no study needs, and its removal."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence

from data.errors import InputError
from flows.cli.store_contents import Contents, date, described, named, size_of, study_fields, table
from flows.results.json_output import say
from tasks.storage import garbage, removal, study_records
from tasks.storage.artifacts import Store
from tasks.storage.garbage import Garbage, Studies
from tasks.storage.opening import open_store
from tasks.storage.running_studies import running_studies
from tasks.storage.store_files import FolderFiles

AGE = re.compile(r"(\d+(?:\.\d+)?)([hdw])", re.ASCII)
SECONDS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
MOST = 100 * 366 * 86400.0


def clean(remove: bool, older_than: str | None, forget: Sequence[str], as_json: bool) -> int:
    """Print what of the store may go, and remove it where that is asked for; returns the exit code.

    Args:
        older_than: as the option has it.
        forget: names of studies that are not to count.

    Raises:
        InputError: there is no store, it is not known what is still wanted, or an option is wrong. Nothing is removed.
        Transient: the store does not answer any more.
    """
    least = None if older_than is None else seconds(older_than)
    contents = Contents(open_store())
    if not remove:
        found, studies = _found(contents, least, forget)
        _show(contents.store, found, studies, as_json, removed=False)
        return 0
    try:
        with contents.store.alone():
            contents = Contents(contents.store)
            found, studies = _found(contents, least, forget)
            removed, failed = _removed(contents.store, found)
            if least is None:
                for record in studies.gone:
                    study_records.remove(contents.store.files, record)
    except PermissionError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from None
    _show(contents.store, removed, studies, as_json, removed=True)
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


def seconds(text: str) -> float:
    """The time that `--older-than` gives.

    Raises:
        InputError: it is none.
    """
    parsed = AGE.fullmatch(text)
    value = float(parsed[1]) * SECONDS[parsed[2]] if parsed else -1.0
    if not 0.0 <= value <= MOST:
        raise InputError(f"--older-than {text}: allowed is a number of hours, days or weeks, such as 12h, 30d or 8w")
    return value


def _found(contents: Contents, least: float | None, forget: Sequence[str]) -> tuple[list[Garbage], Studies]:
    """What may be removed, and the studies by which that is known.

    Raises:
        InputError: it is not known.
    """
    store, place = contents.store, named(contents.store)
    known = sorted({record.study for record in contents.records})
    if unknown := [name for name in forget if name not in known]:
        allowed = ", ".join(known) or "none, for no study was recorded"
        raise InputError(f"--forget {unknown[0]}: no study of that name was recorded. Allowed: {allowed}")
    if contents.unreadable:
        raise InputError(
            f"{place}: {contents.unreadable[0]} cannot be read, so it is not known what that study needs; run the "
            "study again, or remove the file"
        )
    if not contents.records and least is None:
        raise InputError(
            f"{place}: no study was recorded in it, so it is not known what is still wanted; run each study once more "
            "(which takes seconds where all is there), or give --older-than"
        )
    running = running_studies(store, lambda text: print(text, file=sys.stderr))
    if running and not isinstance(store.files, FolderFiles):
        names = ", ".join(sorted({run.record.rpartition("-")[0] for run in running}))
        raise InputError(f"{place}: a study runs on it ({names}), and nothing of a shared store is removed meanwhile")
    studies = Studies.of(contents.records, running, store.machine, forget)
    return garbage.find(contents.artifacts, studies, least), studies


def _removed(store: Store, found: Iterable[Garbage]) -> tuple[list[Garbage], list[str]]:
    """Remove artifacts; returns those that are removed, and what kept others from being."""
    removed: list[Garbage] = []
    failed: list[str] = []
    try:
        for one in found:
            try:
                if removal.remove(store, one.artifact):
                    removed.append(one)
            except OSError as error:
                failed.append(f"{one.artifact.name} was not removed: {error.strerror or error}")
    finally:  # also where it is stopped: nothing is left that names what is gone
        removal.remove_marks(store, (one.artifact for one in removed))
    return removed, failed


def _show(store: Store, shown: Sequence[Garbage], studies: Studies, as_json: bool, removed: bool) -> None:
    """Print what may go, or what has gone."""
    if as_json:
        say(
            {
                "store": str(store),
                "removed": removed,
                "artifacts": [{**described(one.artifact, studies.counted), "why": one.why} for one in shown],
                "bytes": sum(one.artifact.size for one in shown),
                "not_counted": [study_fields(record, store) for record in studies.gone],
                "running": sorted({run.record for run in studies.running}),
            }
        )
        return
    for record in studies.gone:
        why = f"{record.file} is gone" if record.file_is_gone(store.machine) else "it is to be forgotten"
        print(f"{record.study} does not count: {why}")
    for name in sorted({run.record.rpartition("-")[0] for run in studies.running}):
        print(f"{name} runs: what it reached or used stays, and so do unfinished artifacts")
    if not shown:
        print("Nothing was removed." if removed else "Nothing to remove.")
        return
    by_reason: dict[tuple[str, str], list[Garbage]] = defaultdict(list)
    for one in shown:
        by_reason[one.artifact.stage, one.why].append(one)
    lines = [("stage", "artifacts", "size", "last used", "why")]
    for (stage, _), some in sorted(by_reason.items()):
        artifacts = [one.artifact for one in some]
        last = date(max(one.used for one in artifacts))
        lines.append((stage, f"{len(some):,}", size_of(artifacts), last, garbage.reason(some)))
    lines.append(("total", f"{len(shown):,}", size_of(one.artifact for one in shown), "", ""))
    table(lines)
    print("\nRemoved." if removed else "\nNothing was removed. To remove it: the same with --remove")
