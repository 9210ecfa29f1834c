"""Images decoded ahead by workers without models, for those that have them.

Only bulk work is: what somebody waits for is decoded where it is looked at, which is quicker than by way of the store.
"""

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from indexer.catalog import work
from indexer.tables import Annotator, Image, ModelInEffect, Work


def note_inputs(session: Session, inputs: dict[int, str]) -> None:
    """Record how models want their pixels, by annotator."""
    for annotator_id, name in inputs.items():
        known = Annotator.id == annotator_id, Annotator.input.is_distinct_from(name)
        session.execute(update(Annotator).where(*known).values(input=name))


def inputs_wanted(session: Session) -> list[str]:
    """How the models in effect want their pixels, each way once; empty while one of them has not been loaded yet."""
    query = select(Annotator.input).join(ModelInEffect, ModelInEffect.annotator_id == Annotator.id)
    names = list(session.scalars(query))
    known = [name for name in names if name is not None]
    return sorted(set(known)) if len(known) == len(names) else []


def claim(session: Session, worker_id: int, most: int, ahead: int) -> list[int]:
    """The next images to decode ahead, at most `most`; none while `ahead` of them wait already.

    Those suspected of killing their worker are left to who looks at them alone.

    Args:
        session: its transaction should end at once.
        worker_id: who claims.
        most: how many at most.
        ahead: how many may lie decoded.
    """
    room = ahead - waiting(session)
    if room <= 0:
        return []
    fresh = Work.prepared.is_(None) & Work.batch_limit.is_(None) & (Work.priority > work.INTERACTIVE)
    return work.take(session, worker_id, work.free() & fresh, min(most, room))


def waiting(session: Session) -> int:
    """How many images lie decoded."""
    # "": there was nothing to decode.
    query = select(func.count()).select_from(Work).where(Work.prepared != "")
    return session.execute(query).scalar_one()


def settle(session: Session, image_ids: Sequence[int], worker_id: int, inputs: str) -> set[int]:
    """These lie decoded as `inputs`, and may be looked at; those that were this worker's to say so of."""
    mine = Work.image_id.in_(image_ids), Work.claimed_by == worker_id
    ready = {"claimed_by": None, "claimed_until": None, "batch_limit": None, "prepared": inputs}
    return set(session.scalars(update(Work).where(*mine).values(ready).returning(Work.image_id)))


def unwanted(session: Session, content_hashes: Sequence[bytes]) -> list[bytes]:
    """Those of the files decoded ahead that nothing waits for."""
    query = select(Image.content_hash).join(Work, Work.image_id == Image.id)
    wanted = {bytes(known) for known in session.scalars(query.where(Image.content_hash.in_(content_hashes)))}
    return [content_hash for content_hash in content_hashes if content_hash not in wanted]
