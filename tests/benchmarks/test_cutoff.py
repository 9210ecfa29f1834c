"""The figures of the cut-off's benchmark."""

import numpy as np
import pytest

from benchmarks.cutoff import best_threshold, figures

TRUTH = np.array([[True, True, False, False], [False, False, False, True]])


def test_figures_are_averaged_over_words() -> None:
    """One word found by half with one wrong, another not found at all."""
    kept = np.array([[True, False, True, False], [False, False, False, False]])
    assert figures(kept, TRUTH) == pytest.approx((0.25, 0.25, 0.25))
    assert figures(TRUTH, TRUTH) == (1, 1, 1)
    assert figures(np.ones_like(TRUTH), TRUTH)[0] == pytest.approx((2 / 4 + 1 / 4) / 2)


def test_the_best_threshold_is_found() -> None:
    """Where one threshold separates every word, it lies between."""
    scores = np.where(TRUTH, 2.0, 1.0) + np.linspace(0, 0.1, 8).reshape(2, 4)
    threshold = best_threshold(scores, TRUTH)
    assert figures(scores >= threshold, TRUTH)[2] == 1
