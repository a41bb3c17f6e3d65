"""One Prefect server for the tests that only talk to it."""

from collections.abc import Iterator

import pytest

from tests.deployments.places import Place, server


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with server(tmp_path_factory.mktemp("place")) as found:
        yield found
