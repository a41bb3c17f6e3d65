"""A study's record in its store: what it reached, so that `store gc` knows what is still wanted."""

import contextlib
import json
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from data.errors import InputError
from flows.config import study_file
from flows.config.schema import Study
from flows.planning.plan import Plan
from tasks.endpoint.secrets import masked
from tasks.pipeline.artifact_keys import ArtifactKeys
from tasks.pipeline.stage import Node
from tasks.resources.errors import Transient
from tasks.storage import study_records
from tasks.storage.artifacts import Store
from tasks.storage.running_studies import running
from tasks.storage.study_records import Keys, StudyRecord, united

EVERY = 30.0
"""Seconds between two writes of the record while its study runs: what a run reached in the last ones before it is
killed is not in its record."""


class Recording:
    """The record of a study that runs. Use it from any thread.

    Args:
        record: as it stands when the run starts.
    """

    def __init__(self, store: Store, record: StudyRecord) -> None:
        self._store = store
        self._record = record
        self._keys: dict[str, set[str]] = defaultdict(set)
        for stage, keys in record.keys.items():
            self._keys[stage] |= set(keys)
        self._written = time.monotonic()
        self._guard = threading.Lock()
        self.whole = False
        """Whether all steps of the study have their artifacts: what earlier runs reached is then no longer wanted."""

    def add(self, stage: str, key: str) -> None:
        """Note an artifact that the study has made or found."""
        with self._guard:
            self._keys[stage].add(key)
            if time.monotonic() - self._written >= EVERY:
                self.write(finished=False)

    def write(self, finished: bool) -> None:
        """Put the record into the store. Where it cannot be written, the next time may."""
        self._written = time.monotonic()
        record = replace(self._record, keys=united(self._keys), finished=time.time() if finished else None)
        _write(self._store, replace(record, earlier={}) if finished and self.whole else record)


@contextlib.contextmanager
def recorded(plan: Plan, store: Store, keys: ArtifactKeys) -> Iterator[Recording]:
    """Be seen as a running study, and keep its record.

    Args:
        keys: of the steps in that store.

    Raises:
        Transient: the store does not answer.
    """
    new = _new_record(plan.study, store)
    with running(store, new.name):
        with contextlib.suppress(Transient):  # the steps ask again, and are tried again
            new = replace(new, keys=_there(plan.nodes, store, keys))
            before = study_records.read(store.files, new.name)
            new = replace(new, earlier={} if before is None else united(before.keys, before.earlier))
        recording = Recording(store, new)
        recording.write(finished=False)
        try:
            yield recording
        finally:
            recording.write(finished=True)


def record_all(plan: Plan, store: Store, keys: Iterable[tuple[str, str]]) -> None:
    """Record a run that found everything in the store.

    Args:
        keys: stage and key of each artifact.
    """
    reached: dict[str, set[str]] = defaultdict(set)
    for stage, key in keys:
        reached[stage].add(key)
        store.mark_used(stage, key)
    new = _new_record(plan.study, store)
    _write(store, replace(new, keys=united(reached), finished=time.time()))


def _write(store: Store, record: StudyRecord) -> None:
    # No study fails for its record; a store that may only be read has none.
    with contextlib.suppress(OSError, Transient, InputError):
        study_records.write(store.files, record)


def _new_record(study: Study, store: Store) -> StudyRecord:
    file, is_embedded = _file(study)
    if file is None:  # as of a deployment: told from others by what they are, wherever they are run
        identity = study_records.digest(json.dumps(study.model_dump(mode="json"), sort_keys=True))
    else:
        identity = study_records.digest(file.stem if is_embedded else str(file), *study.overrides)
    return StudyRecord(
        study=study.name,
        identity=identity,
        command=masked(study.command, ()),
        file=None if file is None or is_embedded else str(file),
        machine="" if file is None else store.machine,
        host=socket.gethostname(),
        started=time.time(),
    )


def _file(study: Study) -> tuple[Path | None, bool]:
    """The study file, and whether it is an embedded one; None for values that came from no file."""
    if not study.file:
        return None, False
    file = study_file.locate(study.file).absolute()
    return file, file.parent == study_file.STUDIES


def _there(nodes: Iterable[Node], store: Store, keys: ArtifactKeys) -> Keys:
    """Keys of the steps whose artifacts are in the store, of those that are known before anything is made."""
    found: dict[str, set[str]] = defaultdict(set)
    missing: set[str] = set()
    for node in nodes:
        key = None
        if not any(needed.recipe in missing for needed in node.upstream):
            key = keys.find(node)
        if key is None or not store.has(node.stage.name, key):
            missing.add(node.recipe)
        else:
            found[node.stage.name].add(key)
    return united(found)
