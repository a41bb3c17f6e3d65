"""`mothertongue store ls`: what the store holds, by stage, and the studies that were recorded in it."""

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from data.errors import InputError
from flows.results.json_output import say
from tasks.resources.errors import Transient
from tasks.storage import study_records
from tasks.storage.artifacts import Store
from tasks.storage.inventory import Condition, StoredArtifact, inventory
from tasks.storage.opening import open_store
from tasks.storage.store_files import FolderFiles
from tasks.storage.store_url import SETTING
from tasks.storage.study_records import StudyRecord


class Contents:
    """What a store holds and which studies it is of.

    Raises:
        InputError: there is no store, or it does not answer.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        is_folder = isinstance(store.files, FolderFiles)
        if is_folder and not store.root.is_dir():
            raise InputError(f"{named(store)}: no such folder; allowed is a store that a study was run on")
        try:
            self.records, self.unreadable = study_records.read_all(store.files)
            self.artifacts = inventory(store, self.records)
        except Transient as error:
            raise InputError(f"{named(store)}: {error}") from None
        except PermissionError as error:
            raise InputError(f"{error.filename}: {error.strerror}") from None
        if not self.records and not any(one.condition is Condition.COMPLETE for one in self.artifacts):
            raise InputError(f"{named(store)}: is no store: it holds no artifact and no study was recorded in it")


def named(store: Store) -> str:
    """The store as the environment names it."""
    return f"{SETTING}={os.environ[SETTING]}" if os.environ.get(SETTING) else str(store.root)


def show(as_json: bool) -> None:
    """Print what the store holds."""
    contents = Contents(open_store())
    if as_json:
        say(
            {
                "store": str(contents.store),
                "artifacts": [described(one, contents.records) for one in contents.artifacts],
                "studies": [study_fields(record, contents.store) for record in contents.records],
            }
        )
        return
    complete = [one for one in contents.artifacts if one.condition is Condition.COMPLETE]
    lines = [("stage", "artifacts", "size", "last used", "studies")]
    by_stage: dict[str, list[StoredArtifact]] = defaultdict(list)
    for one in complete:
        by_stage[one.stage].append(one)
    for stage, artifacts in sorted(by_stage.items()):
        last = date(max(one.used for one in artifacts))
        lines.append((stage, f"{len(artifacts):,}", size_of(artifacts), last, _reach(artifacts, contents.records)))
    lines.append(("total", f"{len(complete):,}", size_of(complete), "", ""))
    table(lines)
    for condition in (Condition.UNFINISHED, Condition.DAMAGED, Condition.UNREADABLE):
        if some := [one for one in contents.artifacts if one.condition is condition]:
            print(f"{condition}: {len(some):,} ({size_of(some)})")
    print()
    for record in contents.records:
        print(_line(record, contents.store))
    for name in contents.unreadable:
        print(f"{name} cannot be read")


def described(one: StoredArtifact, records: Iterable[StudyRecord]) -> dict[str, Any]:
    return {
        "stage": one.stage,
        "key": one.key,
        "label": one.label,
        "condition": str(one.condition),
        "folder": one.folder,
        "bytes": one.size,
        "rows": one.rows,
        "used": date(one.used),
        "studies": sorted({record.study for record in records if record.reaches(one.stage, one.key)})
        if one.condition is Condition.COMPLETE
        else [],
    }


def study_fields(record: StudyRecord, store: Store) -> dict[str, Any]:
    return {
        "study": record.study,
        "command": record.command,
        "file": record.file,
        "file_is_gone": record.file_is_gone(store.machine),
        "host": record.host,
        "started": date(record.started),
        "finished": None if record.finished is None else date(record.finished),
        "artifacts": sum(map(len, record.keys.values())),
    }


def _line(record: StudyRecord, store: Store) -> str:
    ended = "not ended" if record.finished is None else f"ended {date(record.finished)}"
    gone = f"; {record.file} is gone" if record.file_is_gone(store.machine) else ""
    elsewhere = f" on {record.host}" if record.machine not in ("", store.machine) else ""
    count = sum(map(len, record.keys.values()))
    return f"{record.study}: {counted(count)}, {ended}{elsewhere}{gone}; {record.command}"


def _reach(artifacts: Iterable[StoredArtifact], records: Sequence[StudyRecord]) -> str:
    """Which studies reach artifacts, and how many no study reaches."""
    names: set[str] = set()
    unreached = 0
    for one in artifacts:
        reaching = {record.study for record in records if record.reaches(one.stage, one.key)}
        names |= reaching
        unreached += not reaching
    parts = [", ".join(sorted(names)), f"{unreached:,} unreached" if unreached else ""]
    return "; ".join(filter(None, parts))


def counted(artifacts: int) -> str:
    """A number of artifacts for a person."""
    return f"{artifacts:,} artifact{'' if artifacts == 1 else 's'}"


def size_of(artifacts: Iterable[StoredArtifact]) -> str:
    return size(sum(one.size for one in artifacts))


def size(count: float) -> str:
    """Bytes for a person."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def date(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


def table(lines: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = [
            cell.rjust(width) if column in (1, 2) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
