"""What a query scores where it means nothing: its cosines with a fixed sample of the library.

A cosine of 0.3 says little by itself: it is much for a text and a photo, little for two photos, and every query has
its own level. How far a cosine lies above the same query's cosines with a few thousand images taken at random, in
their standard deviations, is its *standing*; standings of different queries and channels can be compared and added.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pyroaring import BitMap
from sqlalchemy.orm import Session

from indexer.catalog import annotations

SIZE = 4096  # a quantile of the sample then strays by less than 1 % of the library

# By channel, "image" and "caption": unit vectors (D,), weights, or whatever else both have.
Vectors = Mapping[str, np.ndarray]
Weights = Mapping[str, float]


class Spread(NamedTuple):
    """Where the bulk of a query's cosines lies, and how wide it is. `deviation` is over 0."""

    mean: float
    deviation: float


LEAST_DEVIATION = 1e-3  # a cosine's: float16 embeddings tell no finer
_MAD = 1.4826  # median absolute deviation -> standard deviation, of a normal distribution


def bulk(values: np.ndarray) -> Spread:
    """Centre and deviation of the many that mean nothing, whatever the few relevant ones score.

    The median, and the median distance below it: what is relevant lies above. Infinitely wide with no values.
    """
    if not len(values):
        return Spread(0.0, 1.0)
    middle = float(np.median(values))
    below = middle - values[values <= middle]
    return Spread(middle, max(_MAD * float(np.median(below)), LEAST_DEVIATION))


@dataclass(frozen=True)
class Sample:
    """Embeddings of the sampled images, ascending by id.

    `images` (S, D) float32; `captions` (R, D) float32, row r being of the image in row `owners[r]`. An image without
    one in a channel (NaN row, no caption) has no cosine there.
    """

    ids: np.ndarray
    images: np.ndarray
    captions: np.ndarray
    owners: np.ndarray

    def cosines(self, vectors: Vectors) -> dict[str, np.ndarray]:
        """Each channel's (S,) cosines with its unit vector, of several captions the best; NaN where there is none."""
        found = {}
        if "image" in vectors:
            found["image"] = self.images @ vectors["image"]
        if "caption" in vectors:
            best = np.full(len(self.ids), -np.inf, np.float32)
            np.maximum.at(best, self.owners, self.captions @ vectors["caption"])
            found["caption"] = np.where(np.isinf(best), np.nan, best)
        return found

    def statistics(self, vectors: Vectors) -> dict[str, Spread]:
        """Each channel's background of this query."""
        cosines = self.cosines(vectors)
        return {channel: bulk(values[~np.isnan(values)]) for channel, values in cosines.items()}

    def fused(
        self,
        vectors: Vectors,
        weights: Weights,
        missing: Weights,
        bonus_ids: np.ndarray,
        bonus: np.ndarray,
    ) -> np.ndarray:
        """(S,) fused scores, as the search itself computes them: sum of weight x cosine, and the bonus.

        Args:
            vectors: the query, by channel.
            weights: by channel, for one unit of cosine.
            missing: the cosine assumed where an image has none, by channel.
            bonus_ids: (K,) ascending image ids.
            bonus: (K,) what these get on top.
        """
        total = np.zeros(len(self.ids), np.float32)
        for channel, values in self.cosines(vectors).items():
            total += weights[channel] * np.where(np.isnan(values), missing[channel], values)
        _, own, other = np.intersect1d(self.ids, bonus_ids, assume_unique=True, return_indices=True)
        total[own] += bonus[other]
        return total


class Background:
    """Keeps the sample of one embedder's library in memory. Safe to share among threads."""

    def __init__(self, embedder_id: int, size: int = SIZE) -> None:
        self._embedder_id = embedder_id
        self._size = size
        self._lock = threading.Lock()
        self._revision: int | None = None
        self._sample: Sample | None = None

    def sample(self, session: Session, library: BitMap, revision: int) -> Sample:
        """The sample of `library` (image ids), read again when `revision` is another than last time's."""
        with self._lock:
            if self._sample is None or revision != self._revision:
                self._sample = read_sample(session, chosen(library, self._size), self._embedder_id)
                self._revision = revision
            return self._sample


def chosen(library: BitMap, size: int = SIZE) -> np.ndarray:
    """(min(size, N),) ids, ascending: those whose hash is smallest, so an image added displaces one at most."""
    ids = np.fromiter(library, np.int64, len(library))
    if len(ids) <= size:
        return ids
    return np.sort(ids[np.argpartition(_hashed(ids), size)[:size]])


def _hashed(ids: np.ndarray) -> np.ndarray:
    """(N,) uint64, as good as random: the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def read_sample(session: Session, ids: np.ndarray, embedder_id: int) -> Sample:
    """The embeddings Postgres keeps of these ascending image ids; images without one are left out."""
    stored = annotations.embeddings(session, ids.tolist(), embedder_id)
    kept = sorted(stored.images)
    rows = {image_id: row for row, image_id in enumerate(kept)}
    captions = [(rows[image_id], packed) for image_id, packed in stored.captions.values() if image_id in rows]
    images = [annotations.unpack(stored.images[image_id]) for image_id in kept]
    width = len(images[0]) if images else 0
    return Sample(
        np.array(kept, np.int64),
        np.stack(images) if images else np.zeros((0, width), np.float32),
        np.stack([annotations.unpack(packed) for _, packed in captions])
        if captions
        else np.zeros((0, width), np.float32),
        np.array([row for row, _ in captions], np.int64),
    )
