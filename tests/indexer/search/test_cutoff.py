"""Where hits stop: on made-up scores whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.search.cutoff import FEWEST, floor


def scores(size: int, relevant: int, height: float, seed: int = 0) -> np.ndarray:
    """`size` scores of no meaning, the first `relevant` of them raised by `height` deviations."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(height, 1, relevant), rng.normal(0, 1, size - relevant)])


@pytest.mark.parametrize("size", [20, 200, 4096])
def test_nothing_stands_out_of_noise(size: int) -> None:
    """Of queries that mean nothing few images are shown, and of most queries none, however small the library."""
    kept = [int((rows >= floor(rows, size)).sum()) for rows in (scores(size, 0, 0, n) for n in range(40))]
    assert np.median(kept) == 0
    assert np.mean(kept) <= 2


@pytest.mark.parametrize(("size", "relevant"), [(20, 3), (200, 4), (200, 60), (4096, 40), (4096, 1500)])
def test_what_stands_out_is_kept(size: int, relevant: int) -> None:
    """Images far above the rest are kept whether they are a few or a third of all, and few others with them."""
    right, wrong = [], []
    for seed in range(20):
        rows = scores(size, relevant, 6, seed)
        kept = rows >= floor(rows, size)
        right.append(kept[:relevant].mean())
        wrong.append(kept[relevant:].sum() / relevant)
    assert np.mean(right) > 0.9
    assert np.mean(wrong) < 0.25


def test_a_few_far_above_do_not_carry_others_over_the_floor() -> None:
    """What is known for sure does not make the doubtful credible: the floor stays above the bulk's own tail."""
    rows = scores(1000, 100, 12)
    kept = rows >= floor(rows, 1000)
    assert kept[:100].all()
    assert kept[100:].sum() <= 10


@settings(deadline=None)
@given(shift=st.floats(-50, 50), scale=st.floats(0.05, 20), seed=st.integers(0, 50))
def test_units_do_not_matter(shift: float, scale: float, seed: int) -> None:
    """The same scores in other units are cut at the same place."""
    rows = scores(300, 12, 5, seed)
    kept = rows >= floor(rows, 300)
    moved = rows * scale + shift
    assert ((moved >= floor(moved, 300)) == kept).mean() > 0.99


def test_a_sample_speaks_for_the_library() -> None:
    """From a sample of a twentieth, the floor keeps most of what stands out in the whole, and little else."""
    rows = scores(80_000, 2_000, 6)
    sample = rows[::20]
    kept = rows >= floor(sample, len(rows))
    assert kept[:2_000].mean() > 0.95
    assert kept[2_000:].sum() < 200


def test_what_is_too_rare_for_the_sample_is_found() -> None:
    """Five images of a million, none of them sampled, stand far above: they are over the floor and noise is not."""
    sample = scores(4096, 0, 0)
    bar = floor(sample, 1_000_000)
    assert 4.5 < bar < 7


def test_too_few_images_are_all_shown() -> None:
    """Nothing can be said about the background of a handful."""
    assert floor(np.arange(FEWEST - 1.0), FEWEST - 1) == -float("inf")
    assert floor(np.zeros(0), 0) == -float("inf")


@pytest.mark.parametrize("rows", [np.zeros(50), np.r_[np.zeros(49), 1.0]])
def test_scores_that_hardly_differ(rows: np.ndarray) -> None:
    """Images all alike do not stand out from each other; a single other one does."""
    kept = rows >= floor(rows, 50)
    assert kept.tolist() == (rows > 0).tolist()
