"""Several workers share a filling."""

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import annotations, reindexes
from indexer.catalog.reindexes import Change
from indexer.catalog.stretches import STRETCHES_LOCK
from indexer.reindexing import claims
from indexer.reindexing.claims import STRETCH
from tests.catalogue import add_indexed, annotators


def _begun(sessions: sessionmaker[Session], count: int) -> tuple[Change, list[int]]:
    with sessions.begin() as session:
        ids = [add_indexed(session, by=annotators(session)) for _ in range(count)]
        embedder = annotations.annotator_id(session, "embedder", "next", "2")
        return reindexes.begin(session, "embedder", embedder), ids


def test_two_workers_take_different_images(engine: Engine, sessions: sessionmaker[Session]) -> None:
    """And a third finds that others are at all that is missing."""
    change, ids = _begun(sessions, STRETCH + 10)
    with (
        claims.next_images(engine, sessions, change, 500) as first,
        claims.next_images(engine, sessions, change, 500) as second,
        claims.next_images(engine, sessions, change, 500) as third,
    ):
        assert sorted(first.image_ids + second.image_ids) == ids
        assert not set(first.image_ids) & set(second.image_ids)
        assert (third.image_ids, third.taken) == ([], True)


def test_what_a_worker_held_is_free_when_it_is_gone(engine: Engine, sessions: sessionmaker[Session]) -> None:
    """Its connection is what holds it; with the connection the claim is gone, and somebody else's turn."""
    change, ids = _begun(sessions, 3)
    with engine.connect() as theirs:
        assert theirs.scalar(
            text("SELECT pg_try_advisory_lock(:k, :s)"), {"k": STRETCHES_LOCK, "s": ids[0] // STRETCH}
        )
        with claims.next_images(engine, sessions, change, 2) as meanwhile:
            assert meanwhile.taken
        theirs.invalidate()  # as when its process is killed
    with claims.next_images(engine, sessions, change, 2) as free:
        assert free.image_ids == ids[:2]


def test_nothing_missing_is_told_from_all_taken(engine: Engine, sessions: sessionmaker[Session]) -> None:
    """Where nothing is missing, no claim says that others are at it."""
    change, _ = _begun(sessions, 0)
    with claims.next_images(engine, sessions, change, 5) as claim:
        assert (claim.image_ids, claim.taken) == ([], False)


def test_only_one_compares(engine: Engine) -> None:
    """The second is told so at once."""
    with claims.alone(engine) as mine, claims.alone(engine) as theirs:
        assert (mine, theirs) == (True, False)
