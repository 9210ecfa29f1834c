"""Alembic's entry point: migrates the Postgres named by the settings, or the private one.

Lock and statement timeouts keep a migration from queueing behind, and then blocking, the searches of a live
catalogue; an advisory lock lets several processes start at once and only one migrate.
"""

from alembic import context
from sqlalchemy import create_engine, text

from indexer.tables import Base

MIGRATION_LOCK = 0x51647


def database_url() -> str:
    """The URL given by the caller, or the one the settings lead to."""
    if url := context.config.attributes.get("url"):
        return str(url)
    from indexer.local_stack import endpoints
    from indexer.settings import get_settings

    return endpoints(get_settings()).postgres_url


def migrate() -> None:
    """Run the pending migrations in one transaction, alone."""
    engine = create_engine(database_url())
    with engine.connect() as connection:
        connection.execute(text("SET lock_timeout = '10s'"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
        context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()


migrate()
