"""A study with its Prefect server on a real PostgreSQL: a cluster of its own on a free port."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments.places import server

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
SMALLEST = [
    *("--set", "name=smallest"),
    *("--set", "train=[abacus/ledger]"),
    *("--set", "evaluate=[abacus/ledger]"),
    *("--set", "origins={human: {}}"),
    *("--set", "questions={train: 16, evaluate: 8}"),
    *("--set", "method.epochs=1"),
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


@pytest.mark.slow
def test_a_study_runs_with_its_server_on_postgresql(database: str, tmp_path: Path) -> None:
    with server(tmp_path, PREFECT_API_DATABASE_CONNECTION_URL=database) as place:
        ended = place.mothertongue("run", "abacus", *SMALLEST)
        assert "Report: runs/smallest/report.html" in ended.stdout
        (run,) = place.runs()
        assert (run["name"], run["state"]["type"]) == ("smallest", "COMPLETED")
        asked = [database.replace("+asyncpg", ""), "-Atc", "select name, state_name from flow_run"]
        rows = subprocess.run([PROGRAMS[-1] / "psql", *asked], capture_output=True, text=True, check=True).stdout
        assert rows.strip() == "smallest|Completed"
        assert not list((tmp_path / "prefect").glob("*.db"))
