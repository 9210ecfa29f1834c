"""Locks on stretches of image ids, held for as long as their connection lives, with no transaction open."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

STRETCHES_LOCK = 0x516D3


@contextmanager
def holding(engine: Engine, stretch: int) -> Iterator[bool]:
    """Whether the stretch of this number is one's own until the end; nobody is waited for."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        mine = _ask(connection, "pg_try_advisory_lock", stretch)
        try:
            yield mine
        finally:
            if mine:
                _ask(connection, "pg_advisory_unlock", stretch)


def _ask(connection: Connection, function: str, stretch: int) -> bool:
    keys = {"key": STRETCHES_LOCK, "stretch": stretch}
    return bool(connection.scalar(text(f"SELECT {function}(:key, :stretch)"), keys))
