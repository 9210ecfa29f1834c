"""Every image scored from the embeddings in memory: a scan of all, or of the rows of those that pass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from indexer.nearest import ranking
from indexer.nearest.matrix import EmbeddingMatrix, as_array
from indexer.nearest.ranking import Scores
from indexer.nearest.target import Key, Target

GATHER_BELOW = 0.1  # share of the rows up to which fetching some is quicker than scanning all


@dataclass(frozen=True)
class Question:
    """A search made definite: of the `library`, the images `allowed` may be returned, and those `counted`, which are
    the same or the whole library, are held against the floor.
    """

    target: Target
    library: BitMap
    allowed: BitMap
    counted: BitMap
    limit: int
    after: Key | None
    floor: float | None

    @property
    def whole(self) -> bool:
        """Whether more is counted than may be returned."""
        return self.counted is not self.allowed


@dataclass(frozen=True)
class Answer:
    """A page of exact scores, and what is at or above the floor: see `target.Found`."""

    page: Scores
    above: BitMap | None
    above_count: int
    exact: bool


def gathers(matrix: EmbeddingMatrix, question: Question) -> bool:
    """Whether the rows of those that count are few enough to be fetched one by one."""
    return len(question.counted) <= GATHER_BELOW * len(matrix.ids)


def search(matrix: EmbeddingMatrix, question: Question) -> Answer:
    """The answer from memory. Nothing about it is approximate."""
    target = question.target
    places = matrix.places(question.counted)
    strays = as_array(question.counted - matrix.held)
    ids = np.concatenate([matrix.ids[places], strays])
    rough = _rough(matrix, question, places, len(strays))
    rough += ranking.bonus_of(target, ids)
    slack = ranking.margin(target)
    eligible = _eligible(question, ids)
    listed = ranking.shortlist(rough[eligible], question.limit, question.after, slack)
    nominated = matrix.score(target, ids[eligible][listed])
    above = _above(matrix, question, ids, rough, slack)
    return Answer(ranking.page(nominated, question.limit, question.after), above, len(above), True)


def above_floor(question: Question, scores: Scores) -> BitMap:
    """Of exact scores, the ids at or above the floor."""
    if question.floor is None:
        return question.counted
    return BitMap(scores.ids[scores.fused >= question.floor].astype(np.uint32))


def _rough(
    matrix: EmbeddingMatrix, question: Question, places: NDArray[np.intp], strays: int
) -> NDArray[np.float32]:
    """Fused scores without bonus, of the images at `places`, then of `strays` that have no embedding."""
    target, gather = question.target, gathers(matrix, question)
    rough = np.zeros(len(places) + strays, np.float32)
    for channel in target.channels:
        rows, vector = matrix.channels[channel], target.vectors[channel]
        missing = np.float32(target.missing.get(channel, 0.0))
        values = rows.gather(places, vector) if gather else rows.scan(vector)
        if not gather and len(places) < len(values):
            values = values[places]
        if rows.rows is not None:
            values = np.where(np.isnan(values), missing, values)
        rough[: len(places)] += np.float32(target.weights[channel]) * values
        rough[len(places) :] += np.float32(target.weights[channel]) * missing
    return rough


def _eligible(question: Question, ids: NDArray[np.int64]) -> NDArray[np.intp] | slice:
    if not question.whole:
        return slice(None)
    return np.flatnonzero(np.isin(ids, as_array(question.allowed), assume_unique=True))


def _above(
    matrix: EmbeddingMatrix,
    question: Question,
    ids: NDArray[np.int64],
    rough: NDArray[np.float32],
    slack: float,
) -> BitMap:
    if question.floor is None:
        return question.counted
    above = BitMap(ids[rough >= question.floor + slack].astype(np.uint32))
    doubtful = ids[np.abs(rough - question.floor) < slack]
    return above | above_floor(question, matrix.score(question.target, doubtful))
