"""`mothertongue store`: what studies reach stays, whatever else goes; nothing but a store is ever cleaned."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.errors import InputError
from flows.cli import store_check, store_cleaning, store_contents
from flows.config.study_file import load
from flows.planning.plan import Plan
from flows.results.recording import record_all, recorded
from tasks.pipeline.artifact_keys import ArtifactKeys
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node, stage
from tasks.storage import study_records
from tasks.storage.artifacts import USED, Store
from tasks.storage.garbage import DAY
from tasks.storage.opening import open_store
from tasks.storage.rows import Row, Rows
from tests import commands
from tests.tasks.s3 import BUCKET, Server, free_port
from tests.tasks.test_study_records import held

STUDY = {
    "student": "abacus-student",
    "train": ["abacus/ledger"],
    "evaluate": ["abacus/ledger"],
    "origins": {"human": {}},
}
RUN = """
import sys
from pathlib import Path
from tests.flows.test_store import numbered, opened, reached

def wait():
    print("running", flush=True)
    sys.stdin.read()

reached(Path(sys.argv[1]), opened(), [numbered(int(count)) for count in sys.argv[2:]], then=wait)
"""


@stage()
def numbered(count: int) -> list[Row]:
    return [{"id": f"n{number}", "count": count} for number in range(count)]


@stage(per_row=True)
def copied(rows: Rows) -> Iterator[Row]:
    yield from rows


def study_file(folder: Path, name: str = "ours") -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"name": name, **STUDY}))
    return file


def opened() -> Store:
    return open_store()


def plan_of(file: Path, nodes: Iterable[Node]) -> Plan:
    return Plan(load(str(file)), checks=tuple(nodes))


def reached(file: Path, store: Store, nodes: Iterable[Node], whole: bool = True, then: Any = None) -> list[str]:
    """Run a study that consists of these steps; returns their keys."""
    nodes = list(nodes)
    runtime = Runtime(store)
    with recorded(plan_of(file, nodes), store, runtime.keys) as recording:
        made = [execute(node, runtime)[0] for node in nodes]
        for artifact in made:
            recording.add(artifact.manifest["stage"], artifact.manifest["key"])
        recording.whole = whole
        if then is not None:
            recording.write(finished=False)
            then()
    return [str(artifact.manifest["key"]) for artifact in made]


@contextmanager
def running(file: Path, *counts: int) -> Iterator["subprocess.Popen[str]"]:
    """Another process that runs a study of these steps, and has made them."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(file), *map(str, counts)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(params=["folder", "url"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    place = tmp_path / "store"
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(place) if request.param == "folder" else f"file://{place}")
    monkeypatch.setenv("MOTHERTONGUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MOTHERTONGUE_LEASE", "2")
    return open_store()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    return open_store()


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but locks."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in sorted(found.items()) if "locks/" not in name}


def cleaned(remove: bool = True, older_than: str | None = None, forget: Iterable[str] = ()) -> int:
    return store_cleaning.clean(remove, older_than, list(forget), as_json=False)


def counts_left(store: Store) -> set[int]:
    """The artifacts that are there, each by its count."""
    store = open_store()
    made = (store.find("numbered", key) for key in store.keys("numbered"))
    return {artifact.manifest["rows"] for artifact in made if artifact is not None}


def aged(store: Store, count: int, days: float) -> None:
    """Have an artifact be last used so many days ago."""
    found = {key: store.find("numbered", key) for key in store.keys("numbered")}
    (key,) = [key for key, one in found.items() if one is not None and one.manifest["rows"] == count]
    when = time.time() - days * DAY
    for path in store.folder("numbered", key).iterdir():
        os.utime(path, (when, when))


# What goes and what stays


def test_what_an_edited_study_no_longer_reaches_goes(store: Store, tmp_path: Path, capsys: Any) -> None:
    file = study_file(tmp_path)
    reached(file, store, [numbered(5), numbered(7)])
    reached(file, store, [numbered(5), numbered(9)])
    before = files(tmp_path / "store")
    assert cleaned(remove=False) == 0
    said = capsys.readouterr().out
    assert "numbered          1" in said
    assert "no study reaches it" in said
    assert "Nothing was removed" in said
    assert files(tmp_path / "store") == before
    assert cleaned() == 0
    assert counts_left(store) == {5, 9}
    assert "Removed." in capsys.readouterr().out
    assert cleaned() == 0
    assert "Nothing" in capsys.readouterr().out
    assert execute(numbered(7), Runtime(open_store()))[1] is False, "it is made again"
    assert execute(numbered(5), Runtime(open_store()))[1] is True


def test_no_file_and_no_mark_of_what_went_is_left(store: Store, tmp_path: Path) -> None:
    file = study_file(tmp_path)
    kept, gone = numbered(3), numbered(4)
    reached(file, store, [kept, copied(kept).named("rows"), gone, copied(gone).named("rows")])
    reached(file, store, [kept, copied(kept).named("rows")])
    keys = ArtifactKeys(store)
    removed = {key for key in (keys.find(gone), keys.find(copied(gone))) if key}
    assert len(removed) == 2
    cleaned()
    everywhere = files(tmp_path / "store") | (files(tmp_path / "cache") if (tmp_path / "cache").exists() else {})
    for name, content in everywhere.items():
        for key in removed:
            assert key not in name
            if name.startswith("latest/"):
                assert key.encode() not in content
    assert not [path for path in (tmp_path / "store").rglob("*") if path.name in removed]
    left = json.loads(files(tmp_path / "store")["latest/copied/rows.json"])
    assert [one["key"] for one in left["made"]] == [keys.find(copied(kept))]


def test_studies_share_artifacts(store: Store, tmp_path: Path, capsys: Any) -> None:
    first, second = study_file(tmp_path, "first"), study_file(tmp_path, "second")
    reached(first, store, [numbered(5), numbered(7)])
    reached(second, store, [numbered(5), numbered(9)])
    assert cleaned() == 0
    assert counts_left(store) == {5, 7, 9}
    first.unlink()
    capsys.readouterr()
    assert cleaned(remove=False) == 0
    said = capsys.readouterr().out
    assert f"first does not count: {first} is gone" in said
    assert "reached only by first, which counts no more" in said
    assert cleaned() == 0
    assert counts_left(store) == {5, 9}
    assert [record.study for record in study_records.read_all(open_store().files)[0]] == ["second"]


def test_a_study_can_be_forgotten(folder: Store, tmp_path: Path) -> None:
    reached(study_file(tmp_path, "first"), folder, [numbered(5), numbered(7)])
    reached(study_file(tmp_path, "second"), folder, [numbered(5)])
    with pytest.raises(InputError, match=r"--forget third: no study of that name was recorded. Allowed: first, second"):
        cleaned(forget=["third"])
    cleaned(forget=["first"])
    assert counts_left(folder) == {5}


def test_the_same_file_with_other_values_laid_over_it_is_another_study(folder: Store, tmp_path: Path) -> None:
    file = study_file(tmp_path)
    reached(file, folder, [numbered(5)])
    plan = Plan(load(str(file), ["seeds=[3]"]), checks=(numbered(7),))
    execute(numbered(7), Runtime(folder))
    with recorded(plan, folder, ArtifactKeys(folder)) as recording:
        recording.whole = True
    assert cleaned() == 0
    assert counts_left(folder) == {5, 7}


def test_one_file_named_in_two_ways_is_one_study(
    folder: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached(study_file(tmp_path), folder, [numbered(5), numbered(7)])
    monkeypatch.chdir(tmp_path)
    reached(Path("ours.yaml"), folder, [numbered(5)])
    assert cleaned() == 0
    assert counts_left(folder) == {5}


def test_an_embedded_study_counts_wherever_it_is_run(folder: Store, tmp_path: Path) -> None:
    reached(Path("abacus"), folder, [numbered(5)])
    (record,) = study_records.read_all(folder.files)[0]
    assert (record.study, record.file) == ("abacus", None)
    assert not record.file_is_gone(folder.machine)


def test_a_run_that_finds_everything_is_recorded(folder: Store, tmp_path: Path) -> None:
    file = study_file(tmp_path)
    node = numbered(5)
    execute(node, Runtime(folder))
    key = ArtifactKeys(folder).find(node) or ""
    record_all(plan_of(file, [node]), folder, [("numbered", key)])
    (record,) = study_records.read_all(folder.files)[0]
    assert record.reaches("numbered", key)
    assert record.finished is not None
    assert (folder.folder("numbered", key) / USED).exists()


def test_what_a_whole_run_reached_stays_until_the_next_whole_run(folder: Store, tmp_path: Path) -> None:
    file = study_file(tmp_path)
    reached(file, folder, [numbered(5)])
    for count in (7, 9):
        reached(file, folder, [numbered(count)], whole=False)
        cleaned()
    assert counts_left(folder) == {5, 7, 9}
    reached(file, folder, [numbered(9)])
    cleaned()
    assert counts_left(folder) == {9}


def test_by_age_goes_what_was_not_used_and_the_study_makes_it_again(folder: Store, tmp_path: Path, capsys: Any) -> None:
    file = study_file(tmp_path)
    reached(file, folder, [numbered(5), numbered(7)])
    for path in (tmp_path / "store" / "studies").iterdir():  # it was run long ago
        long_ago = json.loads(path.read_text()) | {"started": 0.0, "finished": 1.0}
        path.write_text(json.dumps(long_ago))
    aged(folder, 5, days=40)
    aged(folder, 7, days=20)
    cleaned(older_than="6w")
    assert counts_left(folder) == {5, 7}
    cleaned(older_than="30d")
    assert "last used 40 days ago" in capsys.readouterr().out
    assert counts_left(folder) == {7}
    reached(file, folder, [numbered(5), numbered(7)])
    assert counts_left(folder) == {5, 7}
    assert (cleaned(older_than="480h"), counts_left(folder)) == (0, {5, 7}), "the run has used it"


def test_unfinished_and_damaged_ones_go_after_a_week(folder: Store, tmp_path: Path) -> None:
    (key,) = reached(study_file(tmp_path), folder, [numbered(5)])
    place = tmp_path / "store"
    week = time.time() - 8 * DAY
    for number, when in ((1, week), (2, time.time())):
        part = place / "numbered" / f"{number:032x}" / "parts" / "0.parquet"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"rows")
        os.utime(part, (when, when))
        aside = place / "damaged" / f"numbered-{key}-{int(when * 1e9)}"
        aside.mkdir(parents=True)
        (aside / "rows.parquet").write_bytes(b"rows")
    cleaned()
    assert sorted(path.name for path in (place / "numbered").iterdir()) == sorted([f"{2:032x}", key])
    assert len(list((place / "damaged").iterdir())) == 1


# Running studies


def test_a_running_study_keeps_what_it_reached_and_a_killed_one_what_it_recorded(
    folder: Store, tmp_path: Path, capsys: Any
) -> None:
    file, other = study_file(tmp_path), study_file(tmp_path, "other")
    reached(other, folder, [numbered(3), numbered(4)])
    reached(other, folder, [numbered(3)])
    aged(folder, 4, days=1)
    with running(file, 5, 7) as process:
        execute(numbered(11), Runtime(folder))  # made since it began, by whomever
        file.unlink()  # it runs nonetheless
        assert cleaned() == 0
        assert "ours runs: what it reached or used stays" in capsys.readouterr().out
        assert counts_left(folder) == {3, 5, 7, 11}
        aged(folder, 5, days=1)
        assert cleaned() == 0
        assert counts_left(folder) == {3, 5, 7, 11}
        assert cleaned(older_than="0h") == 0
        assert counts_left(folder) == {5, 7, 11}
        process.send_signal(signal.SIGKILL)
        process.wait()
    study_file(tmp_path)
    assert cleaned() == 0
    assert counts_left(folder) == {5, 7}
    file.unlink()
    assert cleaned() == 0
    assert counts_left(folder) == set()


def test_nothing_of_a_shared_store_goes_while_a_study_runs_on_any_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"file://{tmp_path}/store"
    monkeypatch.setenv("MOTHERTONGUE_STORE", url)
    monkeypatch.setenv("MOTHERTONGUE_CACHE", str(tmp_path / "here"))
    monkeypatch.setenv("MOTHERTONGUE_LEASE", "2")
    file = study_file(tmp_path)
    reached(file, open_store(), [numbered(5), numbered(7)])
    reached(file, open_store(), [numbered(5)])
    process = held(url, tmp_path / "there", lease=2.0)
    try:
        for remove in (False, True):
            with pytest.raises(InputError, match=r"a study runs on it \(other\), and nothing of a shared store"):
                cleaned(remove)
        assert counts_left(open_store()) == {5, 7}
    finally:
        process.kill()
        process.communicate()
    assert cleaned() == 0
    assert counts_left(open_store()) == {5}


def test_a_run_begins_when_the_store_is_clean(folder: Store, tmp_path: Path) -> None:
    reached(study_file(tmp_path), folder, [numbered(5)])
    with folder.alone():
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(tmp_path / "ours.yaml"), "5"],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=8)
    assert process.communicate(timeout=600)[0] == "running\n"


# Listing and checking


def test_the_listing_says_who_reaches_what(store: Store, tmp_path: Path, capsys: Any) -> None:
    first, second = study_file(tmp_path, "first"), study_file(tmp_path, "second")
    reached(first, store, [numbered(5), numbered(7)])
    reached(first, store, [numbered(5)])
    (key,) = reached(second, store, [numbered(5).named("five")])
    store_contents.show(as_json=False)
    page = capsys.readouterr().out
    line = next(line for line in page.splitlines() if line.startswith("numbered"))
    assert line.split()[1] == "2"
    assert line.endswith("first, second; 1 unreached")
    store_contents.show(as_json=True)
    data = json.loads(capsys.readouterr().out)
    assert {one["study"] for one in data["studies"]} == {"first", "second"}
    (shared,) = [one for one in data["artifacts"] if one["key"] == key]
    assert (shared["rows"], shared["studies"], shared["condition"]) == (5, ["first", "second"], "complete")
    on_disk = [path for path in (tmp_path / "store" / "numbered" / key).iterdir() if path.is_file()]
    assert shared["bytes"] == sum(path.stat().st_size for path in on_disk)


@pytest.mark.parametrize(
    ("count", "said"), [(999, "999 B"), (1_500, "1.5 KB"), (23_400_000, "23 MB"), (2_040_000_000_000, "2.0 TB")]
)
def test_sizes_are_for_people(count: int, said: str) -> None:
    assert store_contents.size(count) == said


def test_a_flipped_byte_a_missing_file_and_a_wrong_size_are_found(folder: Store, tmp_path: Path, capsys: Any) -> None:
    keys = reached(study_file(tmp_path), folder, [numbered(5), numbered(7), numbered(9), numbered(11)])
    assert store_check.show(as_json=False) == 0
    assert "4 artifacts checked" in capsys.readouterr().out
    flipped, missing, longer, _ = (folder.folder("numbered", key) / "rows.parquet" for key in keys)
    whole = flipped.read_bytes()
    flipped.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    missing.unlink()
    longer.write_bytes(longer.read_bytes() + b"x")
    before = files(tmp_path / "store")
    assert store_check.show(as_json=True) == 1
    data = json.loads(capsys.readouterr().out)
    assert {one["key"]: one["what"].split(",")[0] for one in data["damaged"]} == {
        keys[0]: "does not have the digest that its manifest gives",
        keys[1]: "is missing",
        keys[2]: f"has {len(before[f'numbered/{keys[2]}/rows.parquet']):,} bytes",
    }
    assert files(tmp_path / "store") == before


def test_of_a_shared_store_objects_and_copies_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("MOTHERTONGUE_STORE", f"file://{tmp_path}/store")
    monkeypatch.setenv("MOTHERTONGUE_CACHE", str(tmp_path / "cache"))
    store = open_store()
    keys = reached(study_file(tmp_path), store, [numbered(5), numbered(7)])
    assert store_check.show(as_json=False) == 0
    (tmp_path / "store" / "numbered" / keys[0] / "rows.parquet").unlink()
    copy = store.folder("numbered", keys[1]) / "rows.parquet"
    copy.write_bytes(b"x" * copy.stat().st_size)
    capsys.readouterr()
    assert store_check.show(as_json=False) == 1
    said = capsys.readouterr().out
    assert f"damaged: numbered {keys[0]}: rows.parquet is missing" in said
    assert f"damaged: numbered {keys[1]}: rows.parquet this machine's copy ({copy}) does not have the digest" in said


def test_a_bucket_is_listed_cleaned_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    server = Server()
    try:
        for name, value in {**server.environment(), "MOTHERTONGUE_CACHE": str(tmp_path / "cache")}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("MOTHERTONGUE_STORE", f"s3://{BUCKET}/studies")
        store, file = open_store(), study_file(tmp_path)
        reached(file, store, [numbered(5), numbered(7)])
        (key,) = reached(file, store, [numbered(5)])
        assert cleaned(older_than="1d") == 0
        assert counts_left(store) == {5, 7}
        assert cleaned() == 0
        assert counts_left(store) == {5}
        assert [name.partition("/")[0] for name in store.files.list("numbered")] == [key] * 3
        assert store_check.show(as_json=False) == 0
        store.files.write(f"numbered/{key}/rows.parquet", b"rows")
        assert store_check.show(as_json=False) == 1
        assert "rows.parquet has 4 bytes" in capsys.readouterr().out
    finally:
        server.stop()


# What is no store, and what is no part of one


def mothertongue(folder: Path, place: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    own = {"MOTHERTONGUE_STORE": place, "MOTHERTONGUE_CACHE": str(folder / "cache"), "MOTHERTONGUE_STORE_TIMEOUT": "2"}
    return commands.run(folder, environment | own, *arguments)


def refused(ended: "subprocess.CompletedProcess[str]") -> str:
    """The one line of a command that was refused."""
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return line


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A person's folder, of which no file may ever go."""
    home = tmp_path / "home"
    for name in (
        "notes.txt",
        "studies/biology.json",
        "latest/news/today.json",
        "damaged/car.jpg",
        f"photos/{1:032x}/summer.jpg",
        f"questions/{2:032x}/parts/draft.txt",
        f"settings/{3:032x}/manifest.json",
        f"damaged/letter-{4:032x}-old/page.txt",
    ):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        os.utime(path, (1, 1))
    return home


@pytest.mark.parametrize("arguments", ["ls", "gc --remove", "gc --remove --older-than 1h", "verify"])
@pytest.mark.parametrize("kind", ["", "file://"])
def test_a_folder_that_is_no_store_is_refused(home: Path, tmp_path: Path, kind: str, arguments: str) -> None:
    before = files(home)
    assert "is no store" in refused(mothertongue(tmp_path, f"{kind}{home}", "store", *arguments.split()))
    assert files(home) == before
    assert not (home / "locks").exists()


def test_what_lies_beside_artifacts_stays(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(home))
    before = files(home)
    file = study_file(tmp_path)
    reached(file, open_store(), [numbered(5), numbered(7)])
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    (home / "numbered" / f"{5:032x}").symlink_to(outside)
    (home / "more").symlink_to(outside)
    file.unlink()
    assert cleaned() == 0
    assert counts_left(open_store()) == set()
    reached(study_file(tmp_path), open_store(), [numbered(5)])
    assert cleaned(older_than="0h") == 0
    # What looks like an unfinished artifact to the last detail cannot be told from one.
    looks_like_one = f"questions/{2:032x}/parts/draft.txt"
    for name, content in before.items():
        if name != looks_like_one:
            assert (home / name).read_bytes() == content
    assert (outside / "kept.txt").read_text() == "kept"


@pytest.mark.parametrize("older_than", ["soon", "-1d", "30", "1e3d", "nand", "30 d", "99999999w", "١d", ""])
def test_an_age_that_is_none_is_refused(older_than: str, folder: Store, tmp_path: Path) -> None:
    reached(study_file(tmp_path), folder, [numbered(5)])
    before = files(tmp_path / "store")
    ended = mothertongue(tmp_path, str(tmp_path / "store"), "store", "gc", "--remove", "--older-than", older_than)
    assert f"--older-than {older_than}: allowed is a number of hours, days or weeks" in refused(ended)
    assert files(tmp_path / "store") == before


@pytest.mark.parametrize("command", ["ls", "gc", "verify"])
def test_a_store_that_is_not_there_is_refused(command: str, tmp_path: Path) -> None:
    said = refused(mothertongue(tmp_path, str(tmp_path / "nowhere"), "store", command))
    assert f"MOTHERTONGUE_STORE={tmp_path}/nowhere: no such folder" in said
    assert not (tmp_path / "nowhere").exists()
    assert "is no store" in refused(mothertongue(tmp_path, f"file://{tmp_path}/nowhere", "store", command))


def test_a_server_that_does_not_answer_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "word")
    said = refused(mothertongue(tmp_path, "s3://bucket/studies", "store", "gc", "--remove"))
    assert "the store s3://bucket/studies does not answer" in said or "did not answer" in said


def test_without_any_record_only_age_removes(folder: Store, tmp_path: Path) -> None:
    execute(numbered(5), Runtime(folder))
    with pytest.raises(InputError, match="no study was recorded in it"):
        cleaned()
    assert counts_left(folder) == {5}
    aged(folder, 5, days=3)
    assert cleaned(older_than="2d") == 0
    assert counts_left(folder) == set()


def test_a_record_that_cannot_be_read_stops_it(folder: Store, tmp_path: Path) -> None:
    reached(study_file(tmp_path), folder, [numbered(5)])
    (path,) = (tmp_path / "store" / "studies").iterdir()
    path.write_text(path.read_text()[:20])
    with pytest.raises(InputError, match=f"studies/{path.name} cannot be read"):
        cleaned()
    assert counts_left(folder) == {5}
