"""Which images make a page: scores that differ by rounding between plans, and an order that does not.

Scans are quick and a little inexact: float32, summed in whatever order the library likes. They only nominate.
What is nominated, with a margin, is scored again in one way (`Scores`), and that alone decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.nearest.target import DECIMALS, Channel, Key, Target

COSINE_ERROR = 1e-5  # how far a scan's or Milvus's float32 cosine may be from the true one


@dataclass(frozen=True)
class Scores:
    """Images ids (n,) int64, cosines (n,) float64 by channel, fused (n,) float64 rounded to `DECIMALS`."""

    ids: NDArray[np.int64]
    cosines: Mapping[Channel, NDArray[np.float64]]
    fused: NDArray[np.float64]

    def take(self, positions: NDArray[np.intp]) -> "Scores":
        """Some of the images, in the order given."""
        cosines = {channel: values[positions] for channel, values in self.cosines.items()}
        return Scores(self.ids[positions], cosines, self.fused[positions])


def scored(target: Target, ids: NDArray[np.int64], cosines: Mapping[Channel, NDArray[np.float64]]) -> Scores:
    """Exact cosines fused: NaN, where an image has no embedding, becomes what the target says."""
    filled = {
        channel: np.where(np.isnan(values), target.missing.get(channel, 0.0), values)
        for channel, values in cosines.items()
    }
    fused = bonus_of(target, ids).astype(np.float64)
    for channel in target.channels:
        fused += target.weights[channel] * filled[channel]
    return Scores(ids, filled, np.round(fused, DECIMALS))


def bonus_of(target: Target, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """What each image gets on top of its cosines, (n,) float32, mostly 0."""
    if not len(target.bonus_ids):
        return np.zeros(len(ids), np.float32)
    places = np.minimum(np.searchsorted(target.bonus_ids, ids), len(target.bonus_ids) - 1)
    return np.where(target.bonus_ids[places] == ids, target.bonus[places], np.float32(0))


def margin(target: Target) -> float:
    """By how much a nominating score may differ from the exact one."""
    top = float(target.bonus.max()) if len(target.bonus) else 0.0
    return COSINE_ERROR * target.reach + 1e-6 * top + 10.0**-DECIMALS


def shortlist(rough: NDArray[np.float32], limit: int, after: Key | None, slack: float) -> NDArray[np.intp]:
    """Positions of all that may be among the first `limit` strictly after the cursor; `slack` as `margin`."""
    if after is None:
        return _at_least(rough, _greatest(rough, limit) - 2 * slack)
    behind = np.flatnonzero(rough <= after[0] + slack)
    # Those about the cursor may turn out to be before it: as many more are nominated.
    about = int(np.count_nonzero(rough[behind] >= after[0] - slack))
    return behind[_at_least(rough[behind], _greatest(rough[behind], limit + about) - 2 * slack)]


def page(scores: Scores, limit: int, after: Key | None) -> Scores:
    """The first `limit` after the cursor, by falling fused score, then by id."""
    order = np.lexsort((scores.ids, -scores.fused))
    if after is not None:
        fused, ids = scores.fused[order], scores.ids[order]
        order = order[(fused < after[0]) | ((fused == after[0]) & (ids > after[1]))]
    return scores.take(order[:limit])


def _greatest(values: NDArray[np.float32], count: int) -> float:
    """The value of rank `count`, or less than any if there are not so many."""
    if count < 1:
        return np.inf
    if count >= len(values):
        return -np.inf
    return float(np.partition(values, len(values) - count)[len(values) - count])


def _at_least(values: NDArray[np.float32], bound: float) -> NDArray[np.intp]:
    return np.flatnonzero(values >= bound)
