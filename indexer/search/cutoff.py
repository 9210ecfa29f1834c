"""Where hits stop: the score below which a query's answers no longer stand out from its own background."""

from statistics import NormalDist

import numpy as np

from indexer.search.background import bulk

FALSE_SHARE = 0.5  # of the images at the floor, about this many are there by chance
_GRID = np.linspace(0.0, 8.0, 321)  # standings, in fortieths of a deviation
_BY_CHANCE = np.array([1 - NormalDist().cdf(z) for z in _GRID])


def floor(background: np.ndarray, total: int, whole: np.ndarray | None = None) -> float:
    """The least fused score that stands out; infinite where none does.

    What means nothing is taken to be normally distributed around the bulk of the background. Of the images above a
    score, that distribution expects a certain number by chance; the floor is the lowest score for which that is at
    most the share `FALSE_SHARE` of those that are there ("Large-Scale Simultaneous Hypothesis Testing", Efron 2004).

    Args:
        background: (S,) fused scores of a random sample of the library, before any filter.
        total: images in the library.
        whole: (N,) fused scores of the whole library, where they are known.
    """
    if not len(background):
        return float("inf")
    mean, deviation = bulk(background)
    seen = np.sort(background if whole is None else whole)
    levels = mean + deviation * _GRID
    there = (len(seen) - np.searchsorted(seen, levels)) / len(seen)
    if (
        whole is None
    ):  # few relevant images may have missed the sample: expect one where chance expects half of one
        there = np.maximum(there, 1 / total)
    standing_out = np.flatnonzero((FALSE_SHARE * there >= _BY_CHANCE) & (there > 0))
    return float(levels[standing_out[0]]) if len(standing_out) else float("inf")
