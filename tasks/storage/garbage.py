"""What of a store may be removed, and why: what no study reaches, or what was not used for long."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.storage.inventory import Condition, StoredArtifact
from tasks.storage.running_studies import RunningStudy
from tasks.storage.study_records import StudyRecord

DAY = 86400.0
UNFINISHED = 7 * DAY
"""Seconds for which unfinished and damaged artifacts are kept where nothing else is said."""
NOT_USED, NOT_FINISHED, SET_ASIDE = "last used", "unfinished, last written to", "damaged, set aside"
"""Why artifacts may be removed for their age."""


@dataclass(frozen=True)
class Garbage:
    """An artifact that may be removed."""

    artifact: StoredArtifact
    why: str
    unused: float | None = None
    """Seconds for which it was not used, where that is why."""


@dataclass(frozen=True)
class Studies:
    """The studies of a store."""

    counted: Sequence[StudyRecord]
    """Those whose artifacts are kept."""
    gone: Sequence[StudyRecord]
    """Those whose study file is gone: what they alone reached may be removed."""
    running: Sequence[RunningStudy]

    @classmethod
    def of(
        cls,
        records: Iterable[StudyRecord],
        running: Sequence[RunningStudy],
        machine: str,
        forgotten: Iterable[str] = (),
    ) -> "Studies":
        """Sort studies into those that count and those that do not. Running ones always count.

        Args:
            machine: where study files are looked for.
            forgotten: names of studies that are not to count.
        """
        alive = {run.record for run in running}
        not_wanted = set(forgotten)
        counted: list[StudyRecord] = []
        gone: list[StudyRecord] = []
        for record in records:
            without = record.study in not_wanted or record.file_is_gone(machine)
            (gone if without and record.name not in alive else counted).append(record)
        return cls(counted, gone, running)


def find(
    artifacts: Iterable[StoredArtifact], studies: Studies, older_than: float | None = None, now: float | None = None
) -> list[Garbage]:
    """The artifacts that may be removed.

    Nothing is that a running study reached, or that was made, used or begun since it started; nor any unfinished
    artifact while one runs, since it is not known which of them it will go on with. Artifacts whose manifest cannot be
    read stay: whether they are the store's own cannot be told.

    Args:
        older_than: seconds; what was not used for so long, whether or not a study reaches it, in place of what no study
            reaches.
        now: seconds since 1970.
    """
    now = time.time() if now is None else now
    found = (_judged(one, studies, older_than, now) for one in artifacts)
    return [one for one in found if one is not None]


def _judged(one: StoredArtifact, studies: Studies, older_than: float | None, now: float) -> Garbage | None:
    unused = now - one.used
    if one.condition is Condition.COMPLETE:
        if _held(one, studies):
            return None
        if older_than is not None:
            return Garbage(one, NOT_USED, unused) if unused > older_than else None
        why = _unreached(one, studies)
        return None if why is None else Garbage(one, why)
    if unused <= (UNFINISHED if older_than is None else older_than):
        return None
    if one.condition is Condition.UNFINISHED and not studies.running:
        return Garbage(one, NOT_FINISHED, unused)
    return Garbage(one, SET_ASIDE, unused) if one.condition is Condition.DAMAGED else None


def _held(one: StoredArtifact, studies: Studies) -> bool:
    """Whether a running study may be at work with it."""
    alive = {run.record for run in studies.running}
    return any(run.started <= one.used for run in studies.running) or any(
        record.name in alive and record.reaches(one.stage, one.key) for record in studies.counted
    )


def _unreached(one: StoredArtifact, studies: Studies) -> str | None:
    if any(record.reaches(one.stage, one.key) for record in studies.counted):
        return None
    before = sorted({record.study for record in studies.gone if record.reaches(one.stage, one.key)})
    return f"reached only by {', '.join(before)}, which counts no more" if before else "no study reaches it"


def reason(some: Sequence[Garbage]) -> str:
    """Why these may be removed, which have the same `why`."""
    times = [one.unused for one in some if one.unused is not None]
    return f"{some[0].why} {age(min(times))} ago{' or earlier' if len(times) > 1 else ''}" if times else some[0].why


def age(seconds: float) -> str:
    """A time that has passed, for a person."""
    for unit, length in (("day", DAY), ("hour", 3600.0), ("minute", 60.0)):
        if (count := int(seconds // length)) >= 1:
            return f"{count:,} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"
