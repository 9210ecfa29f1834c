"""How surely a tag is shown, by image."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap
from sqlalchemy.orm import Session

from indexer.catalog import postings
from indexer.postings.memory import Reading
from indexer.postings.sets import to_ids


@dataclass(frozen=True)
class Confidences:
    """Images ascending int64 (n,) and confidences float32 (n,) in 0..1, of one tag."""

    image_ids: np.ndarray
    values: np.ndarray

    @property
    def size(self) -> int:
        """Bytes."""
        return self.image_ids.nbytes + self.values.nbytes

    def patched(self, changed: BitMap, fresh: "Confidences") -> "Confidences":
        """With the images `changed` as they are in `fresh`."""
        kept = ~np.isin(self.image_ids, to_ids(changed))
        ids = np.concatenate([self.image_ids[kept], fresh.image_ids])
        values = np.concatenate([self.values[kept], fresh.values])
        return Confidences(*_sorted(ids, values))


def reading(session: Session, tag_id: int, searchable: Callable[[int], BitMap]) -> Reading[Confidences]:
    """How the confidences of a tag are read; `searchable(revision)` are the images that count."""

    def read(revision: int, among: BitMap | None = None) -> Confidences:
        wanted = None if among is None else to_ids(among).tolist()
        ids, values = _sorted(*postings.confidences(session, tag_id, wanted))
        kept = np.isin(ids, to_ids(searchable(revision)), assume_unique=True)
        return Confidences(ids[kept], values[kept])

    def patch(known: Confidences, changed: BitMap, revision: int) -> Confidences:
        return known.patched(changed, read(revision, changed))

    return Reading(read, patch, lambda known: known.size)


def _sorted(ids: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(ids)
    return ids[order], values[order]
