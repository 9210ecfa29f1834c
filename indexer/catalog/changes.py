"""Which images have changed since one last looked.

`image_changes` names, for every image, the last transaction that changed anything one may search it by.
Transactions do not commit in the order of their numbers, so a number remembered is not enough: remembered
is the whole snapshot, which says of every transaction whether its work could be seen.

    before = changes.snapshot(session)
    ...                                    # read what is to be kept in memory
    stale = changes.since(session, before) # read these again, having taken the next snapshot first

An image named here was changed by a transaction that has committed, so whatever is read of it afterwards
holds that change. A session that has written something sees its own work before it has committed: look with
one that has not.
"""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

# A Postgres snapshot in its own notation, `xmin:xmax:running,running`; to be handed back, not taken apart.
Snapshot = str

# One statement, so that the snapshot and the changes are of the same moment. Every transaction still running at
# the last look has a number of at least its xmin: the index is read from there on.
_CHANGED = """
    FROM image_changes
    WHERE changed_by >= pg_snapshot_xmin(CAST(:before AS pg_snapshot))::text::bigint
      AND NOT pg_visible_in_snapshot(changed_by::text::xid8, CAST(:before AS pg_snapshot))
"""
_SINCE = text(f"SELECT string_agg(int8send(image_id), ''::bytea) {_CHANGED}")
_LOOK = text(
    "SELECT pg_current_snapshot()::text, pg_current_xact_id_if_assigned() IS NOT NULL,"
    f" (SELECT string_agg(int8send(image_id), ''::bytea) {_CHANGED})"
)


@dataclass(frozen=True)
class Look:
    """What one look found: the snapshot to look from next, and the images changed since the last, in no order.

    `uncommitted`: the session has itself written something that others cannot see yet.
    """

    snapshot: Snapshot
    image_ids: np.ndarray
    uncommitted: bool


def snapshot(session: Session) -> Snapshot:
    """The moment from which `since` is to look; everything committed by now can be seen by now."""
    return str(session.scalar(text("SELECT pg_current_snapshot()::text")))


def since(session: Session, before: Snapshot) -> np.ndarray:
    """Ids (n,) int64 of the images changed by transactions whose work could not be seen at `before`."""
    return _ids(session.scalar(_SINCE, {"before": before}))


def look(session: Session, before: Snapshot) -> Look:
    """`snapshot` and `since` in one statement."""
    now, uncommitted, changed = session.execute(_LOOK, {"before": before}).one()
    return Look(str(now), _ids(changed), bool(uncommitted))


def has_written(session: Session) -> bool:
    """Whether the session's transaction has written something, which others cannot see yet."""
    return bool(session.scalar(text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")))


def _ids(packed: bytes | None) -> np.ndarray:
    return np.frombuffer(packed or b"", ">i8").astype(np.int64)
