"""The migrations and the tables say the same."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from indexer.catalog import connection
from indexer.tables import Base


def test_migrated_schema_is_the_declared_one(engine: Engine) -> None:
    """No difference is left for `alembic revision --autogenerate` to find."""
    with engine.connect() as live:
        context = MigrationContext.configure(live, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    assert connection.is_current(engine)


def test_down_and_up_again(engine: Engine, postgres_url: str) -> None:
    """The newest version can be left and reached again; migrating twice changes nothing."""
    config = Config()
    config.set_main_option("script_location", str(connection.ROOT / "migrations"))
    config.attributes["url"] = postgres_url
    command.downgrade(config, "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    assert not connection.is_current(engine)
    connection.migrate(postgres_url)
    connection.migrate(postgres_url)
    assert connection.is_current(engine)
