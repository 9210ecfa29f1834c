"""The best by several lists at once, read only as deep as it takes to be certain.

The threshold algorithm (Fagin, Lotem, Naor 2003, "Optimal aggregation algorithms for middleware"): each channel
gives images by falling cosine; who gets a bonus is known from the start. Whatever has not been shown scores at most
the weighted sum of where the lists stand. Once a page's last image scores that much, the page is certain. Images are
scored exactly (the paper's random access) only while what is known of them leaves them a chance: one with a bonus that
no list has shown scores at most its bonus on top of where the lists stand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from indexer.nearest import ranking
from indexer.nearest.exact import Answer, Question, above_floor
from indexer.nearest.matrix import as_array
from indexer.nearest.ranking import Scores
from indexer.nearest.target import Channel, Target

# (channel, depth) -> image ids (n,) int64 and cosines (n,) float32, falling; fewer than `depth` when there are no more.
Reader = Callable[[Channel, int], tuple[NDArray[np.int64], NDArray[np.float32]]]


class Scorer(Protocol):
    """Exact scores of images named."""

    def score(self, target: Target, ids: NDArray[np.int64]) -> Scores:
        """Of `ids`, ascending."""
        ...


@dataclass(frozen=True)
class _Seen:
    """What the lists have shown down to one depth.

    `ids` ascending, and for each its cosines, NaN where a list has not shown it; `upper`, the most it can score;
    `sure`, whether all of it is known; `unseen`, the most any other image can score (minus infinity: no other).
    """

    ids: NDArray[np.int64]
    upper: NDArray[np.float64]
    sure: NDArray[np.bool_]
    unseen: float


def search(
    question: Question, read: Reader, scorer: Scorer, depth: int, worth: Callable[[int], int | None]
) -> tuple[Answer | None, int]:
    """The answer and the depth it took; no answer if that is more than is worth it.

    `worth(depth)` gives the depth to try after one that did not do, or `None` to give up.
    """
    answer: Answer | None = None
    scores = _Scores(question.target, scorer)
    while True:
        seen = _read(question, read, depth)
        certain = _page(question, seen, scores)
        if certain is not None:
            answer = _answer(question, seen, scores, certain)
        deeper = worth(depth) if answer is None or (not answer.exact and question.whole) else None
        if deeper is None:
            return answer, depth
        depth = deeper


class _Scores:
    """Exact scores asked for so far; none is asked for twice."""

    def __init__(self, target: Target, scorer: Scorer) -> None:
        self._target, self._scorer = target, scorer
        self._known = scorer.score(target, np.empty(0, np.int64))

    def of(self, ids: NDArray[np.int64]) -> Scores:
        """Of `ids`, in any order; returned ascending."""
        ids = np.unique(ids)
        new = np.setdiff1d(ids, self._known.ids, assume_unique=True)
        if len(new):
            self._known = _merged(self._known, self._scorer.score(self._target, new))
        return self._known.take(np.searchsorted(self._known.ids, ids))


def _merged(some: Scores, more: Scores) -> Scores:
    ids = np.concatenate([some.ids, more.ids])
    cosines = {c: np.concatenate([some.cosines[c], more.cosines[c]]) for c in some.cosines}
    merged = Scores(ids, cosines, np.concatenate([some.fused, more.fused]))
    return merged.take(np.argsort(ids))


def _read(question: Question, read: Reader, depth: int) -> _Seen:
    """Read every list down to `depth` and put together what they say of the images that count."""
    target = question.target
    lists = {channel: read(channel, depth) for channel in target.channels}
    ends = {c: _end(target, c, cosines, depth) for c, (_, cosines) in lists.items()}
    ended = all(len(ids) < depth for ids, _ in lists.values())
    shown = [ids for ids, _ in lists.values()] + [target.bonus_ids]
    ids = np.unique(np.concatenate(shown))
    ids = ids[_member(ids, question.counted)]
    if ended:  # whatever else there is has no embedding that was found: all of it is looked at
        ids = np.union1d(ids, as_array(question.counted))
    upper, sure = _upper(target, ids, lists, ends)
    unseen = sum(target.weights[c] * end for c, end in ends.items())
    return _Seen(ids, upper, sure, -np.inf if ended else unseen)


def _end(target: Target, channel: Channel, cosines: NDArray[np.float32], depth: int) -> float:
    """The most an image can have in a channel that has not shown it."""
    missing = float(target.missing.get(channel, 0.0))
    return max(missing, float(cosines[-1])) if len(cosines) >= depth else missing


def _upper(
    target: Target,
    ids: NDArray[np.int64],
    lists: Mapping[Channel, tuple[NDArray[np.int64], NDArray[np.float32]]],
    ends: Mapping[Channel, float],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The most each image can score, and whether it is known to score that (within the margin)."""
    upper = ranking.bonus_of(target, ids).astype(np.float64)
    sure = np.ones(len(ids), bool)
    for channel, (shown, cosines) in lists.items():
        # An image of several captions is shown at its best first.
        first_ids, first = np.unique(shown, return_index=True)
        places = np.minimum(np.searchsorted(first_ids, ids), max(len(first_ids) - 1, 0))
        known = first_ids[places] == ids if len(first_ids) else np.zeros(len(ids), bool)
        value = np.full(len(ids), ends[channel])
        value[known] = cosines[first[places[known]]]
        upper += target.weights[channel] * value
        sure &= known
    return upper, sure


def _page(question: Question, seen: _Seen, scores: _Scores) -> Scores | None:
    """The page, if it is certain: candidates are scored best chance first until the rest have none."""
    slack, after, limit = ranking.margin(question.target), question.after, question.limit
    eligible = _member(seen.ids, question.allowed)
    if after is not None:
        eligible &= ~seen.sure | (seen.upper <= after[0] + slack)
    ids, upper = seen.ids[eligible], seen.upper[eligible]
    order = np.argsort(-upper, kind="stable")
    count = limit + 16
    while True:
        page = ranking.page(scores.of(ids[order[:count]]), limit, after)
        last = page.fused[-1] if len(page.fused) == limit else -np.inf
        if count >= len(order):
            return page if last >= seen.unseen + slack or seen.unseen == -np.inf else None
        if last > upper[order[count]] + slack:
            return page if last >= seen.unseen + slack else None
        if upper[order[count]] < seen.unseen:  # the page would not be certain however many were scored
            return None
        count *= 2


def _answer(question: Question, seen: _Seen, scores: _Scores, page: Scores) -> Answer:
    """The page with what is known about the floor."""
    floor, slack = question.floor, ranking.margin(question.target)
    if floor is None:
        return Answer(page, question.counted, len(question.counted), True)
    surely = seen.sure & (seen.upper >= floor + slack)
    if seen.unseen + slack >= floor:
        least = max(np.count_nonzero(surely), np.count_nonzero(page.fused >= floor))
        return Answer(page, None, int(least), False)
    doubtful = scores.of(seen.ids[~surely & (seen.upper >= floor - slack)])
    above = BitMap(seen.ids[surely].astype(np.uint32)) | above_floor(question, doubtful)
    return Answer(page, above, len(above), True)


def _member(ids: NDArray[np.int64], images: BitMap) -> NDArray[np.bool_]:
    return np.isin(ids, as_array(BitMap(ids.astype(np.uint32)) & images))
