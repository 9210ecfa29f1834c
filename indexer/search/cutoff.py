"""Where hits stop: the score below which a query's answers no longer stand out from its own background."""

from itertools import pairwise
from math import erfc

import numpy as np

from indexer.search.background import bulk

TIMES_CHANCE = 2.0  # scores stand out that are so many times as frequent as chance has them
NEAR_DUPLICATE = 0.95  # cosine of two pictures from which on one may be made from the other
FEWEST = 8  # images; what fewer of them score says nothing about a background
_STEP = 0.05  # standings
_LEVELS = np.arange(0.2, 12.0, _STEP)
_BY_CHANCE = np.array([erfc(level / 2**0.5) / 2 for level in _LEVELS])


def floor(background: np.ndarray, total: int) -> float:
    """The least fused score that stands out; where none does, one that no image reaches.

    What means nothing is taken to be normally distributed around the bulk of the background. Wherever scores are
    `TIMES_CHANCE` times as frequent as that has it, at most half of the images there are chance: the local false
    discovery rate ("Large-Scale Simultaneous Hypothesis Testing", Efron, JASA 2004). The frequency that falls with
    rising chance is the slope of the least concave majorant of images found over images expected ("A unified approach
    to false discovery rate estimation", Strimmer, BMC Bioinformatics 2008), so a few far above do not carry others
    over the floor.

    Args:
        background: (S,) fused scores of a random sample of the library, before any filter.
        total: images in the library, S or more.

    Returns:
        A score; minus infinity with fewer than `FEWEST` images, of which all are shown.
    """
    if len(background) < FEWEST:
        return -float("inf")
    mean, deviation = bulk(background)
    deviation *= 1 + 1 / len(background) ** 0.5  # as wide as it may well be, a standard error and a half
    places = np.floor(((background - mean) / deviation - _LEVELS[0]) / _STEP)
    places = np.clip(places, -1, len(_LEVELS) - 1).astype(int)
    above = np.bincount(places[places >= 0], minlength=len(_LEVELS))[::-1].cumsum()[::-1]
    if len(background) < total:  # each image of a sample speaks for many: count on a standard error fewer
        above = above - np.sqrt(above)
    standing_out = np.flatnonzero(_frequencies(above, len(background) * _BY_CHANCE) >= TIMES_CHANCE)
    # Images too few to be in the sample are found where the whole library should hold none by chance.
    none_by_chance = np.flatnonzero(total * TIMES_CHANCE * _BY_CHANCE <= 1)
    lowest = min(standing_out.min(initial=len(_LEVELS) - 1), none_by_chance[0])
    return float(mean + deviation * _LEVELS[lowest])


def _frequencies(above: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """How many times as frequent as expected scores are at each level, made to rise with the level.

    Args:
        above: (levels,) images at or above each level.
        expected: (levels,) images there by chance, falling.
    """
    hull: list[tuple[float, float, int]] = [(0.0, 0.0, len(above))]
    for level in range(len(above) - 1, -1, -1):
        x, y = float(expected[level]), float(above[level])
        while len(hull) > 1 and _slope(hull[-2], (x, y)) >= _slope(hull[-2], hull[-1]):
            hull.pop()
        hull.append((x, y, level))
    slopes = np.zeros(len(above))
    for last, (x, y, level) in pairwise(hull):
        slopes[level : last[2]] = _slope(last, (x, y))
    return slopes


def _slope(start: tuple[float, ...], end: tuple[float, ...]) -> float:
    return (end[1] - start[1]) / (end[0] - start[0])
