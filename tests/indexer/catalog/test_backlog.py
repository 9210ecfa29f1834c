"""What waits, and for how long."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from indexer.catalog import backlog

IMAGES = """
INSERT INTO images (id, content_hash, bytes, state)
SELECT n, sha256(n::text::bytea), 1, 'pending' FROM generate_series(1, 3) AS n
"""
WORK = """
INSERT INTO work (image_id, priority, queued_at, claimed_until) VALUES
    (1, 6, now() - interval '90 seconds', now() + interval '30 seconds'),
    (2, 6, now() - interval '50 seconds', now() - interval '1 second'),
    (3, 0, now() - interval '10 seconds', NULL)
"""
WORKERS = """
INSERT INTO workers (host, pid, seen_at) VALUES ('a', 1, now()), ('a', 2, now() - interval '5 minutes')
"""


def test_an_empty_library_has_no_backlog(session: Session) -> None:
    """Every figure is there, and 0."""
    found = backlog.read(session)
    assert found.workers == 0
    assert set(found.images.values()) == {0}
    assert found.queues == {name: backlog.Waiting(0, 0, 0.0) for name in ("index", "fetch", "writes")}


def test_what_is_claimed_does_not_wait(session: Session) -> None:
    """Until its claim has run out; the age is that of the oldest nobody works on."""
    for statement in (IMAGES, WORK, WORKERS):
        session.execute(text(statement))
    found = backlog.read(session)
    assert (found.queues["index"].waiting, found.queues["index"].claimed) == (2, 1)
    assert 50 <= found.queues["index"].oldest_s < 60
    assert found.images["pending"] == 3
    assert found.workers == 1


def test_the_outbox_is_a_queue_too(session: Session) -> None:
    """Its rows wait until Milvus agrees."""
    session.execute(
        text(
            "INSERT INTO embedding_changes (image_id, annotator_id, queued_at)"
            " VALUES (1, 1, now() - interval '1 hour')"
        )
    )
    assert backlog.read(session).queues["writes"].waiting == 1
    assert 3600 <= backlog.read(session).queues["writes"].oldest_s < 3700
