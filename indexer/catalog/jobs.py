"""Requests to index: what they asked for, how far they are, where the time went."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.tables import ANNOTATED, DEAD, FAILED, INDEXED, PENDING, Image, Job, JobItem, JobStage


@dataclass(frozen=True)
class NewItem:
    """One input of a job: the image it became, or the reason it became none."""

    uri: str
    image_id: int | None = None
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far a job is. `failed` counts inputs refused at the door, images refused later and those given up."""

    job_id: int
    kind: str
    created_at: datetime
    total: int
    pending: int
    indexed: int
    failed: int
    stage_seconds: dict[str, float]

    @property
    def done(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.pending == 0


@dataclass(frozen=True)
class Indexed:
    """A job's inputs that can be searched: images indexed since it began, each once; further inputs with the content
    of one of these; inputs whose image could be searched before.
    """

    anew: int
    copies: int
    before: int


@dataclass(frozen=True)
class Failure:
    """One input that could not be used, and why; `position` is its place among the inputs, from 0."""

    position: int
    uri: str
    code: str
    message: str


def create(session: Session, kind: str) -> int:
    """A new, empty job."""
    job = Job(kind=kind)
    session.add(job)
    session.flush()  # the id is needed for the items
    return job.id


def add_items(session: Session, job_id: int, items: Sequence[NewItem], first_position: int = 0) -> None:
    """Append inputs to a job, numbered from `first_position`."""
    rows = [
        {
            "job_id": job_id,
            "position": first_position + index,
            "uri": item.uri,
            "image_id": item.image_id,
            "error_code": item.error_code,
            "error_message": item.error_message,
        }
        for index, item in enumerate(items)
    ]
    if rows:
        session.execute(insert(JobItem).on_conflict_do_nothing(), rows)


def progress(session: Session, job_id: int) -> Progress | None:
    """How far a job is; None if there is no such job."""
    job = session.get(Job, job_id)
    if job is None:
        return None
    # An input that never became an image has no state: it was refused, or its bytes are still to be brought.
    state = func.coalesce(Image.state, case((JobItem.error_code.is_(None), PENDING), else_=FAILED))
    states: Counter[str] = Counter(
        dict(
            session.execute(
                select(state, func.count())
                .select_from(JobItem)
                .outerjoin(Image, Image.id == JobItem.image_id)
                .where(JobItem.job_id == job_id)
                .group_by(state)
            ).all()
        )
    )
    stages = select(JobStage.stage, JobStage.seconds).where(JobStage.job_id == job_id)
    return Progress(
        job_id=job.id,
        kind=job.kind,
        created_at=job.created_at,
        total=sum(states.values()),
        pending=states[PENDING] + states[ANNOTATED],
        indexed=states[INDEXED],
        failed=states[FAILED] + states[DEAD],
        stage_seconds=dict(session.execute(stages).all()),
    )


def indexed(session: Session, job_id: int) -> Indexed:
    """Which of the job's inputs that can be searched it brought, and which were there."""
    anew = func.coalesce(Image.indexed_at >= Job.created_at, False)
    inputs, distinct, before = session.execute(
        select(
            func.count().filter(anew),
            func.count(Image.id.distinct()).filter(anew),
            func.count().filter(~anew),
        )
        .select_from(JobItem)
        .join(Job, Job.id == JobItem.job_id)
        .join(Image, Image.id == JobItem.image_id)
        .where(JobItem.job_id == job_id, Image.state == INDEXED)
    ).one()
    return Indexed(distinct, inputs - distinct, before)


def failures(session: Session, job_id: int, limit: int = 1000) -> list[Failure]:
    """The job's inputs that could not be used, in input order."""
    rows = session.execute(
        select(
            JobItem.position,
            JobItem.uri,
            func.coalesce(JobItem.error_code, Image.error_code),
            func.coalesce(JobItem.error_message, Image.error_message),
        )
        .outerjoin(Image, Image.id == JobItem.image_id)
        .where(JobItem.job_id == job_id, func.coalesce(JobItem.error_code, Image.error_code).is_not(None))
        .order_by(JobItem.position)
        .limit(limit)
    )
    return [Failure(*row) for row in rows]


def recent(session: Session, limit: int = 20) -> list[int]:
    """Ids of the newest jobs, newest first."""
    return list(session.scalars(select(Job.id).order_by(Job.id.desc()).limit(limit)))


def indexed_images(session: Session, job_id: int) -> list[int]:
    """Ids of the job's images that can be searched, in input order, each once."""
    rows = session.scalars(
        select(Image.id)
        .join(JobItem, JobItem.image_id == Image.id)
        .where(JobItem.job_id == job_id, Image.state == INDEXED)
        .order_by(JobItem.position)
    )
    return list(dict.fromkeys(rows))


def add_stage_seconds(session: Session, seconds: Mapping[int, Mapping[str, float]]) -> None:
    """Add to the time each job has spent in each stage; safe from several workers, jobs that are gone pass over."""
    there = session.scalars(select(Job.id).where(Job.id.in_(list(seconds))).order_by(Job.id)).all()
    rows = [
        {"job_id": job_id, "stage": stage, "seconds": value}
        for job_id in there
        for stage, value in sorted(seconds[job_id].items())
    ]
    if not rows:
        return
    statement = insert(JobStage).values(rows)
    added = {"seconds": JobStage.seconds + statement.excluded.seconds}
    session.execute(statement.on_conflict_do_update(index_elements=["job_id", "stage"], set_=added))


def images_of(session: Session, job_id: int) -> list[int]:
    """Ids of the images a job's inputs became, ascending, each once."""
    rows = select(JobItem.image_id).where(JobItem.job_id == job_id, JobItem.image_id.is_not(None)).distinct()
    return [image_id for image_id in session.scalars(rows.order_by(JobItem.image_id)) if image_id is not None]
