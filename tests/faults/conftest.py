"""The study to which nothing happens, run once for all tests of this folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.disturbed import STAGES, STUDY, Disturbed
from tests.faults.remotely import Remotely
from tests.flows.prefect_server import Server as PrefectServer
from tests.flows.test_study import mothertongue
from tests.tasks.s3 import Server


@pytest.fixture(scope="session")
def peace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peace")
    ended = mothertongue(folder, "run", "abacus", *STUDY)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture
def study(tmp_path: Path, peace: Path) -> Iterator[Callable[..., Disturbed]]:
    """`study("generate", "compare")`: one whose store has the artifacts of all stages but these."""
    made: list[Disturbed] = []

    def make(*lacking: str, at: Path | None = None, **environment: str) -> Disturbed:
        made.append(Disturbed(tmp_path, peace, lacking or STAGES, environment, at))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture(scope="session")
def s3() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def remote_study(tmp_path: Path, peace: Path, s3: Server) -> Iterator[Callable[..., Remotely]]:
    """As `study`, with a store on S3. `machine` names the folder that has the cache."""
    made: list[Remotely] = []
    prefix = f"{tmp_path.parent.name}/{tmp_path.name}"

    def make(*lacking: str, machine: str = "one", **environment: str) -> Remotely:
        made.append(Remotely(tmp_path / machine, peace, lacking or STAGES, environment, server=s3, prefix=prefix))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A running Prefect server that is no run's own."""
    made = PrefectServer(tmp_path_factory.mktemp("prefect-server"))
    made.start()
    yield made
    if made.process.poll() is None:
        made.kill()
