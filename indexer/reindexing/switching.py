"""Putting a model in effect, and going back.

What answers is one row in Postgres, so a switch is one commit: a new embedder answers from then on. Tags and captions
change places on the shelf with it, up to AT_ONCE images in that very commit; in a larger library the rest follows in
steps, and until then an image shows the tags of one tagger or the other, never of both or none.
"""

import logging

from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import models, reindexes, shelf
from indexer.catalog.models import ModelRow
from indexer.catalog.reindexes import Change
from indexer.embeddings.stores import EmbeddingStores
from indexer.errors import NotFound, ServiceUnavailable
from indexer.published import Kind

AT_ONCE = 20_000  # images: a few seconds, in which nobody else can commit what models have said
STEP = 500

logger = logging.getLogger(__name__)


def switch(sessions: sessionmaker[Session], change: Change, at_once: int = AT_ONCE) -> bool:
    """Put the model of a change in effect, if it has looked at everything; whether it had.

    Images that came a moment ago are looked at first, so that none is ever without a statement of the model in effect:
    ask again soon.
    """
    with sessions.begin() as session:
        models.hold_still(session)
        now = reindexes.running(session)
        if now is None or now.id != change.id or now.switched_at is not None:
            return now is not None and now.id == change.id
        if left := reindexes.missing(session, now, 0, 1):
            reindexes.note_filled_to(session, now.id, left[0] - 1)
            return False
        if now.kind == "embedder" and reindexes.unpublished(session, now.annotator_id):
            return False
        models.put_in_effect(session, now.kind, now.annotator_id)
        reindexes.note_switched(session, now.id)
        _change_hands(session, now.kind, now.annotator_id, at_once)
        return True


def roll_back(sessions: sessionmaker[Session], kind: Kind, at_once: int = AT_ONCE) -> Change:
    """Put the model before in effect again, now; what came since it was is filled by the change returned.

    Raises:
        NotFound: there is none to go back to.
        NameTaken: another change is under way.
    """
    with sessions.begin() as session:
        models.hold_still(session)
        row = models.in_effect(session).get(kind)
        if row is None or row.previous_id is None:
            raise NotFound(
                f"There is no {kind} to go back to: `sightline reindex --{kind} NAME` changes to another one."
            )
        now = reindexes.running(session)
        if now is not None and now.kind == kind and now.switched_at is not None:
            reindexes.end(session, now.id)
        change = reindexes.begin(session, kind, row.previous_id, switched=True)
        models.put_in_effect(session, kind, row.previous_id)
        _change_hands(session, kind, row.previous_id, at_once)
        return change


def change_some_hands(sessions: sessionmaker[Session], change: Change) -> bool:
    """After a switch: show what the new model has on the shelf of some more images; whether there were any."""
    if change.kind == "embedder":
        return False
    with sessions.begin() as session:
        if not reindexes.still_running(session, change.id):
            return False
        return bool(_change_hands(session, change.kind, change.annotator_id, STEP))


def _change_hands(session: Session, kind: Kind, annotator_id: int, most: int) -> int:
    """Show what a model in effect has on the shelf of at most so many images; how many."""
    if kind == "embedder":
        return 0
    return shelf.swap(session, kind, shelf.waiting(session, annotator_id, most))


def point_aliases(sessions: sessionmaker[Session], stores: EmbeddingStores) -> None:
    """Have Milvus's aliases `images` and `captions`, by which others may read it, name the embedder in effect.

    Nothing here reads by them, so a Milvus that is away now is told later.
    """
    with sessions() as session:
        row: ModelRow | None = models.in_effect(session).get("embedder")
    try:
        store = stores.existing(row) if row else None
        if store is not None:
            store.activate()
    except ServiceUnavailable as error:
        logger.warning("Milvus's aliases still name the embedder before: %s", error)
