"""Worker processes, and what they have claimed for as long as they live.

A claim lasts CLAIM_S by the clock of Postgres and is extended by its worker's heartbeat. What a dead worker had
claimed is free again at once where its death is known, else when it has not been seen for SILENT_S.
"""

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from indexer.catalog import work
from indexer.catalog.work import CLAIM_S
from indexer.tables import Fetch, Work, WorkerProcess

SILENT_S = 30  # well before the claims run out, so that it is known of them that their worker died


def register_worker(session: Session, host: str, pid: int) -> int:
    """The id under which a process claims work.

    Args:
        session: to be committed before anything is claimed.
        host: names the machine, or the container, in which `pid` is its number.
        pid: of the process.
    """
    worker = WorkerProcess(host=host, pid=pid)
    session.add(worker)
    session.flush()  # the id is what is asked for
    return worker.id


def heartbeat(session: Session, worker_id: int, image_ids: Collection[int]) -> bool:
    """Extend a worker's claims on the images it has in hand, and on all its fetches.

    Returns False if it was taken for dead meanwhile: its id is gone, and what it had claimed is others'.
    """
    seen = update(WorkerProcess).where(WorkerProcess.id == worker_id).values(seen_at=func.now())
    known = session.execute(seen.returning(WorkerProcess.id)).first() is not None
    in_hand = Work.image_id.in_(sorted(image_ids))
    for table, more in ((Work, in_hand), (Fetch, Fetch.claimed_until.is_not(None))):
        session.execute(
            update(table)
            .where(table.claimed_by == worker_id, more)
            .values(claimed_until=_in(CLAIM_S))
            .execution_options(synchronize_session=False)
        )
    return known


def free_dead(session: Session, worker_id: int, host: str, is_alive: Callable[[int], bool]) -> list[int]:
    """Free what dead workers had claimed, and forget them; their process ids.

    Dead is who has not been seen for SILENT_S, and whose process on this host is gone.

    Args:
        session: to be committed at once.
        worker_id: who asks.
        host: the machine it is on.
        is_alive: whether a process of that id lives on this machine.
    """
    silent = WorkerProcess.seen_at < _in(-SILENT_S)
    rows = session.execute(
        select(WorkerProcess.id, WorkerProcess.pid, silent.label("silent"))
        .where(WorkerProcess.id != worker_id, or_(WorkerProcess.host == host, silent))
        .order_by(WorkerProcess.id)
        .with_for_update(skip_locked=True)
    ).all()
    dead = {row.id: row.pid for row in rows if row.silent or not is_alive(row.pid)}
    if dead:
        work.free_after_death(session, list(dead))
        _remove(session, list(dead), attempts=1)
    return list(dead.values())


def leave(session: Session, worker_id: int) -> None:
    """A worker ends in good order: what it had claimed is free, and nobody is to blame."""
    session.execute(
        update(Work)
        .where(Work.claimed_by == worker_id)
        .values(claimed_by=None, claimed_until=None, batch_limit=None)
        .execution_options(synchronize_session=False)
    )
    _remove(session, [worker_id], attempts=0)


def _remove(session: Session, worker_ids: list[int], attempts: int) -> None:
    session.execute(
        update(Fetch)
        .where(Fetch.claimed_by.in_(worker_ids))
        .values(claimed_by=None, claimed_until=None, attempts=Fetch.attempts + attempts)
        .execution_options(synchronize_session=False)
    )
    session.execute(delete(WorkerProcess).where(WorkerProcess.id.in_(worker_ids)))


def _in(seconds: int) -> ColumnElement[datetime]:
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
