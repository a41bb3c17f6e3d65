"""Study records, the locks of running studies, and what counts as garbage."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import stage
from tasks.storage import garbage, study_records
from tasks.storage.artifacts import USED, Store
from tasks.storage.garbage import DAY, Studies
from tasks.storage.inventory import Condition, StoredArtifact
from tasks.storage.rows import Row, Rows
from tasks.storage.running_studies import RunningStudy, running, running_studies
from tasks.storage.shared_artifacts import SharedStore
from tasks.storage.study_records import StudyRecord

NOW = 1_000 * DAY
HOLD = """
import sys
from pathlib import Path
from tasks.storage.artifacts import Store
from tasks.storage.running_studies import running
from tasks.storage.shared_artifacts import SharedStore

place, cache, lease = sys.argv[1:]
store = SharedStore(place, Path(cache), 60, float(lease)) if "://" in place else Store(Path(place))
with running(store, "other-01234567"):
    print("running", flush=True)
    sys.stdin.read()
"""


@stage()
def counted(count: int) -> list[Row]:
    return [{"id": f"n{i}"} for i in range(count)]


@stage()
def twice(rows: Rows) -> list[Row]:
    return [*rows, *rows]


def record(study: str = "ours", **changes: object) -> StudyRecord:
    made = StudyRecord(study, "x", f"mothertongue run {study}.yaml", "/gone.yaml", "here", "host", 0.0)
    return replace(made, **changes)  # type: ignore[arg-type]


def artifact(letter: str, condition: Condition = Condition.COMPLETE, days: float = 0.0) -> StoredArtifact:
    """One that was last used so many days ago."""
    return StoredArtifact("verify", letter * 32, f"verify/{letter * 32}", condition, {}, NOW - days * DAY)


def held(place: str, cache: Path, lease: float = 60.0) -> "subprocess.Popen[str]":
    """Another process that runs a study."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, place, str(cache), str(lease)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    files = Store(tmp_path).files
    written = record(keys={"verify": frozenset("ab")}, earlier={"score": frozenset("c")}, finished=3.5)
    other = record(identity="another file")
    for one in (written, other):
        study_records.write(files, one)
    assert study_records.read(files, written.name) == written
    records, unreadable = study_records.read_all(files)
    assert {one.name: one for one in records} == {written.name: written, other.name: other}
    assert unreadable == []
    study_records.remove(files, written)
    assert study_records.read_all(files) == ([other], [])


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"study": 3}', "\x00"])
def test_a_record_that_cannot_be_read_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "ours-01234567.json").write_text(content)
    (tmp_path / "studies" / "notes.json").write_text("a person's own")
    assert study_records.read_all(Store(tmp_path).files) == ([], ["studies/ours-01234567.json"])


def test_a_record_under_another_name_counts_as_unreadable(tmp_path: Path) -> None:
    store = Store(tmp_path)
    study_records.write(store.files, record())
    path = tmp_path / "studies" / f"{record().name}.json"
    path.rename(path.with_name("ours-00000000.json"))
    assert study_records.read_all(store.files) == ([], ["studies/ours-00000000.json"])


def test_a_study_file_is_looked_for_on_its_own_machine(tmp_path: Path) -> None:
    there = tmp_path / "ours.yaml"
    there.write_text("")
    assert not record(file=str(there)).file_is_gone("here")
    assert record(file=str(tmp_path / "gone.yaml")).file_is_gone("here")
    assert not record(file=str(tmp_path / "gone.yaml")).file_is_gone("another machine")
    assert not record(file=None).file_is_gone("here")


def test_what_a_run_finds_or_reads_is_marked_as_used(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = counted(3)
    made, _ = execute(first, Runtime(store))
    mark = made.folder / USED
    assert not mark.exists()
    execute(first, Runtime(store))
    os.utime(mark, (1, 1))
    execute(twice(first), Runtime(store))  # reads it
    assert mark.stat().st_mtime > 1
    assert USED not in made.manifest["files"]
    assert store.open("counted", made.manifest["key"]) is not None


# Running studies


def test_a_run_of_this_process_is_seen_while_it_lasts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with running(store, "ours-01234567"):
        (run,) = running_studies(store)
        assert run.record == "ours-01234567"
    assert running_studies(store) == []
    assert not list((tmp_path / "locks").glob("running-*"))


@pytest.mark.parametrize("place", ["folder", "same machine", "another machine"])
def test_a_run_of_another_process_is_seen_until_it_is_killed(place: str, tmp_path: Path) -> None:
    """On another machine, which has another cache, it is dead when it has not renewed its lease for its length."""
    url = f"file://{tmp_path}/shared"
    lease = 2.0 if place == "another machine" else 60.0
    store: Store = Store(tmp_path / "store")
    if place != "folder":
        store = SharedStore(url, tmp_path / "one", 60, lease)
    process = held(
        str(store.root) if place == "folder" else url,
        tmp_path / ("two" if place == "another machine" else "one"),
        lease,
    )
    try:
        (run,) = running_studies(store)
        assert run.record == "other-01234567"
        with running(store, "ours-01234567"):
            assert [run.record for run in running_studies(store)] == ["other-01234567", "ours-01234567"]
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert running_studies(store) == []
    assert [name for name in store.files.list("locks") if name.startswith("running-")] == []


# Garbage


def found(
    *artifacts: StoredArtifact,
    records: tuple[StudyRecord, ...] = (),
    running: tuple[RunningStudy, ...] = (),
    older_than: float | None = None,
) -> dict[str, str]:
    """What may go, by the letter of its key, and why."""
    studies = Studies.of(records, running, "here")
    return {one.artifact.key[0]: one.why for one in garbage.find(artifacts, studies, older_than, NOW)}


def keys(*letters: str) -> dict[str, frozenset[str]]:
    return {"verify": frozenset(letter * 32 for letter in letters)}


def test_what_no_study_reaches_may_go() -> None:
    counts = record(file=None, keys=keys("a"), earlier=keys("b"))
    gone = record("before", keys=keys("a", "c"))
    assert found(*map(artifact, "abcd"), records=(counts, gone)) == {
        "c": "reached only by before, which counts no more",
        "d": "no study reaches it",
    }


def test_by_age_may_go_what_was_not_used_reached_or_not() -> None:
    counts = record(file=None, keys=keys("a", "b"))
    artifacts = [artifact(letter, days=days) for letter, days in zip("abc", (40, 20, 40), strict=True)]
    assert found(*artifacts, records=(counts,), older_than=30 * DAY) == {"a": "last used", "c": "last used"}


def test_unfinished_and_damaged_ones_may_go_after_a_week_or_by_age() -> None:
    pairs = [(Condition.UNFINISHED, 8), (Condition.UNFINISHED, 6), (Condition.DAMAGED, 8), (Condition.DAMAGED, 6)]
    artifacts = [artifact(key, *pair) for key, pair in zip("abcd", pairs, strict=True)]
    assert set(found(*artifacts)) == {"a", "c"}
    assert set(found(*artifacts, older_than=5 * DAY)) == {"a", "b", "c", "d"}
    assert set(found(*artifacts, older_than=9 * DAY)) == set()


def test_an_unreadable_one_stays() -> None:
    assert found(artifact("a", Condition.UNREADABLE, 1000), older_than=0.0) == {}


def test_a_running_study_keeps_what_it_reached_and_what_was_used_since_it_began() -> None:
    running_one = record(keys=keys("a"), earlier=keys("b"))
    run = RunningStudy(running_one.name, NOW - 3 * DAY)
    artifacts = [artifact(key, days=days) for key, days in zip("abcd", (40, 40, 2, 40), strict=True)]
    begun = artifact("e", Condition.UNFINISHED, 40)
    for older_than in (None, 0.0):
        assert set(found(*artifacts, begun, records=(running_one,), running=(run,), older_than=older_than)) == {"d"}
    assert set(found(*artifacts, begun, records=(running_one,), older_than=0.0)) == {"a", "b", "c", "d", "e"}


@pytest.mark.parametrize(("seconds", "said"), [(59, "less than a minute"), (3600, "1 hour"), (40 * DAY, "40 days")])
def test_ages_are_said_in_their_largest_unit(seconds: float, said: str) -> None:
    assert garbage.age(seconds) == said
