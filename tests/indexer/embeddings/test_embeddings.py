"""Embeddings in a real Milvus: exact under any filter where its index is, and replaced, deleted and listed as told."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer import embeddings, local_stack
from indexer.embeddings import EmbeddingStore, InvalidEmbedding, Rows
from indexer.errors import QueryError
from tests.indexer.embeddings.known_rows import (
    CAPTIONS_EACH,
    DIMENSION,
    IMAGES,
    Filled,
    captions,
    captions_of,
    comes_to_hold,
    exact,
    image_ids,
    open_store,
    unit,
)


def test_nearest_images_come_first_with_their_cosine(filled: Filled) -> None:
    """Equal to numpy's inner products."""
    query = unit(1, seed=2)[0]
    ids, scores = filled.store.nearest("images", query, 10)
    assert ids.tolist() == exact(filled.images, query, range(IMAGES), 10)
    assert scores == pytest.approx(filled.images[ids] @ query, abs=1e-5)
    assert (ids.dtype, scores.dtype) == (np.int64, np.float32)


def test_captions_lead_to_their_images(filled: Filled) -> None:
    """Several captions of an image are separate hits, each naming the image."""
    query = filled.captions[31]
    ids, scores = filled.store.nearest("captions", query, 5)
    best = exact(filled.captions, query, range(len(filled.captions)), 5)
    assert ids.tolist() == [caption // CAPTIONS_EACH for caption in best]
    assert ids[0] == 31 // CAPTIONS_EACH
    assert scores == pytest.approx(filled.captions[best] @ query, abs=1e-5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    among=st.sets(st.integers(0, IMAGES + 20), max_size=IMAGES),
    limit=st.integers(1, 50),
    seed=st.integers(0, 1000),
)
def test_a_filter_never_loses_a_hit(filled: Filled, among: set[int], limit: int, seed: int) -> None:
    """Whatever ids are allowed, known or not, both channels of an exact index answer as numpy does."""
    query = unit(1, seed)[0]
    known = sorted(image for image in among if image < IMAGES)
    images, _ = filled.store.nearest("images", query, limit, list(among))
    assert images.tolist() == exact(filled.images, query, known, limit)
    captions, _ = filled.store.nearest("captions", query, limit, list(among))
    best = exact(filled.captions, query, captions_of(known), limit)
    assert captions.tolist() == [caption // CAPTIONS_EACH for caption in best]


def test_nothing_allowed_means_no_hits(store: EmbeddingStore) -> None:
    """An empty filter is not an absent one."""
    store.upsert_images([1], unit(1))
    assert len(store.nearest("images", unit(1)[0], 5, [])[0]) == 0
    assert comes_to_hold(lambda: len(store.nearest("images", unit(1)[0], 5, None)[0]) == 1)
    assert len(store.nearest("captions", unit(1)[0], 5, None)[0]) == 0


@pytest.mark.parametrize("limit", [0, -1, embeddings.MAX_LIMIT + 1])
def test_a_limit_out_of_range_is_refused(filled: Filled, limit: int) -> None:
    """Milvus returns at most 16,384 rows; a quietly shortened answer would look complete."""
    with pytest.raises(QueryError, match=r"16384"):
        filled.store.nearest("images", unit(1)[0], limit)


def test_a_second_upsert_replaces(store: EmbeddingStore) -> None:
    """Of one id there is one row, the last given, within a batch as across batches."""
    first, second, third = unit(3)
    store.upsert_images([7, 8, 7], np.stack([first, first, second]))
    assert comes_to_hold(lambda: store.nearest("images", second, 1)[0].tolist() == [7])
    assert store.nearest("images", second, 1)[1] == [pytest.approx(1, abs=1e-5)]
    store.upsert_images([7], third[None])
    assert image_ids(store) == [7, 8]
    assert comes_to_hold(lambda: store.nearest("images", third, 1)[1] == [pytest.approx(1, abs=1e-5)])
    assert store.nearest("images", third, 1)[0] == [7]
    store.upsert_captions([1, 1], [7, 8], np.stack([first, second]))
    assert captions(store) == [(1, 8)]


def test_deleting_images_takes_their_captions_along(store: EmbeddingStore) -> None:
    """Both collections forget; ids that are not there do not matter."""
    store.upsert_images([1, 2, 3], unit(3))
    store.upsert_captions([10, 11, 20, 30], [1, 1, 2, 3], unit(4))
    store.delete_images([1, 3, 99])
    assert image_ids(store) == [2]
    assert captions(store) == [(20, 2)]
    store.delete_captions([20, 99])
    assert (store.count("images"), store.count("captions")) == (1, 0)


def test_every_id_is_listed_once_however_many(stack: local_stack.Endpoints) -> None:
    """Past the bound on one answer, in bounded memory, flushed or not."""
    store = open_store(stack.milvus_url, dimension=2)
    store.ensure()
    rows = embeddings.MAX_LIMIT + 700
    store.upsert_images(range(rows), np.repeat(unit(1, dimension=2), rows, axis=0))
    assert image_ids(store) == list(range(rows))
    assert store.count("images") == rows


def test_what_is_held_comes_back_bit_by_bit(filled: Filled) -> None:
    """By range and by id, image and captions, and nothing of other images."""
    for held in (filled.store.between(20, 23), filled.store.of([20, 21, 22, IMAGES + 5])):
        assert sorted(held.image_ids) == [20, 21, 22]
        assert sorted(held.caption_ids) == captions_of([20, 21, 22])
        assert (held.images == filled.images[held.image_ids]).all()
        assert (held.captions == filled.captions[held.caption_ids]).all()
        assert [c // CAPTIONS_EACH for c in held.caption_ids] == list(held.owners)


def test_replacing_leaves_exactly_what_is_given(store: EmbeddingStore) -> None:
    """Of the images named: new rows, changed rows, none any more; others are not touched."""
    store.upsert_images([1, 2, 3], unit(3))
    store.upsert_captions([10, 11, 20, 30], [1, 1, 2, 3], unit(4))
    new = unit(3, seed=9)
    store.replace(Rows([1], new[:1], [11, 12], [1, 1], new[1:]), only=[1, 2])
    assert image_ids(store) == [1, 3]
    assert captions(store) == [(11, 1), (12, 1), (30, 3)]
    assert (store.of([1]).images == new[:1]).all()


def test_little_and_recent_is_not_flushed(
    lite: local_stack.Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush for each single image would leave as many little files; many rows or old ones are worth one."""
    store = open_store(lite.milvus_url)
    store.ensure()
    flushes: list[None] = []
    monkeypatch.setattr(EmbeddingStore, "flush", lambda _: flushes.append(None))
    store.rest()
    store.upsert_images([1], unit(1))
    store.rest()
    assert flushes == []
    store.upsert_images(range(100), unit(100))
    store.rest()
    assert len(flushes) == 1
    monkeypatch.undo()
    store.flush()
    store.upsert_images([1], unit(1))
    store._flushed_at -= 60
    monkeypatch.setattr(EmbeddingStore, "flush", lambda _: flushes.append(None))
    store.rest()
    assert len(flushes) == 2


@pytest.mark.parametrize(
    ("vectors", "complaint"),
    [
        (unit(1), "shape"),
        (unit(2, dimension=DIMENSION + 1), "shape"),
        (unit(2)[0], "shape"),
        (2 * unit(2), "length 2"),
        (np.full((2, DIMENSION), np.nan, np.float32), "length nan"),
        (np.zeros((2, DIMENSION), np.float32), "length 0"),
    ],
)
def test_unfit_vectors_are_refused_at_the_edge(
    store: EmbeddingStore, vectors: embeddings.Vectors, complaint: str
) -> None:
    """Wrong shape, not finite, not of unit length: named before Milvus sees them, and nothing is stored."""
    with pytest.raises(InvalidEmbedding, match=complaint):
        store.upsert_images([1, 2], vectors)
    assert store.count("images") == 0


def test_a_query_is_checked_too(store: EmbeddingStore) -> None:
    """A query of another model's length is a mistake of the caller's, not of Milvus's."""
    with pytest.raises(InvalidEmbedding):
        store.nearest("images", unit(1, dimension=8)[0], 5)
