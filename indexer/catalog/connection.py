"""Engine, migrations and locks."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from indexer.errors import ServiceUnavailable

MILVUS_WRITE_LOCK = 0x516D1
ROOT = Path(__file__).resolve().parents[2]


def connect(url: str) -> Engine:
    """An engine whose dead connections are noticed before use.

    Args:
        url: SQLAlchemy address, `postgresql+psycopg://...`.
    """
    return create_engine(url, pool_pre_ping=True, pool_size=5, connect_args={"connect_timeout": 10})


def sessions(engine: Engine) -> sessionmaker[Session]:
    """A session factory; objects stay readable after commit."""
    return sessionmaker(engine, expire_on_commit=False)


def migrate(url: str, version: str = "head") -> None:
    """Bring the schema up to a version, the newest unless told; several processes may try at once.

    Raises:
        ServiceUnavailable: Postgres does not answer.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["url"] = url
    try:
        command.upgrade(config, version)
    except OperationalError as error:
        raise ServiceUnavailable("postgres", f"Postgres does not answer: {error.orig}") from error


def is_current(engine: Engine) -> bool:
    """Whether the schema is at the newest version this code knows: a quick check that spares a migration."""
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_heads()
    return set(current) == set(ScriptDirectory.from_config(config).get_heads())


def milvus_write_lock(engine: Engine) -> Callable[[], AbstractContextManager[None]]:
    """A lock across all processes: two writers at once would corrupt Milvus Lite's log.

    Held on a connection of its own, so that no transaction is open while Milvus works; Postgres
    releases it when the holder dies.
    """

    @contextmanager
    def lock() -> Iterator[None]:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MILVUS_WRITE_LOCK})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MILVUS_WRITE_LOCK})

    return lock
