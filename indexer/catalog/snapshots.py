"""The whole catalogue out of Postgres and into it again, a table at a time, by COPY in Postgres's binary format.

That needs no pg_dump of the server's version, streams tables of any size, and reads all of them as of one moment.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, Engine, text

from indexer.tables import Base

# Who works right now, and what they have in hand, is nothing to bring back.
LEFT_OUT = frozenset({"workers"})
EMPTIED = frozenset({"claimed_by", "claimed_until", "prepared"})


@dataclass(frozen=True)
class TableShape:
    """A table and those of its columns that are written, in the order they are copied."""

    name: str
    columns: tuple[str, ...]


@contextmanager
def one_moment(engine: Engine) -> Iterator[Connection]:
    """A connection on which everything is read as of now, whatever is committed meanwhile."""
    with engine.connect().execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    ) as connection:
        yield connection


def schema_version(connection: Connection) -> str | None:
    """The schema's version, None in a database without one."""
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar() is None:
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def shapes(connection: Connection) -> list[TableShape]:
    """Every table of the catalogue, those first that others refer to."""
    columns: dict[str, list[str]] = {}
    for table, column in connection.execute(text(_COLUMNS)):
        columns.setdefault(table, []).append(column)
    names = [table.name for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]
    return [TableShape(name, tuple(columns[name])) for name in names]


_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND is_generated = 'NEVER' ORDER BY table_name, ordinal_position
"""


def copy_out(connection: Connection, shape: TableShape) -> Iterator[bytes]:
    """A table's rows as COPY writes them, in pieces."""
    columns = [sql.SQL("NULL") if name in EMPTIED else sql.Identifier(name) for name in shape.columns]
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT binary)").format(
        sql.SQL(", ").join(columns), sql.Identifier(shape.name)
    )
    with _cursor(connection) as cursor, cursor.copy(query) as copy:
        yield from map(bytes, copy)


def copy_in(connection: Connection, shape: TableShape, pieces: Iterable[bytes]) -> int:
    """Put rows from `copy_out` into their table; how many."""
    query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        sql.Identifier(shape.name), sql.SQL(", ").join(map(sql.Identifier, shape.columns))
    )
    with _cursor(connection) as cursor:
        with cursor.copy(query) as copy:
            for piece in pieces:
                copy.write(piece)
        return int(cursor.rowcount)


def _cursor(connection: Connection) -> Any:
    driver = connection.connection.driver_connection
    assert driver is not None
    return driver.cursor()


def sequences(connection: Connection) -> dict[str, int]:
    """Every sequence that has been used, and the last number it gave."""
    rows = connection.execute(text(_SEQUENCES))
    return {name: last for name, last in rows if last is not None}


_SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema()"


def set_sequences(connection: Connection, values: Mapping[str, int]) -> None:
    """Have the sequences go on from there."""
    for name, last in values.items():
        connection.execute(
            text("SELECT setval(format('%I', CAST(:name AS text))::regclass, :last)"),
            {"name": name, "last": last},
        )


def content_hashes(connection: Connection) -> Iterator[bytes]:
    """The content hash of every image, in order, without holding them all."""
    found = connection.execution_options(yield_per=10_000).execute(text(_HASHES))
    yield from (bytes(value) for value in found.scalars())


_HASHES = "SELECT content_hash FROM images ORDER BY id"


def count_images(connection: Connection) -> int:
    """How many images there are."""
    return int(connection.execute(text("SELECT count(*) FROM images")).scalar_one())


@contextmanager
def replacing(connection: Connection, tables: Sequence[TableShape]) -> Iterator[None]:
    """Empty the tables, let them be filled inside without their triggers, then note every embedding for Milvus.

    All of it is the caller's transaction; nobody else reads or writes these tables meanwhile.
    """
    names = [sql.Identifier(table.name) for table in tables]
    with _cursor(connection) as cursor:
        cursor.execute(sql.SQL("TRUNCATE {}, workers").format(sql.SQL(", ").join(names)))
        for name in names:
            cursor.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(name))
        yield
        for name in names:
            cursor.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(name))


def note_all_embeddings(connection: Connection) -> int:
    """Put every image's embeddings on the way to Milvus, where nothing of them may be; how many there are."""
    return connection.execute(text(_NOTE)).rowcount


_NOTE = """
INSERT INTO embedding_changes (image_id, annotator_id)
SELECT image_id, annotator_id FROM image_embeddings ORDER BY image_id, annotator_id
ON CONFLICT (image_id, annotator_id) DO NOTHING
"""
