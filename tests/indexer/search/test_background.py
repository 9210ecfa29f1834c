"""The background of a query, and the sample it is taken from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import annotations, images
from indexer.search.background import Background, Sample, bulk, chosen, read_sample
from tests import catalogue


@pytest.mark.parametrize("relevant", [0.0, 0.02, 0.1, 0.3, 0.45])
def test_the_bulk_is_what_means_nothing(relevant: float) -> None:
    """Mean and deviation are those of the irrelevant, be the relevant ones almost as many."""
    rng = np.random.default_rng(1)
    many = int(4096 * relevant)
    spread = bulk(np.r_[rng.normal(0.2, 0.05, 4096 - many), rng.normal(0.5, 0.05, many)])
    assert spread.mean == pytest.approx(0.2, abs=0.01)
    assert spread.deviation == pytest.approx(0.05, rel=0.15)


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), max_size=60))
def test_any_scores_have_a_bulk(values: list[float]) -> None:
    """However few or alike they are, the deviation is a positive number to divide by."""
    spread = bulk(np.array(values, np.float32))
    assert np.isfinite(spread).all()
    assert spread.deviation > 0


@settings(deadline=None)
@given(st.sets(st.integers(1, 10**7), min_size=60, max_size=120), st.integers(10**7, 2**32 - 1))
def test_the_sample_is_stable(ids: set[int], new: int) -> None:
    """An image added displaces at most one; one that was not sampled can go without any trace."""
    before = set(chosen(BitMap(ids), 50).tolist())
    after = set(chosen(BitMap(ids | {new}), 50).tolist())
    assert len(before) == len(after) == 50
    assert len(before - after) <= 1
    assert after - before <= {new}
    assert set(chosen(BitMap(before), 50).tolist()) == before


def test_the_sample_is_fair() -> None:
    """Ids given in order are sampled evenly from first to last."""
    ids = chosen(BitMap(range(1, 100_001)), 4096)
    counts = np.histogram(ids, bins=8, range=(1, 100_001))[0]
    assert counts.min() > 400
    assert (np.diff(ids) > 0).all()


def test_scores_of_the_sample_are_those_of_a_search() -> None:
    """The best of several captions counts, what is missing counts as told, and a bonus is added."""
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(7, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    sample = Sample(np.array([3, 5, 9]), rows[:3], rows[3:6], np.array([0, 0, 2]))
    query = rows[6]
    vectors = {"image": query, "caption": query}
    weights, missing = {"image": 2.0, "caption": 0.5}, {"image": 0.0, "caption": 0.1}
    fused = sample.fused(vectors, weights, missing, np.array([5, 6]), np.array([4.0, 1.0], np.float32))
    best = max(float(rows[3] @ query), float(rows[4] @ query))
    assert fused[0] == pytest.approx(2 * float(rows[0] @ query) + 0.5 * best, abs=1e-5)
    assert fused[1] == pytest.approx(2 * float(rows[1] @ query) + 0.5 * 0.1 + 4, abs=1e-5)
    assert np.isnan(sample.cosines(vectors)["caption"][1])
    assert set(sample.statistics(vectors)) == {"image", "caption"}


def test_the_background_follows_the_library(sessions: "sessionmaker[Session]") -> None:
    """After images came, went and were embedded anew, what is held is what would be read afresh."""
    with sessions.begin() as session:
        by = catalogue.annotators(session)
        ids = [catalogue.add_indexed(session, by=by) for _ in range(12)]
    held = Background(by.embedder, size=8)
    with sessions() as session:
        held.sample(session, BitMap(ids), 1)
    with sessions.begin() as session:
        ids += [catalogue.add_indexed(session, by=by) for _ in range(6)]
        again = catalogue.annotation(
            ids[0], image_embedding=annotations.pack(catalogue.embedding(77)[None])[0]
        )
        annotations.save(session, [again], by)
        images.remove(session, ids[3:5])
    library = BitMap(ids) - BitMap(ids[3:5])
    with sessions() as session:
        found = held.sample(session, library, 2)
        fresh = read_sample(session, chosen(library, 8), by.embedder)
    assert found.ids.tolist() == fresh.ids.tolist()
    np.testing.assert_allclose(found.images, fresh.images)
    query = catalogue.embedding(5)
    np.testing.assert_allclose(
        found.cosines({"caption": query})["caption"], fresh.cosines({"caption": query})["caption"]
    )


def test_an_empty_library_has_an_empty_sample(sessions: "sessionmaker[Session]") -> None:
    """There is something to compare with nothing: no scores, and a spread to divide by."""
    held = Background(1)
    with sessions() as session:
        sample = held.sample(session, BitMap(), 1)
    spreads = sample.statistics(dict.fromkeys(("image", "caption"), catalogue.embedding(1)))
    assert len(sample.ids) == 0
    assert all(spread.deviation == 1 for spread in spreads.values())
