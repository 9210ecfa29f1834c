"""How much waits, for how long, and who works on it: what operators watch."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from indexer.catalog import images

# Nobody has seen a worker that has not said it lives for this long.
SEEN_WITHIN_S = 30


@dataclass(frozen=True)
class Waiting:
    """Rows of one kind of work: `waiting` for anybody, `claimed` by a worker; `oldest_s`, seconds since the first
    of those waiting was queued, 0.0 with none.
    """

    waiting: int
    claimed: int
    oldest_s: float


@dataclass(frozen=True)
class Backlog:
    """Images by state; work by queue, `index`, `fetch` and `writes`; worker processes seen of late."""

    images: dict[str, int]
    queues: dict[str, Waiting]
    workers: int


def read(session: Session) -> Backlog:
    """The backlog now. Counts every image: at ten million, about a second."""
    queues = {name: Waiting(*session.execute(text(statement)).one()) for name, statement in _QUEUES.items()}
    return Backlog(images.count_by_state(session), queues, workers(session))


def workers(session: Session) -> int:
    """How many worker processes are alive."""
    return int(session.execute(text(_WORKERS), {"seconds": SEEN_WITHIN_S}).scalar_one())


_CLAIMABLE = """
SELECT count(*) FILTER (WHERE free), count(*) FILTER (WHERE NOT free),
    coalesce(extract(epoch FROM now() - min(queued_at) FILTER (WHERE free)), 0)::double precision
FROM (SELECT queued_at, claimed_until IS NULL OR claimed_until <= now() AS free FROM {table}) AS rows
"""
_QUEUES = {
    "index": _CLAIMABLE.format(table="work"),
    "fetch": _CLAIMABLE.format(table="fetches"),
    # The outbox is locked while it is written out, not claimed.
    "writes": "SELECT count(*), 0, coalesce(extract(epoch FROM now() - min(queued_at)), 0)::double precision "
    "FROM embedding_changes",
}
_WORKERS = "SELECT count(*) FROM workers WHERE seen_at > now() - make_interval(secs => :seconds)"
