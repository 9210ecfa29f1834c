"""Inputs whose bytes are still to be brought from an address: the queue of record of the fetchers."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.catalog.statements import Said
from indexer.catalog.work import BULK, CLAIM_S
from indexer.tables import Fetch, JobItem

ATTEMPTS = 8  # how often an address is tried before it is given up


@dataclass(frozen=True)
class NewFetch:
    """An input of a job to bring: its place in the job, its address, and what is said of the picture there."""

    position: int
    url: str
    said: Said


@dataclass(frozen=True)
class Claimed:
    """A fetch one worker has for itself; `attempts` were made in vain before."""

    job_id: int
    position: int
    url: str
    said: Said
    priority: int
    attempts: int
    worker_id: int


def add(session: Session, job_id: int, fetches: Sequence[NewFetch], priority: int = BULK) -> None:
    """Have addresses fetched for items the job has already."""
    rows = [
        {
            "job_id": job_id,
            "position": fetch.position,
            "url": fetch.url,
            "external_id": fetch.said.sku,
            "title": fetch.said.title,
            "caption": fetch.said.caption,
            "tags": list(fetch.said.tags),
            "collection": fetch.said.collection,
            "rejected_tags": list(fetch.said.rejected),
            "priority": priority,
        }
        for fetch in fetches
    ]
    if rows:
        session.execute(insert(Fetch), rows)


def claim(session: Session, worker_id: int) -> Claimed | None:
    """The next address nobody has claimed, the most urgent first; the transaction should end at once."""
    free = and_(
        or_(Fetch.claimed_until.is_(None), Fetch.claimed_until < func.now()),
        or_(Fetch.not_before.is_(None), Fetch.not_before <= func.now()),
    )
    first = (
        select(Fetch.job_id, Fetch.position)
        .where(free)
        .order_by(Fetch.priority, Fetch.queued_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .cte("first")
    )
    held = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, CLAIM_S)
    names = (
        "url",
        "external_id",
        "title",
        "caption",
        "tags",
        "collection",
        "rejected_tags",
        "priority",
        "attempts",
    )
    row = session.execute(
        update(Fetch)
        .where(Fetch.job_id == first.c.job_id, Fetch.position == first.c.position)
        .values(claimed_by=worker_id, claimed_until=held)
        .returning(Fetch.job_id, Fetch.position, *(getattr(Fetch, name) for name in names))
        .execution_options(synchronize_session=False)
    ).first()
    if row is None:
        return None
    said = Said(
        row.external_id, row.title, row.caption, tuple(row.tags), row.collection, tuple(row.rejected_tags)
    )
    return Claimed(row.job_id, row.position, row.url, said, row.priority, row.attempts, worker_id)


def finish(session: Session, fetch: Claimed, image_id: int) -> bool:
    """Strike off a fetch that became an image; False, and nothing is done, if it is another worker's by now."""
    return _end(session, fetch, {"image_id": image_id})


def refuse(session: Session, fetch: Claimed, code: str, message: str) -> bool:
    """Strike off a fetch from which no image will come, with the reason; False as for `finish`."""
    return _end(session, fetch, {"error_code": code, "error_message": message})


def put_off(session: Session, fetch: Claimed, wait_s: float) -> None:
    """Note an attempt in vain; the next is made in `wait_s` seconds."""
    later = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, wait_s)
    session.execute(
        update(Fetch)
        .where(_mine(fetch))
        .values(claimed_by=None, claimed_until=None, attempts=Fetch.attempts + 1, not_before=later)
        .execution_options(synchronize_session=False)
    )


def release(session: Session, fetch: Claimed) -> None:
    """Leave a fetch to whoever comes next, as it was."""
    session.execute(
        update(Fetch)
        .where(_mine(fetch))
        .values(claimed_by=None, claimed_until=None)
        .execution_options(synchronize_session=False)
    )


def waiting(session: Session) -> int:
    """How many addresses are still to be fetched, those being fetched included."""
    return session.scalar(select(func.count()).select_from(Fetch)) or 0


def _end(session: Session, fetch: Claimed, outcome: dict[str, object]) -> bool:
    struck = session.execute(delete(Fetch).where(_mine(fetch)).returning(Fetch.position)).first()
    if struck is None:
        return False
    item = and_(JobItem.job_id == fetch.job_id, JobItem.position == fetch.position)
    session.execute(update(JobItem).where(item).values(**outcome))
    return True


def _mine(fetch: Claimed) -> ColumnElement[bool]:
    return and_(
        Fetch.job_id == fetch.job_id,
        Fetch.position == fetch.position,
        Fetch.claimed_by == fetch.worker_id,
    )
