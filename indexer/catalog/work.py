"""Images that have to be looked at: the queue of record.

A row is free, claimed by a worker, or put off until a moment; it goes when its image has been looked at or given up.
Workers agree by Postgres alone, so that a lost message loses nothing and no image is looked at by two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.tables import ANNOTATED, DEAD, PENDING, Image, Source, Work

# Smaller first: one upload does not wait behind half a million files.
INTERACTIVE, BULK = 0, 6
CLAIM_S = 60  # how long a claim holds unless its worker says it is still alive
ATTEMPTS = 8  # how often an image is tried before it is given up
WORKER_DIED = "worker_died"
_KILLED = (
    "The worker ended whenever it looked at this image, in the end at nothing else. "
    "`sightline retry worker_died` has it tried again."
)
_LONELY_DEATHS = 3  # a machine switched off while it looks at one image does not make that image a suspect


@dataclass(frozen=True)
class Claim:
    """Images one worker has for itself, as long as it lives; `batch_limit` is what it was before the claim."""

    image_ids: list[int]
    batch_limit: int | None = None


@dataclass(frozen=True)
class WorkItem:
    """An image to look at, where its bytes can be read, and the job it was asked for by.

    `prepared` names the models' inputs it has been decoded to already, if it has.
    """

    image_id: int
    content_hash: bytes
    state: str
    sources: tuple[tuple[str, str], ...]
    job_id: int | None = None
    attempts: int = 0
    prepared: str | None = None


def add(session: Session, image_ids: Sequence[int], job_id: int | None = None, priority: int = BULK) -> None:
    """Have images looked at. Those that wait already wait no longer than before: the more urgent priority counts."""
    rows = [{"image_id": i, "job_id": job_id, "priority": priority} for i in sorted(set(image_ids))]
    if not rows:
        return
    statement = insert(Work).values(rows)
    sooner = {
        "priority": func.least(Work.priority, statement.excluded.priority),
        "job_id": func.coalesce(statement.excluded.job_id, Work.job_id),
    }
    session.execute(statement.on_conflict_do_update(index_elements=["image_id"], set_=sooner))


def claim(
    session: Session, worker_id: int, most: int, urgent: bool = False, alone: bool = False
) -> Claim | None:
    """The next images of one priority, at most `most`; None if nothing waits.

    Images that were at hand when their worker died are suspects: they come in batches of half the size, apart from all
    others, and only to who does nothing else meanwhile. Who does gets an empty claim.

    Args:
        session: its transaction should end at once.
        worker_id: who claims.
        most: how many at most.
        urgent: only images somebody waits for.
        alone: whether this worker has nothing else at hand.
    """
    waiting = free() & (Work.priority == INTERACTIVE) if urgent else free()
    first = session.execute(
        select(Work.priority, Work.batch_limit).where(waiting).order_by(Work.priority, Work.image_id).limit(1)
    ).first()
    if first is None:
        return None
    if first.batch_limit is not None and not alone:
        return Claim([], first.batch_limit)
    like_first = and_(
        waiting, Work.priority == first.priority, Work.batch_limit.is_not_distinct_from(first.batch_limit)
    )
    taken = take(session, worker_id, like_first, min(most, first.batch_limit or most))
    return Claim(taken, first.batch_limit)


def take(session: Session, worker_id: int, wanted: ColumnElement[bool], most: int) -> list[int]:
    """Claim the next `most` of the images wanted that nobody else is claiming at this moment; their ids, ascending."""
    picked = (
        select(Work.image_id)
        .where(wanted)
        .order_by(Work.priority, Work.image_id)
        .limit(most)
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    rows = session.scalars(
        update(Work)
        .where(Work.image_id == picked.c.image_id)
        .values(
            claimed_by=worker_id,
            claimed_until=_held(),
            batch_limit=select(func.count()).select_from(picked).scalar_subquery(),
        )
        .returning(Work.image_id)
        .execution_options(synchronize_session=False)
    )
    return sorted(rows)


def free() -> ColumnElement[bool]:
    """What waits and may be claimed now."""
    return and_(
        or_(Work.claimed_until.is_(None), Work.claimed_until < func.now()),
        or_(Work.not_before.is_(None), Work.not_before <= func.now()),
    )


def items(session: Session, image_ids: Sequence[int], worker_id: int | None) -> list[WorkItem]:
    """What is to be done about those of the images that this worker has claimed, oldest source first.

    With no worker: those nobody has claimed.
    """
    rows = session.execute(
        select(Image.id, Image.content_hash, Image.state, Work.job_id, Work.attempts, Work.prepared)
        .join(Work, Work.image_id == Image.id)
        .where(Work.image_id.in_(image_ids), Work.claimed_by.is_not_distinct_from(worker_id))
        .order_by(Image.id)
    ).all()
    sources: dict[int, list[tuple[str, str]]] = {row.id: [] for row in rows}
    named = select(Source.image_id, Source.kind, Source.uri).where(Source.image_id.in_(list(sources)))
    for image_id, kind, uri in session.execute(named.order_by(Source.id)):
        sources[image_id].append((kind, uri))
    return [
        WorkItem(
            row.id,
            bytes(row.content_hash),
            row.state,
            tuple(sources[row.id]),
            row.job_id,
            row.attempts,
            row.prepared,
        )
        for row in rows
    ]


def finish(session: Session, image_ids: Sequence[int], worker_id: int | None) -> set[int]:
    """Strike off images that have been looked at; those that were this worker's to strike off."""
    mine = and_(Work.image_id.in_(image_ids), Work.claimed_by.is_not_distinct_from(worker_id))
    return set(session.scalars(delete(Work).where(mine).returning(Work.image_id)))


def release(session: Session, claim: Claim, worker_id: int) -> None:
    """Leave what is not finished of a claim to whoever comes next, as it was before."""
    mine = and_(Work.image_id.in_(claim.image_ids), Work.claimed_by == worker_id)
    session.execute(
        update(Work)
        .where(mine)
        .values(claimed_by=None, claimed_until=None, batch_limit=claim.batch_limit)
        .execution_options(synchronize_session=False)
    )


def put_off(
    session: Session,
    image_id: int,
    worker_id: int | None,
    code: str,
    message: str,
    wait_s: float,
    alone: bool = False,
) -> None:
    """Note an attempt in vain: it is looked at again in `wait_s` seconds, `alone` if asked; given up after ATTEMPTS."""
    mine = and_(Work.image_id == image_id, Work.claimed_by.is_not_distinct_from(worker_id))
    later = {
        "claimed_by": None,
        "claimed_until": None,
        "batch_limit": 1 if alone else None,
        "attempts": Work.attempts + 1,
        "not_before": func.now() + func.make_interval(0, 0, 0, 0, 0, 0, wait_s),
        "error_code": code,
        "error_message": message,
    }
    attempts = session.scalar(update(Work).where(mine).values(later).returning(Work.attempts))
    if attempts is not None and attempts >= ATTEMPTS:
        give_up(session, [image_id])


def give_up(session: Session, image_ids: Sequence[int]) -> None:
    """Declare images dead for the reason noted with their work, which goes."""
    session.execute(
        update(Image)
        .where(Image.id == Work.image_id, Image.id.in_(image_ids), Image.state.in_([PENDING, ANNOTATED]))
        .values(state=DEAD, error_code=Work.error_code, error_message=Work.error_message)
        .execution_options(synchronize_session=False)
    )
    session.execute(delete(Work).where(Work.image_id.in_(image_ids)))


def free_after_death(session: Session, worker_ids: Sequence[int]) -> None:
    """Free what dead workers had claimed, to be looked at in batches of half the size.

    The image that killed them is alone in the end, and given up when it has killed its worker alone.
    """
    theirs = Work.claimed_by.in_(worker_ids)
    lonely = and_(theirs, Work.batch_limit == 1, Work.attempts >= _LONELY_DEATHS - 1)
    hopeless = list(session.scalars(select(Work.image_id).where(lonely)))
    freed = {
        "claimed_by": None,
        "claimed_until": None,
        "attempts": Work.attempts + 1,
        "batch_limit": func.greatest(Work.batch_limit / text("2"), 1),
        "error_code": WORKER_DIED,
        "error_message": _KILLED,
    }
    session.execute(update(Work).where(theirs).values(freed).execution_options(synchronize_session=False))
    give_up(session, hopeless)


def _held() -> ColumnElement[datetime]:
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, CLAIM_S)
