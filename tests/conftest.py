"""What many tests share: real servers in a home of their own, started once for the whole run."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.orm import Session, sessionmaker

from indexer import local_stack
from indexer.catalog import connection
from indexer.settings import Settings
from tests.caretaker import caretaker

ROOT = Path(__file__).parent.parent

SERVER_URLS = ("postgres_url", "redis_url", "milvus_url")


@pytest.fixture(scope="session")
def stack_home() -> Iterator[Path]:
    """A private home; whatever runs there is ended and its files are removed after the tests."""
    home = Path(tempfile.mkdtemp(prefix="sightline-tests-")).resolve()
    warden = caretaker(home)
    yield home
    warden.communicate(timeout=90)


@pytest.fixture(scope="session")
def stack_settings(stack_home: Path) -> Settings:
    """Settings without any URL: everything is private to `stack_home`.

    With SIGHTLINE_TEST_POSTGRES_URL, SIGHTLINE_TEST_REDIS_URL or SIGHTLINE_TEST_MILVUS_URL set, that server is used
    instead, which the tests then fill and empty as they like.
    """
    urls = {name: given_servers().get(name.upper()) for name in SERVER_URLS}
    return Settings(home=stack_home, storage_url=None, **urls)  # type: ignore[arg-type]


def given_servers() -> dict[str, str]:
    """The servers to test against instead of private ones, by POSTGRES_URL, REDIS_URL and MILVUS_URL."""
    names = [name.upper() for name in SERVER_URLS]
    return {
        name: os.environ[f"SIGHTLINE_TEST_{name}"] for name in names if f"SIGHTLINE_TEST_{name}" in os.environ
    }


@pytest.fixture(scope="session")
def stack(stack_settings: Settings) -> local_stack.Endpoints:
    """Real Postgres, Redis and Milvus Lite, shared by all tests: keep your rows and keys apart."""
    return local_stack.endpoints(stack_settings)


@pytest.fixture(scope="session")
def migrated_template(stack: local_stack.Endpoints) -> str:
    """A database with the newest schema, to copy from: copying takes a tenth of migrating."""
    url = make_url(stack.postgres_url).set(database="sightline_template")
    _admin(
        stack.postgres_url, 'DROP DATABASE IF EXISTS "sightline_template" WITH (FORCE)'
    )  # of tests that were killed
    _admin(stack.postgres_url, 'CREATE DATABASE "sightline_template"')
    connection.migrate(url.render_as_string(hide_password=False))
    return "sightline_template"


@pytest.fixture
def postgres_url(stack: local_stack.Endpoints, migrated_template: str) -> Iterator[str]:
    """An empty catalogue of the test's own."""
    with own_database(stack.postgres_url, migrated_template) as url:
        yield url


@contextmanager
def own_database(server_url: str, template: str) -> Iterator[str]:
    """The address of a copy of `template`, dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _admin(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    _admin(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """Connections to the test's own catalogue."""
    engine = connection.connect(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> "sessionmaker[Session]":
    """Makes sessions on the test's own catalogue."""
    return connection.sessions(engine)


@pytest.fixture
def session(sessions: "sessionmaker[Session]") -> Iterator[Session]:
    """One open session on the test's own catalogue."""
    with sessions() as session:
        yield session


def _admin(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as admin:
        admin.execute(text(statement))
    engine.dispose()
