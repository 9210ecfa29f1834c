"""Deleting what models have said that are not in effect: after that there is no way back to them."""

from collections.abc import Iterator

from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import models, reindexes, shelf
from indexer.catalog.models import ModelRow
from indexer.embeddings.stores import EmbeddingStores
from indexer.published import Kind
from indexer.reindexing.switching import point_aliases

STEP = 5_000  # ids in one transaction


def forget(sessions: sessionmaker[Session], stores: EmbeddingStores) -> Iterator[tuple[Kind, ModelRow]]:
    """Forget every model that is neither in effect nor on its way to be; which, as they are forgotten.

    Killed half-way, it goes on where it was when it is asked again.

    Raises:
        ServiceUnavailable: Postgres or Milvus does not answer.
    """
    with sessions() as session:
        forgotten = shelf.forgettable(session)
        newest = reindexes.newest(session)
    for kind, annotator_id in forgotten:
        with sessions.begin() as session:
            models.hold_still(session)
            if (kind, annotator_id) not in shelf.forgettable(session):
                continue  # put in effect meanwhile
            models.forget_previous(session, kind, annotator_id)
        for above in range(0, newest + 1, STEP):
            with sessions.begin() as session:
                shelf.forget(session, kind, annotator_id, above, above + STEP)
        with sessions() as session:
            row = models.named(session, annotator_id)
        if kind == "embedder":
            point_aliases(sessions, stores)
            stores.drop(row)
        yield kind, row
