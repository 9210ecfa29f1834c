"""Groups of images that are one picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.search import duplicates
from indexer.search.duplicates import groups


def _rows(*angles: float) -> np.ndarray:
    """Unit vectors (N, 2) in a plane: the cosine of two is that of the angle between them, in degrees."""
    radians = np.radians(angles)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def _ids(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64) + 100


def test_groups_and_what_stands_alone() -> None:
    """Images near each other are together, the most alike group first; one alone is in none."""
    found = groups(_ids(5), _rows(0, 2, 90, 91, 45), 0.99)
    assert [group.ids for group in found] == [(102, 103), (100, 101)]
    assert [group.similarity for group in found] == pytest.approx(
        [np.cos(np.radians(a)) for a in (1, 2)], abs=1e-6
    )


def test_a_chain_is_taken_apart() -> None:
    """Steps of ten degrees lead from 0 to 30: each group is what is near its own first, who comes first of all left."""
    found = groups(_ids(4), _rows(0, 30, 10, 20), np.cos(np.radians(10.1)))
    assert {group.ids for group in found} == {(100, 102), (101, 103)}
    found = groups(_ids(4), _rows(10, 0, 20, 30), np.cos(np.radians(10.1)))
    assert [group.ids for group in found] == [(100, 101, 102)]
    assert found[0].similarity == pytest.approx(np.cos(np.radians(20)), abs=1e-6)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_to_be_twice(count: int) -> None:
    """Nothing, or one image, has no duplicates."""
    assert groups(_ids(count), _rows(*range(count)).reshape(count, 2), 0.5) == []


def _by_hand(ids: np.ndarray, embeddings: np.ndarray, threshold: float) -> set[tuple[int, ...]]:
    """Each image in turn takes those near it that none before has taken."""
    near = embeddings @ embeddings.T >= threshold
    found, left = set(), list(range(len(ids)))
    while left:
        first = left[0]
        taken = [row for row in left if row == first or near[first, row]]
        left = [row for row in left if row not in taken]
        if len(taken) > 1:
            found.add(tuple(int(ids[row]) for row in taken))
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 60), st.integers(1, 20), st.floats(0.3, 0.99))
def test_blocks_do_not_matter(seed: int, count: int, block: int, threshold: float) -> None:
    """Compared block by block, the groups are those found one by one; each tells its least similarity."""
    rows = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_BLOCK", block)
        found = groups(_ids(count), rows, threshold)
    assert {group.ids for group in found} == _by_hand(_ids(count), rows, threshold)
    assert sum(len(group.ids) for group in found) == len({i for group in found for i in group.ids})
    for group in found:
        members = rows[np.array(group.ids) - 100]
        assert group.similarity == pytest.approx(float((members @ members.T).min()), abs=1e-5)
    assert [g.similarity for g in found] == sorted((g.similarity for g in found), reverse=True)
