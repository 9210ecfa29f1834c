"""What is looked for, what was found, and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from indexer.errors import QueryError

Channel = Literal["image", "caption"]
PlanName = Literal["exact", "stored", "ids", "overfetch", "stream", "bonus"]
Key = tuple[float, int]  # (fused, image id): where a page ended

CHANNELS: tuple[Channel, ...] = ("image", "caption")
DECIMALS = 6  # fused scores are compared and reported to this many, so that no order hangs on float rounding


@dataclass(frozen=True)
class Target:
    """What to look for: fused(image) = sum of weights[c] * cosine_c(image) + bonus(image).

    Attributes:
        vectors: for each channel asked, a unit vector (D,) float32; a channel left out counts nothing.
        weights: what one unit of cosine is worth in each channel, >= 0.
        missing: the cosine assumed in a channel where an image has no embedding, 0 unless given.
        bonus_ids: (K,) int64, ascending, no id twice: images worth more than their cosines say.
        bonus: (K,) float32 >= 0, what each of those gets on top.

    An image with several captions counts its best. Raises `QueryError` if the parts do not fit each other.
    """

    vectors: Mapping[Channel, NDArray[np.float32]]
    weights: Mapping[Channel, float]
    missing: Mapping[Channel, float] = field(default_factory=dict)
    bonus_ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    bonus: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    def __post_init__(self) -> None:
        if any(not (np.isfinite(self.weights[c]) and self.weights[c] >= 0) for c in self.vectors):
            raise QueryError(f"Weights of channels are finite and not negative, not {dict(self.weights)}.")
        if len(self.bonus_ids) != len(self.bonus) or (np.diff(self.bonus_ids) <= 0).any():
            raise QueryError("A bonus goes to ids that ascend, one value an id.")
        if len(self.bonus) and not (np.isfinite(self.bonus).all() and self.bonus.min() >= 0):
            raise QueryError("A bonus is finite and not negative.")

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels whose cosines matter: asked and of some weight."""
        return tuple(c for c in CHANNELS if c in self.vectors and self.weights[c] > 0)

    @property
    def reach(self) -> float:
        """The sum of the weights in use: by how much fused can change when every cosine changes by one."""
        return sum(self.weights[c] for c in self.channels)


@dataclass(frozen=True)
class Plan:
    """How a search was answered.

    Attributes:
        name: `exact` scans the embeddings held in memory; `stored` scores the few that pass, read from Postgres;
            `ids` pushes the passing ids to Milvus; `overfetch` filters what Milvus finds without a filter;
            `stream` reads every stored embedding; `bonus` compares no embeddings, as there is no way to, and goes by
            the bonuses alone.
        estimates_ms: what each plan that was possible was expected to take.
        took_ms: what this one took.
        detail: facts of the run: rows scored, depth reached, whether Milvus was away, why a plan was left.
    """

    name: PlanName
    estimates_ms: Mapping[PlanName, float]
    took_ms: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """One page of the nearest images, by falling fused score, ties by id.

    Attributes:
        ids: (n,) int64.
        fused: (n,) float64, rounded to `DECIMALS`; the next page starts after `(fused[-1], ids[-1])`.
        scores: each asked channel's cosines (n,) float32; `Target.missing` where there is no embedding.
        above: the images asked about (or the whole library's) with fused >= floor; all of them without a
            floor; `None` when the plan has not seen them all.
        above_count: how many those are; when `above` is None, how many were seen, so at least so many exist.
        exact: whether `above_count` is all there are.
        plan: how it was done.
    """

    ids: NDArray[np.int64]
    fused: NDArray[np.float64]
    scores: Mapping[Channel, NDArray[np.float32]]
    above: BitMap | None
    above_count: int
    exact: bool
    plan: Plan
