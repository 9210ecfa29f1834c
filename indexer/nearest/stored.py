"""Exact scores from the embeddings Postgres keeps: of a few images, or of all when nothing else is left."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from indexer.catalog import stored_embeddings
from indexer.nearest.ranking import Scores, scored
from indexer.nearest.target import Channel, Target

CHUNK = 8_192  # ids in one statement


def cosines(rows: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float64]:
    """Inner products (n,) that do not depend on how many rows are asked for at once, to 1e-14."""
    return rows.astype(np.float64) @ vector.astype(np.float64)


def without_embeddings(target: Target, ids: NDArray[np.int64]) -> Scores:
    """Scores of images as if none had an embedding: what the target says of those, and their bonus."""
    return scored(target, ids, {channel: np.full(len(ids), np.nan) for channel in target.channels})


class StoredEmbeddings:
    """The embeddings of one embedder in Postgres, each of `dimension` components."""

    def __init__(self, session: Session, embedder_id: int, dimension: int) -> None:
        self._session = session
        self._embedder_id = embedder_id
        self._dimension = dimension

    def score(self, target: Target, ids: NDArray[np.int64]) -> Scores:
        """Exact scores of the images `ids`, ascending; those without an embedding get what the target says."""
        found = {channel: self._best(target, channel, ids, few=True) for channel in target.channels}
        return scored(target, ids, found)

    def score_all(self, target: Target, ids: NDArray[np.int64]) -> Scores:
        """As `score`, reading every embedding there is: for when `ids` are most of the library."""
        found = {channel: self._best(target, channel, ids, few=False) for channel in target.channels}
        return scored(target, ids, found)

    def _best(
        self, target: Target, channel: Channel, ids: NDArray[np.int64], *, few: bool
    ) -> NDArray[np.float64]:
        best = np.full(len(ids), np.nan)
        if not len(ids):
            return best
        for page in self._pages(channel, ids if few else None):
            places = np.minimum(np.searchsorted(ids, page.ids), len(ids) - 1)
            asked = ids[places] == page.ids
            values = cosines(page.rows[asked], target.vectors[channel])
            np.fmax.at(best, places[asked], values)
        return best

    def _pages(self, channel: Channel, among: NDArray[np.int64] | None) -> Iterator[stored_embeddings.Page]:
        chunks = [None] if among is None else [among[i : i + CHUNK] for i in range(0, len(among), CHUNK)]
        for chunk in chunks:
            yield from stored_embeddings.pages(
                self._session, channel, self._embedder_id, self._dimension, chunk
            )
