"""Study records: which artifacts of a store each study reached when it was last run, `studies/<study>-<id>.json`."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tasks.storage.store_files import StoreFiles

FOLDER = "studies"
NAME = re.compile(r"[a-z0-9._-]+-[0-9a-f]{8}\.json")
"""How a record's file is called."""
Keys = Mapping[str, Collection[str]]
"""Keys of artifacts by stage."""


@dataclass(frozen=True)
class StudyRecord:
    """What one study, as one command runs it on one machine, reaches."""

    study: str
    """Its name."""
    identity: str
    """Tells studies of one name apart: a digest of their files and `--set` values."""
    command: str
    """How it is run."""
    file: str | None
    """Where its study file lies on its machine; None for an embedded study, and for values that came from no file."""
    machine: str
    """What the store calls the machine (`Store.machine`); empty where it is no matter, for no file is read there."""
    host: str
    started: float
    """When its last run began, in seconds since 1970."""
    finished: float | None = None
    """When that ended; None while it runs, and where it was killed."""
    keys: Keys = field(default_factory=dict)
    """What that run reached."""
    earlier: Keys = field(default_factory=dict)
    """What the runs before it reached, from the last whole one on. Empty once it has ended without a failure: until
    then it is not known what the study needs."""

    @property
    def name(self) -> str:
        """The name of its file, less the suffix."""
        return f"{self.study}-{digest(self.identity, self.machine)[:8]}"

    def reaches(self, stage: str, key: str) -> bool:
        """Whether its last run, or one that it is to go on with, reached an artifact."""
        return key in self.keys.get(stage, ()) or key in self.earlier.get(stage, ())

    def file_is_gone(self, machine: str) -> bool:
        """Whether its study file is known not to exist any more; it is looked for on its own machine only."""
        return self.file is not None and self.machine == machine and not Path(self.file).exists()


def digest(*texts: str) -> str:
    """A digest of texts, of 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:32]


def united(*given: Keys) -> dict[str, frozenset[str]]:
    """The keys of all of these."""
    return {stage: frozenset[str]().union(*(keys.get(stage, ()) for keys in given)) for keys in given for stage in keys}


def write(files: StoreFiles, record: StudyRecord) -> None:
    """Put a record into the store, in place of the one of the same name.

    Raises:
        Transient, OSError: the store does not answer, or cannot be written.
    """
    data = asdict(record)
    for name in ("keys", "earlier"):
        data[name] = {stage: sorted(keys) for stage, keys in sorted(data[name].items())}
    files.write(f"{FOLDER}/{record.name}.json", json.dumps(data, ensure_ascii=False).encode())


def read(files: StoreFiles, name: str) -> StudyRecord | None:
    """The record of that name; None where there is none that can be read."""
    content = files.read(f"{FOLDER}/{name}.json")
    return None if content is None else _parsed(content)


def read_all(files: StoreFiles) -> tuple[list[StudyRecord], list[str]]:
    """All records, by study and file, and the names of those that cannot be read."""
    names = [f"{FOLDER}/{name}" for name in files.list(FOLDER) if NAME.fullmatch(name)]
    contents = files.read_many(names)
    records: list[StudyRecord] = []
    unreadable: list[str] = []
    for name in names:
        record = _parsed(contents.get(name, b""))
        if record is None or name != f"{FOLDER}/{record.name}.json":
            unreadable.append(name)
        else:
            records.append(record)
    return sorted(records, key=lambda record: (record.study, record.file or "", record.command)), unreadable


def remove(files: StoreFiles, record: StudyRecord) -> None:
    """Forget what a study reached."""
    files.remove(f"{FOLDER}/{record.name}.json")


def _parsed(content: bytes) -> StudyRecord | None:
    try:
        data: dict[str, Any] = json.loads(content)
        for name in ("keys", "earlier"):
            data[name] = {str(stage): frozenset(map(str, keys)) for stage, keys in data[name].items()}
        known = {each.name for each in fields(StudyRecord)}
        record = StudyRecord(**{name: value for name, value in data.items() if name in known})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    texts = (record.study, record.identity, record.command, record.machine, record.host)
    times = (record.started, record.finished or 0.0)
    sound = all(isinstance(text, str) for text in (*texts, record.file or "")) and all(
        isinstance(time, int | float) for time in times
    )
    return record if sound else None
