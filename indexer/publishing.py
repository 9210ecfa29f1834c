"""The outbox -> Milvus: the only road by which embeddings get there.

A publisher makes Milvus hold of an image what Postgres holds at that moment, whatever the change was: so it may do so
twice, and the order of changes is theirs in Postgres. It holds the changes it publishes until Milvus has answered, in
one transaction: a publisher that dies leaves them to the next.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from indexer import metrics
from indexer.catalog import annotations, outbox
from indexer.catalog.annotations import StoredEmbeddings
from indexer.catalog.outbox import Change, Embedder
from indexer.catalog.stored_embeddings import unit
from indexer.embeddings import EmbeddingStore, Rows, Vectors
from indexer.embeddings.connection import Refused
from indexer.embeddings.stores import EmbeddingStores
from indexer.embeddings.vectors import NORM_TOLERANCE
from indexer.errors import ConfigurationError

logger = logging.getLogger(__name__)
CHUNK = 500  # images at once, a thousand rows with their captions: what Lite holds unflushed
ASIDE_S = 10.0  # how long an embedder is left alone whose embeddings Milvus refuses


class _NotTaken(Exception):
    """Milvus is there and refuses what one embedder says."""

    def __init__(self, embedder: Embedder, reason: Exception) -> None:
        self.embedder = embedder
        super().__init__(f"embeddings of {embedder.name} ({embedder.version}) are refused: {reason}")


class Publisher:
    """Makes Milvus equal to Postgres, change by change. Safe to share among threads, and beside other publishers."""

    def __init__(self, sessions: sessionmaker[Session], stores: EmbeddingStores, chunk: int = CHUNK) -> None:
        self._sessions = sessions
        self._stores = stores
        self._chunk = chunk
        self._aside: dict[int, float] = {}

    def step(self) -> bool:
        """Publish the changes that have waited longest; whether there was anything that could be.

        Raises:
            ServiceUnavailable: Milvus does not answer; nothing is lost, and it may be tried again.
        """
        try:
            with metrics.stage_seconds.labels(stage="publish").time(), self._sessions.begin() as session:
                changes = outbox.claim(session, self._chunk, self._left_alone())
                self._publish(session, changes)
                done = outbox.settle(session, changes) if changes else 0
        except _NotTaken as error:
            logger.warning("%s; tried again in %.0f s", error, ASIDE_S)
            self._aside[error.embedder.id] = time.monotonic() + ASIDE_S
            return True
        if not done:
            self._stores.rest()
            return False
        metrics.published.inc(done)
        return True

    def drain(self) -> None:
        """Publish all there is. Raises as `step`."""
        while self.step():
            pass

    def _left_alone(self) -> list[int]:
        now = time.monotonic()
        return [embedder_id for embedder_id, until in self._aside.items() if until > now]

    def _publish(self, session: Session, changes: Sequence[Change]) -> None:
        by_embedder: dict[int, list[Change]] = defaultdict(list)
        for change in changes:
            by_embedder[change.embedder_id].append(change)
        # Nobody is left to search the embeddings of an embedder that is forgotten.
        for embedder_id, embedder in outbox.embedders(session, by_embedder).items():
            mine = by_embedder[embedder_id]
            stored = annotations.embeddings(session, [change.image_id for change in mine], embedder_id)
            try:
                store = self._store(embedder, stored)
                if store is not None:
                    rows = rows_of(stored, store.dimension)
                    store.replace(rows, only=left_behind(mine, stored, rows))
            except (Refused, ConfigurationError) as error:
                self._stores.forget(embedder)
                raise _NotTaken(embedder, error) from error

    def _store(self, embedder: Embedder, stored: StoredEmbeddings) -> EmbeddingStore | None:
        """The embedder's store; none if there is nothing of it in Milvus, nor to be put there."""
        store = self._stores.existing(embedder)
        dimension = common_dimension(stored)
        return self._stores.open(embedder, dimension) if store is None and dimension else store


def rows_of(stored: StoredEmbeddings, dimension: int) -> Rows:
    """What Milvus should hold of embeddings read from Postgres.

    An embedding of another length, or of none that could be compared (all zero, not finite), is left out.
    """
    captions = {caption_id: packed for caption_id, (_, packed) in stored.captions.items()}
    image_ids, images = _comparable(stored.images, dimension, "image")
    caption_ids, rows = _comparable(captions, dimension, "caption")
    return Rows(image_ids, images, caption_ids, [stored.captions[c][0] for c in caption_ids], rows)


def left_behind(changes: Sequence[Change], stored: StoredEmbeddings, rows: Rows) -> set[int]:
    """The images of which Milvus may hold more than `rows`: what was deleted, or cannot be searched any more."""
    lost = {change.image_id for change in changes if change.lost}
    without = {change.image_id for change in changes} - {*rows.image_ids}
    refused = stored.captions.keys() - {*rows.caption_ids}
    return lost | without | {stored.captions[caption_id][0] for caption_id in refused}


def _comparable(stored: dict[int, bytes], dimension: int, what: str) -> tuple[list[int], Vectors]:
    """Ids (n,) and embeddings (n, dimension) of unit length."""
    ids = [key for key, packed in stored.items() if len(packed) == 2 * dimension]
    packed = np.frombuffer(b"".join(stored[key] for key in ids), "<f2").reshape(-1, dimension)
    rows = unit(packed)
    good = np.abs(np.linalg.norm(rows, axis=1) - 1) <= NORM_TOLERANCE
    kept = [key for key, fit in zip(ids, good, strict=True) if fit]
    if len(kept) < len(stored):
        left_out = sorted(stored.keys() - set(kept))
        logger.warning("embeddings that cannot be searched, of %s %s", what, left_out[:10])
    return kept, rows[good]


def common_dimension(stored: StoredEmbeddings) -> int | None:
    """The length most of these embeddings have; `None` without any."""
    captions = (packed for _, packed in stored.captions.values())
    lengths = Counter(len(packed) // 2 for packed in (*stored.images.values(), *captions))
    return lengths.most_common(1)[0][0] if lengths else None
