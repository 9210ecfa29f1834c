"""Embeddings held in memory: float32 rows by channel, and which rows are an image's.

A matrix never changes once made, so searches need no lock. What changes is written to fresh rows behind those a
matrix can see, and a new matrix is made of the same memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from indexer.nearest.products import products
from indexer.nearest.ranking import Scores, scored
from indexer.nearest.stored import cosines
from indexer.nearest.target import Channel, Target

T = TypeVar("T", np.float32, np.float64)
_SCORED_AT_ONCE = 8_192
_FEW = 16  # below one in so many, looking ids up is quicker than comparing all of them


@dataclass(frozen=True)
class ChannelRows:
    """One channel: `vectors` (used, D) float32; image k's rows are `rows[start[k]:start[k + 1]]`.

    `rows` is `None` where that is simply k: one row an image, in order.
    """

    vectors: NDArray[np.float32]
    rows: NDArray[np.int64] | None
    start: NDArray[np.int64]

    def scan(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Every image's best cosine (n,), NaN where it has no row; a little inexact, as BLAS is."""
        values = products(self.vectors, vector)
        if self.rows is None:
            return values
        return _best(values[self.rows], self.start)

    def gather(self, places: NDArray[np.intp], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `scan`, of the images at `places` only."""
        if self.rows is None:
            return products(self.vectors[places], vector)
        rows, start = self._rows_of(places)
        return _best(products(self.vectors[rows], vector), start)

    def exact(self, places: NDArray[np.intp], vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """As `gather`, in the one way that decides."""
        best = np.empty(len(places))
        for first in range(0, len(places), _SCORED_AT_ONCE):
            part = places[first : first + _SCORED_AT_ONCE]
            rows, start = self._rows_of(part)
            best[first : first + len(part)] = _best(cosines(self.vectors[rows], vector), start)
        return best

    def _rows_of(self, places: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if self.rows is None:
            return places, np.arange(len(places) + 1)
        counts = self.start[places + 1] - self.start[places]
        start = np.concatenate([[0], np.cumsum(counts)])
        within = np.arange(start[-1]) - np.repeat(start[:-1], counts)
        return self.rows[np.repeat(self.start[places], counts) + within], start


@dataclass(frozen=True)
class EmbeddingMatrix:
    """Images `ids` (n,) int64 ascending, also as the set `held`, and their rows by channel."""

    ids: NDArray[np.int64]
    held: BitMap
    channels: Mapping[Channel, ChannelRows]

    def places(self, asked: BitMap) -> NDArray[np.intp]:
        """Where in `ids` the images asked for are, ascending; those not held are left out."""
        known = asked & self.held
        if len(known) == len(self.held):
            return np.arange(len(self.ids))
        wanted = as_array(known)
        if len(wanted) * _FEW < len(self.ids):
            return np.searchsorted(self.ids, wanted)
        return np.flatnonzero(np.isin(self.ids, wanted, assume_unique=True))

    def score(self, target: Target, ids: NDArray[np.int64]) -> Scores:
        """Exact scores of any images, held or not."""
        places = np.minimum(np.searchsorted(self.ids, ids), max(len(self.ids) - 1, 0))
        held = self.ids[places] == ids if len(self.ids) else np.zeros(len(ids), bool)
        found = {}
        for channel in target.channels:
            values = np.full(len(ids), np.nan)
            values[held] = self.channels[channel].exact(places[held], target.vectors[channel])
            found[channel] = values
        return scored(target, ids, found)


def as_array(images: BitMap) -> NDArray[np.int64]:
    """The ids of a set (n,) int64, ascending."""
    return np.frombuffer(images.to_array(), np.uint32).astype(np.int64)


def _best(values: NDArray[T], start: NDArray[np.int64]) -> NDArray[T]:
    """The greatest of each run `values[start[k]:start[k + 1]]`; NaN for an empty one."""
    filled = np.flatnonzero(np.diff(start) > 0)
    best = np.full(len(start) - 1, np.nan, values.dtype)
    if len(filled):
        best[filled] = np.maximum.reduceat(values, start[filled])
    return best
