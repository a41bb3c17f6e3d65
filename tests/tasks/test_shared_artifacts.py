"""The store at a URL, against a real S3 server over HTTP, and at a file:// URL."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from data.errors import InputError
from tasks.pipeline.artifact_keys import ArtifactKeys
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.sharding import execute_shard
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import Transient
from tasks.storage.artifacts import Store
from tasks.storage.opening import open_store
from tasks.storage.rows import Row, Rows
from tasks.storage.shared_artifacts import SharedStore
from tests.tasks.s3 import BUCKET, CREDENTIALS, Line, Server, free_port
from tests.waiting import until

LEASE = 600.0
SHORT_LEASE = 1.5
"""Of a store whose holder is gone, or is thought to be."""
PATIENT = 600.0
"""Seconds that a store has for an answer which must come, however busy the machine is."""


@stage()
def numbers(count: int) -> list[Row]:
    return [{"id": f"n{i}", "value": i} for i in range(count)]


@stage(per_row=True)
def logged(rows: Rows, log: str, seconds: float = 0.01, *, work: Work) -> Iterator[Row]:
    for row in rows:
        with Path(log).open("a") as file:
            file.write(f"{row['id']}\n")
        time.sleep(seconds)
        yield row | {"doubled": 2 * row["value"]}


def run(node: Node, store: Store) -> bool:
    for needed in node.upstream:
        run(needed, store)
    return execute(node, Runtime(store))[1]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    made = Line(server.port)
    yield made
    made.close()


@pytest.fixture
def aws(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)


@pytest.fixture(params=["s3", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"file://{tmp_path}/shared"
    request.getfixturevalue("aws")
    return s3_url(tmp_path)


def s3_url(folder: Path) -> str:
    return f"s3://{BUCKET}/{folder.name}"


def key_of(node: Node, store: Store) -> str:
    """The key of a step whose inputs are there."""
    key = ArtifactKeys(store).find(node)
    assert key is not None
    return key


def at(url: str, cache: Path, lease: float = LEASE) -> SharedStore:
    return SharedStore(url, cache, PATIENT, lease)


def objects(server: Server, url: str) -> list[str]:
    root = url.removeprefix("s3://") if url.startswith("s3://") else url.removeprefix("file://")
    if url.startswith("s3://"):
        return sorted(name.removeprefix(f"{root}/") for name in server.files().find(root))
    return sorted(path.relative_to(root).as_posix() for path in Path(root).rglob("*") if path.is_file())


def test_one_machine_makes_and_another_finds(url: str, server: Server, tmp_path: Path) -> None:
    first, second = at(url, tmp_path / "one"), at(url, tmp_path / "two")
    node = numbers(5).named("five")
    assert not second.has("numbers", node.recipe)
    assert second.open("numbers", node.recipe) is None
    assert run(node, first) is False
    assert first.keys("numbers") == second.keys("numbers") == {node.recipe}
    assert second.has("numbers", node.recipe)
    latest = second.latest("numbers", "five")
    assert latest is not None
    assert latest.ingredients == {**node.described, "inputs": {}}
    assert [json.loads(text)["rows"] for text in second.timing_lines()] == [5]
    assert run(node, second) is True
    found, made = second.open("numbers", node.recipe), first.open("numbers", node.recipe)
    assert found is not None
    assert made is not None
    assert found.rows().column("value") == [0, 1, 2, 3, 4]
    assert found.manifest == made.manifest
    assert not [name for name in objects(server, url) if name.startswith(("locks/", "check-")) or "parts/" in name]


def test_a_hit_fetches_nothing_before_it_is_read(url: str, tmp_path: Path) -> None:
    first, second = at(url, tmp_path / "one"), at(url, tmp_path / "two")
    node = numbers(5)
    run(node, first)
    assert run(node, second) is True
    assert not second.folder("numbers", node.recipe).exists()
    log = str(tmp_path / "log")
    run(logged(node, log), second)
    assert second.folder("numbers", node.recipe).exists()


def test_an_unfinished_artifact_is_no_artifact(url: str, tmp_path: Path) -> None:
    store = at(url, tmp_path / "one")
    folder = store.folder("numbers", "k")
    (folder / "parts").mkdir(parents=True)
    part = folder / "parts" / "000000.parquet"
    part.write_bytes(b"rows")
    store.keep_part("numbers", "k", part)
    other = at(url, tmp_path / "two")
    assert other.keys("numbers") == frozenset()
    assert other.begun("numbers", "k")
    assert not other.begun("numbers", "another")
    assert other.open("numbers", "k") is None
    other.fetch_parts("numbers", "k")
    assert (other.folder("numbers", "k") / "parts" / "000000.parquet").read_bytes() == b"rows"


def test_different_parts_of_one_number_stand_side_by_side(url: str, tmp_path: Path) -> None:
    stores = [at(url, tmp_path / name) for name in ("one", "two")]
    for index, store in enumerate(stores):
        part = store.folder("numbers", "k") / "parts" / "0of2-000007.parquet"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"rows of %d" % index)
        store.keep_part("numbers", "k", part)
    for store in stores:
        store.fetch_parts("numbers", "k")
        store.fetch_parts("numbers", "k")
        parts = sorted((store.folder("numbers", "k") / "parts").iterdir())
        assert [path.name for path in parts] == ["0of2-000007.parquet", "0of2-000008.parquet"]
        assert {path.read_bytes() for path in parts} == {b"rows of 0", b"rows of 1"}


@pytest.mark.parametrize("damage", ["flip", "remove", "manifest", "outside"])
def test_a_damaged_object_is_set_aside_and_made_again(url: str, server: Server, tmp_path: Path, damage: str) -> None:
    node = numbers(20)
    run(node, at(url, tmp_path / "one"))
    remote = at(url, tmp_path / "two")._remote
    where = f"numbers/{node.recipe}"
    whole = remote.read(f"{where}/rows.parquet")
    assert whole is not None
    match damage:
        case "flip":
            remote.write(f"{where}/rows.parquet", whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
        case "remove":
            remote.remove(f"{where}/rows.parquet")
        case "manifest":
            remote.write(f"{where}/manifest.json", b'{"files"')
        case "outside":
            manifest = json.loads(remote.read(f"{where}/manifest.json") or b"")
            manifest["files"]["../../../outside"] = manifest["files"]["rows.parquet"]
            remote.write(f"{where}/manifest.json", json.dumps(manifest).encode())
    second = at(url, tmp_path / "two")
    follower = logged(node, str(tmp_path / "log"))
    with pytest.warns(UserWarning, match=rf"damaged artifact {url}/{where}: .* Set aside as {url}/damaged/"):
        execute(follower, Runtime(second))
    assert second.open("numbers", node.recipe) is not None
    assert remote.read(f"{where}/rows.parquet") == whole
    assert [name for name in objects(server, url) if name.startswith("damaged/")]
    third = at(url, tmp_path / "three")
    assert third.open("numbers", node.recipe) is not None


def test_a_damaged_copy_is_fetched_again(url: str, tmp_path: Path) -> None:
    node = numbers(20)
    run(node, at(url, tmp_path / "one"))
    store = at(url, tmp_path / "one")
    (store.folder("numbers", node.recipe) / "rows.parquet").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="Set aside"):
        artifact = store.open("numbers", node.recipe)
    assert artifact is not None
    assert len(artifact.rows()) == 20


def test_the_cache_may_be_deleted_at_any_time(url: str, tmp_path: Path) -> None:
    node = numbers(4)
    store = at(url, tmp_path / "one")
    run(node, store)
    shutil.rmtree(tmp_path / "one")
    artifact = store.open("numbers", node.recipe)
    assert artifact is not None
    assert len(artifact.rows()) == 4


def test_what_the_store_lost_is_uploaded_again(url: str, tmp_path: Path) -> None:
    node = numbers(4)
    run(node, at(url, tmp_path / "one"))
    store = at(url, tmp_path / "one")
    store._remote.remove(f"numbers/{node.recipe}/manifest.json", f"numbers/{node.recipe}/rows.parquet")
    assert store.keys("numbers") == frozenset()
    assert run(node, store) is True
    other = at(url, tmp_path / "two").open("numbers", node.recipe)
    assert other is not None
    assert len(other.rows()) == 4


def test_two_machines_that_made_one_artifact_agree_on_the_first(url: str, tmp_path: Path) -> None:
    first, second = at(url, tmp_path / "one"), at(url, tmp_path / "two")
    manifest: dict[str, Any] = {
        "label": "",
        "ingredients": {"values": {}, "code": {}},
        "facts": {},
        "model": None,
        "busy": 0.0,
        "made": 1,
    }
    for store in (first, second):  # as if a lease had been lost
        folder = store.folder("numbers", "k")
        folder.mkdir(parents=True)
        (folder / "text").write_text(f"made by {store.machine}")
        artifact = store.publish("numbers", "k", manifest)
        assert artifact.path("text").read_text() == f"made by {first.machine}"


# Leases


def _run_logged(url: str, cache: Path, log: str, count: int, seconds: float, lease: float = LEASE) -> None:
    run(logged(numbers(count), log, seconds), at(url, cache, lease))


def _start(*arguments: Any) -> "multiprocessing.process.BaseProcess":
    process = multiprocessing.get_context("spawn").Process(target=_run_logged, args=arguments)
    process.start()
    return process


@pytest.mark.parametrize("caches", [("one", "one"), ("one", "two")], ids=["one machine", "two machines"])
def test_two_processes_compute_a_key_once(url: str, tmp_path: Path, caches: tuple[str, str]) -> None:
    log = tmp_path / "log"
    run(numbers(30), at(url, tmp_path / "one"))
    both = [_start(url, tmp_path / cache, str(log), 30, 0.05) for cache in caches]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert sorted(log.read_text().split()) == sorted(f"n{i}" for i in range(30))


@pytest.mark.parametrize("cache", ["one", "two"], ids=["same machine", "another machine"])
def test_a_killed_holder_is_followed_and_its_kept_rows_are_not_made_again(url: str, tmp_path: Path, cache: str) -> None:
    log = tmp_path / "log"
    node = logged(numbers(900), str(log), 0.005)
    run(numbers(900), at(url, tmp_path / "one"))
    key = key_of(node, at(url, tmp_path / "one"))
    process = _start(url, tmp_path / "one", str(log), 900, 0.005, SHORT_LEASE)
    remote = at(url, tmp_path / "watch")._remote

    def whole_part() -> bool:
        """Whether a part is there by its own name, and not only the beginning of one, or a draft."""
        sizes = {path.stat().st_size for path in (tmp_path / "one").rglob("parts/*.parquet")}
        there = remote.list(f"logged/{key}/parts")
        return any(entry.size in sizes for name, entry in there.items() if re.fullmatch(r"\d+\.\w{16}\.parquet", name))

    until(whole_part)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert remote.list("locks"), "it was killed too late to tell"
    before = log.read_text().split()
    second = at(url, tmp_path / cache, SHORT_LEASE)
    assert run(node, second) is False
    again = log.read_text().split()[len(before) :]
    assert set(before) | set(again) == {f"n{i}" for i in range(900)}
    assert len(set(before) & set(again)) <= 256
    assert len(again) < 900
    assert not remote.list("locks")
    assert not remote.list(f"logged/{key}/parts")
    artifact = at(url, tmp_path / "three").open("logged", key)
    assert artifact is not None
    assert artifact.rows().column("id") == [f"n{i}" for i in range(900)]


@pytest.mark.parametrize("other", ["has finished", "is at work"])
def test_a_holder_that_was_taken_for_dead_notices(url: str, tmp_path: Path, other: str) -> None:
    """Its process is stopped, as a laptop that sleeps is, and goes on when another machine has taken over."""
    log = tmp_path / "log"
    run(numbers(200), at(url, tmp_path / "one"))
    node = logged(numbers(200), str(log), 0.02)
    key = key_of(node, at(url, tmp_path / "one"))
    process = _start(url, tmp_path / "one", str(log), 200, 0.02, SHORT_LEASE)
    until(log.exists)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    second = at(url, tmp_path / "two", SHORT_LEASE)
    try:
        if other == "is at work":
            with second.lock("logged", key):
                os.kill(process.pid, signal.SIGCONT)
                process.join()
                assert second.open("logged", key) is None
            assert process.exitcode == 1  # Transient: a study tries again, and waits
        assert run(node, second) is False
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
    process.join()
    if other == "has finished":
        assert process.exitcode == 0
        one, two = (at(url, tmp_path / name).open("logged", key) for name in ("one", "two"))
        assert one is not None
        assert two is not None
        assert one.manifest["files"] == two.manifest["files"]


# Faults


@pytest.mark.usefixtures("aws")
def test_a_slow_store_works(line: Line, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.environment(line.port)["AWS_ENDPOINT_URL"])
    line.delay = 0.1
    store = at(s3_url(tmp_path), tmp_path / "one")
    assert run(numbers(5), store) is False
    assert len(store.keys("numbers")) == 1


@pytest.mark.usefixtures("aws")
def test_a_store_that_is_silent_is_one_line_and_nothing_made_is_lost(server: Server, tmp_path: Path) -> None:
    store = at(s3_url(tmp_path), tmp_path / "one")
    log = str(tmp_path / "log")
    node = logged(numbers(5), log)
    run(numbers(5), store)
    with store.lock("logged", key_of(node, store)):
        pass
    server.suspend()
    store._remote.limit = 1
    try:
        with pytest.raises(Transient, match=rf"^the store {s3_url(tmp_path)} did not answer within 1 s$"):
            run(node, store)
    finally:
        server.resume()
        store._remote.limit = PATIENT
    assert run(node, store) is False
    assert Path(log).read_text().split() == [f"n{i}" for i in range(5)]


@stage()
def cutting(port: int, count: int, *, work: Work) -> None:
    """Makes its files, after which the line is cut: the upload cannot succeed."""
    for index in range(count):
        (work.folder / f"{index}.bin").write_bytes(os.urandom(200_000))
    LINES[port].cut()


LINES: dict[int, Line] = {}


@pytest.mark.usefixtures("aws")
def test_a_store_lost_before_the_upload_makes_nothing_again(
    line: Line, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.environment(line.port)["AWS_ENDPOINT_URL"])
    LINES[line.port] = line
    store = at(s3_url(tmp_path), tmp_path / "one")
    line.impatient.append(store._remote)
    node = cutting(line.port, 3)
    with pytest.raises(Transient, match="the store s3://"):
        run(node, store)
    made = {path.name: path.read_bytes() for path in store.folder("cutting", node.recipe).glob("*.bin")}
    assert len(made) == 3
    line.mend()
    assert store.keys("cutting") == frozenset()
    assert run(node, store) is True, "it was made again"
    found = at(s3_url(tmp_path), tmp_path / "two").open("cutting", node.recipe)
    assert found is not None
    assert {path.name: path.read_bytes() for path in found.folder.glob("*.bin")} == made


@stage(per_row=True)
def cut_off(rows: Rows, port: int, log: str, *, work: Work) -> Iterator[Row]:
    """Makes its rows while the line is cut."""
    LINES[port].cut()
    yield from logged.function(rows, log, work=work)


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("in_the_same_process", [True, False])
def test_a_share_made_while_the_store_was_away_is_sent_and_not_made_again(
    in_the_same_process: bool, line: Line, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.environment(line.port)["AWS_ENDPOINT_URL"])
    LINES[line.port] = line
    run(numbers(6), at(s3_url(tmp_path), tmp_path / "one"))
    store, log = at(s3_url(tmp_path), tmp_path / "one"), tmp_path / "log"
    line.impatient.append(store._remote)
    node = cut_off(numbers(6), line.port, str(log))
    with (
        pytest.warns(UserWarning, match="kept on this machine only"),
        pytest.raises(Transient, match="the store s3://"),
    ):
        execute_shard(node, 0, 2, Runtime(store))
    line.mend()
    if not in_the_same_process:
        store = at(s3_url(tmp_path), tmp_path / "one")
    assert execute_shard(node, 0, 2, Runtime(store)) == 3
    other = at(s3_url(tmp_path), tmp_path / "two")
    monkeypatch.setattr(line, "cut", lambda: None)
    artifact, _ = execute(node, Runtime(other))
    assert artifact.rows().column("value") == [0, 1, 2, 3, 4, 5]
    assert log.read_text().split() == [f"n{i}" for i in range(6)]


@pytest.mark.usefixtures("aws")
def test_a_broken_upload_goes_on_with_the_next_file(
    line: Line, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.environment(line.port)["AWS_ENDPOINT_URL"])
    store = at(s3_url(tmp_path), tmp_path / "one")
    line.impatient.append(store._remote)
    folder = store.folder("numbers", "k")
    folder.mkdir(parents=True)
    for index in range(3):
        (folder / f"{index}.bin").write_bytes(os.urandom(1_000_000))
    upload, sent = store._remote.upload, []

    def breaking(source: Path, name: str) -> None:
        if len(sent) == 2:
            line.cut()
        sent.append(name)
        upload(source, name)

    monkeypatch.setattr(store._remote, "upload", breaking)
    manifest: dict[str, Any] = {
        "label": "",
        "ingredients": {"values": {}, "code": {}},
        "facts": {},
        "model": None,
        "busy": 0.0,
        "made": 1,
    }
    with pytest.raises(Transient):
        store.publish("numbers", "k", manifest)
    monkeypatch.setattr(store._remote, "upload", upload)
    line.mend()
    before = line.uploaded
    with store.lock("numbers", "k"):
        assert store.open("numbers", "k") is not None
    assert 1_000_000 < line.uploaded - before < 1_500_000
    assert at(s3_url(tmp_path), tmp_path / "two").open("numbers", "k") is not None


def test_a_server_that_starts_anew_is_filled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Server()
    for name, value in own.environment().items():
        monkeypatch.setenv(name, value)
    try:
        node = numbers(3)
        store = at(s3_url(tmp_path), tmp_path / "one")
        run(node, store)
        own.stop()
        store._remote.limit = 5
        with pytest.raises(Transient, match=f"^the store {s3_url(tmp_path)} "):
            store.keys("numbers")
        store._remote.limit = PATIENT
        own.start()
        assert store.keys("numbers") == frozenset()
        assert run(node, store) is True
        assert at(s3_url(tmp_path), tmp_path / "two").open("numbers", node.recipe) is not None
    finally:
        own.stop()


# Wrong places


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("memory://store", "allowed are a folder and URLs such as s3://bucket/prefix"),
        ("http://example.org/store", "allowed are a folder"),
        ("s3:///prefix", "allowed are a folder"),
        ("s4://bucket/prefix", "no protocol is called 's4'"),
        ("gs://bucket/prefix", "a package is missing"),
        ("s3://user:secret-word@bucket/prefix", "holds credentials"),
    ],
)
def test_a_wrong_url_is_one_line(named: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTHERTONGUE_STORE", named)
    monkeypatch.setenv("MOTHERTONGUE_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=said) as caught:
        open_store()
    assert "\n" not in str(caught.value)
    assert "secret-word" not in str(caught.value)


def test_no_such_bucket_is_one_line(aws: None, tmp_path: Path) -> None:
    store = at("s3://nowhere/studies", tmp_path)
    for act in (store.check, lambda: store.keys("numbers"), lambda: store.has("numbers", "k")):
        with pytest.raises(InputError, match="MOTHERTONGUE_STORE=s3://nowhere/studies: there is no such bucket"):
            act()


def test_no_credentials_are_one_line(aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match="access is denied"):
        at(s3_url(tmp_path), tmp_path).check()


def test_no_server_is_transient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Transient, match=f"^the store {s3_url(tmp_path)} d.*") as caught:
        SharedStore(s3_url(tmp_path), tmp_path, 5).check()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["MOTHERTONGUE_STORE_TIMEOUT", "MOTHERTONGUE_LEASE"])
def test_a_time_that_is_none_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTHERTONGUE_STORE", f"file://{tmp_path}/shared")
    monkeypatch.setenv("MOTHERTONGUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(name, "soon")
    with pytest.raises(InputError, match=f"{name}=soon: allowed is a number of seconds above 0"):
        open_store()


def test_credentials_are_in_no_object(aws: None, server: Server, tmp_path: Path) -> None:
    store = at(s3_url(tmp_path), tmp_path / "one")
    run(logged(numbers(5), str(tmp_path / "log")), store)
    files = server.files()
    for name in files.find(s3_url(tmp_path)):
        assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"].encode() not in files.cat_file(name)
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in str(store)
