"""What a query scores where it means nothing: its cosines with a fixed sample of the library.

A cosine of 0.3 says little by itself: it is much for a text and a photo, little for two photos, and every query has
its own level. How far a cosine lies above the bulk of the same query's cosines with a few thousand images taken at
random, in that bulk's standard deviations, is its *standing*. Standings of different queries and of different channels
can be compared and added.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from pyroaring import BitMap
from sqlalchemy.orm import Session

from indexer.catalog import annotations, changes
from indexer.catalog.stored_embeddings import unit
from indexer.nearest.products import products

SIZE = 4096  # images: a quantile of so many strays by less than one percent of the library
LEAST_DEVIATION = 1e-3  # of a cosine: embeddings kept in float16 tell no finer

# By channel, "image" and "caption".
Vectors = Mapping[str, np.ndarray]
Weights = Mapping[str, float]

_CLIP = 1.5  # deviations above the mean beyond which nothing is taken for background
_ROUNDS = 30
_NORMAL = NormalDist()
# Of a standard normal distribution cut off at _CLIP: how far its mean lies below 0, and its deviation.
_PULL = _NORMAL.pdf(_CLIP) / _NORMAL.cdf(_CLIP)
_NARROWED = (1 - _CLIP * _PULL - _PULL**2) ** 0.5
_LOW, _MIDDLE = 0.05, 0.25  # quantiles to begin with: background even where half the library is relevant


class Spread(NamedTuple):
    """Where the bulk of a query's scores lies, and how wide it is. `deviation` is over 0."""

    mean: float
    deviation: float


def bulk(values: np.ndarray) -> Spread:
    """Mean and deviation of the many that mean nothing, whatever the relevant ones score.

    A normal distribution is fitted to the values below its own mean plus 1.5 deviations, until that no longer moves:
    what is relevant lies above, and may be half of all. Of 1,000 values, both stray by 3 to 4 percent of a deviation.

    Args:
        values: (n,) scores; with none of them, mean 0 and deviation 1.
    """
    if not len(values):
        return Spread(0.0, 1.0)
    rising = np.sort(values.astype(np.float64))
    sums, squares = np.cumsum(rising), np.cumsum(rising**2)
    low, middle = np.quantile(rising, [_LOW, _MIDDLE])
    deviation = (middle - low) / (_NORMAL.inv_cdf(_MIDDLE) - _NORMAL.inv_cdf(_LOW))
    mean = middle - deviation * _NORMAL.inv_cdf(_MIDDLE)
    for _ in range(_ROUNDS):
        count = max(int(np.searchsorted(rising, mean + _CLIP * deviation, "right")), min(3, len(rising)))
        seen = sums[count - 1] / count
        variance = max(squares[count - 1] / count - seen**2, 0.0)
        before, deviation = deviation, max(variance**0.5 / _NARROWED, LEAST_DEVIATION)
        moved, mean = abs(mean - (seen + _PULL * deviation)), seen + _PULL * deviation
        if moved + abs(deviation - before) < LEAST_DEVIATION * deviation:
            break
    return Spread(float(mean), float(max(deviation, LEAST_DEVIATION)))


@dataclass(frozen=True)
class Sample:
    """Embeddings of the sampled images, by ascending id.

    `images` (S, D) float32; `captions` (R, D) float32, row r being of the image in row `owners[r]`. Images without an
    embedding are not part of it; one without a caption has no cosine in that channel.
    """

    ids: np.ndarray
    images: np.ndarray
    captions: np.ndarray
    owners: np.ndarray

    def cosines(self, vectors: Vectors) -> dict[str, np.ndarray]:
        """Each channel's (S,) cosines with its unit vector, of several captions the best; NaN where there is none."""
        found = {}
        if "image" in vectors:
            found["image"] = _products(self.images, vectors["image"])
        if "caption" in vectors:
            best = np.full(len(self.ids), -np.inf, np.float32)
            np.maximum.at(best, self.owners, _products(self.captions, vectors["caption"]))
            found["caption"] = np.where(np.isinf(best), np.nan, best)
        return found

    def statistics(self, vectors: Vectors) -> dict[str, Spread]:
        """Each channel's background of this query: `vectors` are unit vectors (D,) by channel."""
        cosines = self.cosines(vectors)
        return {channel: bulk(values[~np.isnan(values)]) for channel, values in cosines.items()}

    def fused(
        self, vectors: Vectors, weights: Weights, missing: Weights, bonus_ids: np.ndarray, bonus: np.ndarray
    ) -> np.ndarray:
        """(S,) fused scores as the search itself computes them: the sum of weight x cosine, and the bonus.

        Args:
            vectors: unit vectors (D,) by channel.
            weights: by channel, for one unit of cosine.
            missing: by channel, the cosine assumed where an image has none.
            bonus_ids: (K,) ascending image ids.
            bonus: (K,) what these get on top.
        """
        total = np.zeros(len(self.ids), np.float32)
        for channel, values in self.cosines(vectors).items():
            total += weights[channel] * np.where(np.isnan(values), missing[channel], values)
        _, own, other = np.intersect1d(self.ids, bonus_ids, assume_unique=True, return_indices=True)
        total[own] += bonus[other]
        return total

    def only(self, ids: np.ndarray) -> "Sample":
        """What is sampled among these ascending ids."""
        rows = np.flatnonzero(np.isin(self.ids, ids, assume_unique=True))
        mine = np.isin(self.owners, rows)
        owners = np.searchsorted(rows, self.owners[mine])
        return Sample(self.ids[rows], self.images[rows], self.captions[mine], owners)

    def joined(self, other: "Sample") -> "Sample":
        """These images and those of `other`, which are not the same."""
        if not len(self.ids) or not len(other.ids):
            return self if len(self.ids) else other
        order = np.argsort(np.concatenate([self.ids, other.ids]))
        place = np.argsort(order)
        return Sample(
            np.concatenate([self.ids, other.ids])[order],
            np.concatenate([self.images, other.images])[order],
            np.concatenate([self.captions, other.captions]),
            place[np.concatenate([self.owners, other.owners + len(self.ids)])],
        )


@dataclass
class Background:
    """Keeps the sample of one embedder's library in memory and true to it. Safe to share among threads."""

    embedder_id: int
    size: int = SIZE
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _sample: Sample | None = field(default=None, repr=False)
    _library: BitMap = field(default_factory=BitMap, repr=False)
    _revision: int = -1
    _snapshot: changes.Snapshot = ""

    def sample(self, session: Session, library: BitMap, revision: int) -> Sample:
        """The sample of `library` (image ids, before any filter).

        Of a `revision` other than last time's, the images are read that have come into the sample or changed.
        """
        with self._lock:
            if self._sample is None:
                self._snapshot = changes.snapshot(session)
                self._sample = read_sample(session, chosen(library, self.size), self.embedder_id)
            elif revision != self._revision:
                self._sample = self._refreshed(session, self._sample, library)
            self._library, self._revision = BitMap(library), revision
            return self._sample

    def _refreshed(self, session: Session, sample: Sample, library: BitMap) -> Sample:
        look = changes.look(session, self._snapshot)
        self._snapshot = look.snapshot
        before = BitMap(sample.ids.tolist())
        is_whole = not (before - library) and len(before) == min(self.size, len(self._library))
        # As long as none left, only what is new can displace what was chosen.
        ids = chosen(before | (library - self._library) if is_whole else library, self.size)
        kept = sample.only(np.setdiff1d(ids, look.image_ids))
        return kept.joined(read_sample(session, np.setdiff1d(ids, kept.ids), self.embedder_id))


def chosen(library: BitMap, size: int = SIZE) -> np.ndarray:
    """(min(size, N),) ids, ascending: those whose hash is smallest, so an image added displaces one at most."""
    ids = np.fromiter(library, np.int64, len(library))
    if len(ids) <= size:
        return ids
    return np.sort(ids[np.argpartition(_hashed(ids), size)[:size]])


def _hashed(ids: np.ndarray) -> np.ndarray:
    """(N,) uint64, as good as random: SplitMix64's finaliser ("Fast splittable pseudorandom number generators",
    Steele, Lea, Flood, OOPSLA 2014).
    """
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def read_sample(session: Session, ids: np.ndarray, embedder_id: int) -> Sample:
    """The embeddings Postgres keeps of these image ids."""
    stored = annotations.embeddings(session, ids.tolist(), embedder_id)
    kept = sorted(stored.images)
    rows = {image_id: row for row, image_id in enumerate(kept)}
    captions = [(rows[image_id], packed) for image_id, packed in stored.captions.values() if image_id in rows]
    return Sample(
        np.array(kept, np.int64),
        _unpacked([stored.images[image_id] for image_id in kept]),
        _unpacked([packed for _, packed in captions]),
        np.array([row for row, _ in captions], np.int64),
    )


def _products(rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """(n,) inner products; none have no width to compare."""
    return products(rows, vector) if len(rows) else np.zeros(0, np.float32)


def _unpacked(packed: list[bytes]) -> np.ndarray:
    """(n, D) float32 of unit length; with none, (0, 0)."""
    return unit(np.frombuffer(b"".join(packed), "<f2").reshape(len(packed), -1 if packed else 0))
