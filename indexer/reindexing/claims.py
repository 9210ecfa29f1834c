"""Who fills which images: stretches of ids, each locked in Postgres by the one that works on it.

The lock lasts as long as its connection, so a worker that dies lets go of its stretch at once, and no transaction is
open while models work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import reindexes
from indexer.catalog.reindexes import Change
from indexer.catalog.stretches import holding

STRETCH = 64  # ids
_ONE_AT_A_TIME = -1  # what only one may do, such as comparing


@dataclass(frozen=True)
class Claim:
    """Images to fill now. None, and not `taken`: nothing is missing; none, and `taken`: others are at what is."""

    image_ids: list[int] = field(default_factory=list)
    taken: bool = False


@contextmanager
def next_images(
    engine: Engine, sessions: sessionmaker[Session], change: Change, most: int
) -> Iterator[Claim]:
    """The first images that are missing and that nobody else is at, at most `most`; nobody else may until the end."""
    after, taken = change.filled_to, False
    while ids := _missing(sessions, change, after, most, note=not taken):
        stretch = ids[0] // STRETCH
        with holding(engine, stretch) as mine:
            # Whoever held it may have filled it by now.
            ids = _missing(sessions, change, stretch * STRETCH - 1, most, note=False) if mine else []
            within = [image_id for image_id in ids if image_id // STRETCH == stretch]
            if within:
                yield Claim(within)
                return
        taken = taken or not mine
        after = (stretch + 1) * STRETCH - 1
    yield Claim(taken=taken)


@contextmanager
def alone(engine: Engine) -> Iterator[bool]:
    """Whether nobody else is at what only one may do; nobody may until the end."""
    with holding(engine, _ONE_AT_A_TIME) as mine:
        yield mine


def _missing(
    sessions: sessionmaker[Session], change: Change, after: int, most: int, *, note: bool
) -> list[int]:
    """As `reindexes.missing`; with `note`, what is done up to there is remembered."""
    with sessions.begin() as session:
        ids = reindexes.missing(session, change, after, most)
        if note and ids and ids[0] - 1 > change.filled_to:
            reindexes.note_filled_to(session, change.id, ids[0] - 1)
        return ids
