"""Property tests draw the same examples at every run (`pytest --hypothesis-profile=explore` draws new ones); a real
PostgreSQL and a real S3 server for the tests that ask for one."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.postgres import PostgresServer, binaries
from tests.s3 import CREDENTIALS, S3Server

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server, shared by the session; whoever stops it starts it again."""
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed here (Debian: apt-get install postgresql)")
    server = PostgresServer(programs)
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Shared by the session."""
    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A running server that this process and its children have credentials for."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return s3_server
