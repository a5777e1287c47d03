"""One application for all tests of the HTTP API: bundles made in a second, small limits."""

from collections.abc import Iterator

import pytest
from factories.serving import SMALL, Parts, make_parts
from starlette.testclient import TestClient


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(str(tmp_path_factory.mktemp("serving")), **SMALL)


@pytest.fixture(scope="session")
def client(parts: Parts) -> Iterator[TestClient]:
    with TestClient(parts.app(), raise_server_exceptions=False) as client:
        yield client
