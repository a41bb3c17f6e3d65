"""A study with its Prefect server on a real PostgreSQL, and its store on S3: servers of their own on free ports."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments.places import Place, server
from tests.tasks import s3

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
SMALLEST = [
    *("--set", "name=smallest"),
    *("--set", "train=[abacus/ledger]"),
    *("--set", "evaluate=[abacus/ledger]"),
    *("--set", "origins={human: {}, self: {samples: 2, temperature: 0.7, max_tokens: 120}}"),
    *("--set", "match.correct=any"),
    *("--set", "questions={train: 24, evaluate: 8}"),
    *("--set", "method.epochs=2"),
    *("--set", "seeds=[0]"),
]


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The address of an empty database."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    as_user: list[str] = []
    if os.getuid() == 0:  # initdb refuses root
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("root cannot run PostgreSQL, and there is no user postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    folder = Path(subprocess.run([*as_user, "mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(program: str, *arguments: str) -> None:
        ended = subprocess.run(
            [*as_user, str(PROGRAMS[-1] / program), *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    run("initdb", "-D", str(folder / "data"), "-U", "prefect", "--auth=trust", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    # Its log goes to a file, so that the server does not hold on to this process' pipes.
    run("pg_ctl", "-D", str(folder / "data"), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "prefect", "prefect")
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/prefect"
    finally:
        run("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def bucket() -> Iterator[s3.Server]:
    running = s3.Server()
    yield running
    running.stop()


def machine(place: Place, name: str, **environment: str) -> Place:
    """A folder, a cache and slots of its own, as another machine has, at the same Prefect server."""
    folder = place.folder / name
    folder.mkdir()
    own = {"MOTHERTONGUE_CACHE": str(folder / "cache"), "MOTHERTONGUE_SLOTS": str(folder / "slots")}
    return Place(folder, place.port, {**place.environment, **own, **environment})


def summary(place: Place) -> str:
    return (place.folder / "runs" / "smallest" / "summary.csv").read_text()


@pytest.mark.slow
def test_a_study_with_postgresql_and_s3_is_the_same_as_on_a_disk_and_found_by_another_machine(
    database: str, bucket: s3.Server, tmp_path: Path
) -> None:
    remote = {"MOTHERTONGUE_STORE": f"s3://{s3.BUCKET}/store", **bucket.environment()}
    with server(tmp_path, PREFECT_API_DATABASE_CONNECTION_URL=database) as place:
        one, other = machine(place, "one", **remote), machine(place, "other", **remote)
        alone = machine(place, "alone", MOTHERTONGUE_STORE=str(tmp_path / "store"))
        ended = one.mothertongue("run", "abacus", *SMALLEST)
        assert "Report: runs/smallest/report.html" in ended.stdout
        made = len(bucket.files().glob(f"{s3.BUCKET}/store/*/*/manifest.json"))
        assert f"{made} stages run, 0 found in the store" in ended.stderr
        assert f"0 stages run, {made} found in the store" in other.mothertongue("run", "abacus", *SMALLEST).stderr
        assert f"{made} stages run, 0 found in the store" in alone.mothertongue("run", "abacus", *SMALLEST).stderr
        assert summary(one) == summary(other) == summary(alone)
        states = [(run["name"], run["state"]["name"]) for run in place.runs()]
        assert states == [("smallest", "Completed"), ("smallest", "Cached"), ("smallest", "Completed")]
        asked = [database.replace("+asyncpg", ""), "-Atc", "select name, state_name from flow_run order by start_time"]
        rows = subprocess.run([PROGRAMS[-1] / "psql", *asked], capture_output=True, text=True, check=True).stdout
        assert rows.split() == [f"{name}|{state}" for name, state in states]
        assert not list((tmp_path / "prefect").glob("*.db"))
