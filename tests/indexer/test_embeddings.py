"""Embeddings in a real Milvus: exact under any filter where its index is, and unmoved by restarts."""

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer import embeddings, local_stack
from indexer.embeddings import EmbeddingStore, InvalidEmbedding, Rows
from indexer.errors import ConfigurationError, QueryError, ServiceUnavailable
from indexer.local_stack.identity import start_mark
from indexer.settings import Settings

DIMENSION = 16
IMAGES = 300
CAPTIONS_EACH = 3


@dataclass(frozen=True)
class Model:
    """Names a model that nobody needs to run."""

    version: str
    name: str = "test"


def unit(rows: int, seed: int = 0, dimension: int = DIMENSION) -> embeddings.Vectors:
    """Random directions, (rows, dimension) float32 of unit length."""
    drawn = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def open_store(url: str, **options: Any) -> EmbeddingStore:
    """A store of its own collections, exact in whichever Milvus."""
    options = {"dimension": DIMENSION, "model": Model(uuid.uuid4().hex[:12]), "index": "FLAT"} | options
    return EmbeddingStore(url, **options)


def comes_to_hold(check: Callable[[], bool]) -> bool:
    """Whether it does: Lite shows at once what was written, a server within seconds."""
    until = time.monotonic() + 30
    while not (held := check()) and time.monotonic() < until:
        time.sleep(0.2)
    return held


def image_ids(store: EmbeddingStore) -> list[int]:
    """Every image id held, ascending."""
    return sorted(store.between(0, 2**62).image_ids)


def captions(store: EmbeddingStore) -> list[tuple[int, int]]:
    """Every (caption id, image id) held, ascending."""
    held = store.between(0, 2**62)
    return sorted(zip(held.caption_ids, held.owners, strict=True))


@pytest.fixture(scope="module")
def lite(stack_home: Path) -> local_stack.Endpoints:
    """Private servers, whichever the others are: for what is about Milvus Lite alone."""
    return local_stack.endpoints(_private(stack_home))


def _private(home: Path) -> Settings:
    return Settings(home=home, postgres_url=None, redis_url=None, milvus_url=None)


@pytest.fixture
def store(stack: local_stack.Endpoints) -> Iterator[EmbeddingStore]:
    """An empty store."""
    opened = open_store(stack.milvus_url)
    opened.ensure()
    yield opened
    opened.close()


@dataclass(frozen=True)
class Filled:
    """A store whose every vector is known: image i has captions 3i, 3i+1, 3i+2."""

    store: EmbeddingStore
    images: embeddings.Vectors
    captions: embeddings.Vectors


@pytest.fixture(scope="module")
def filled(stack: local_stack.Endpoints) -> Iterator[Filled]:
    """300 images with 900 captions."""
    with fill(open_store(stack.milvus_url)) as content:
        yield content


@contextmanager
def fill(store: EmbeddingStore) -> Iterator[Filled]:
    """`store` with 300 images and 900 captions."""
    content = Filled(store, unit(IMAGES), unit(IMAGES * CAPTIONS_EACH, seed=1))
    store.ensure()
    store.upsert_images(range(IMAGES), content.images)
    of_image = [caption // CAPTIONS_EACH for caption in range(IMAGES * CAPTIONS_EACH)]
    store.upsert_captions(range(len(of_image)), of_image, content.captions)
    for channel, rows in (("images", IMAGES), ("captions", IMAGES * CAPTIONS_EACH)):
        assert comes_to_hold(lambda c=channel, n=rows: len(store.nearest(c, unit(1)[0], n)[0]) == n)  # type: ignore[misc]
    yield content
    store.close()


def exact(
    vectors: embeddings.Vectors, query: embeddings.Vectors, keep: Sequence[int], limit: int
) -> list[int]:
    """Row numbers of the nearest among `keep`, by numpy."""
    scores = vectors @ query
    return sorted(keep, key=lambda row: (-scores[row], row))[:limit]


def captions_of(images: Sequence[int]) -> list[int]:
    return [CAPTIONS_EACH * image + nth for image in images for nth in range(CAPTIONS_EACH)]


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


def test_models_keep_apart_and_the_alias_moves_only_when_told(stack: local_stack.Endpoints) -> None:
    """A second model gets collections of its own; the first stays in effect until the second is activated."""
    old, new = open_store(stack.milvus_url), open_store(stack.milvus_url, dimension=8)
    old.ensure()
    old.activate()
    old.upsert_images([1], unit(1))
    new.ensure()
    new.ensure()
    version = old.collection("images").removeprefix("images_")
    assert new.active_version() == version
    assert image_ids(new) == []
    new.activate()
    assert old.active_version() == new.collection("images").removeprefix("images_")
    assert image_ids(old) == [1]


def test_a_collection_of_another_length_is_refused(stack: local_stack.Endpoints) -> None:
    """Same version, other dimension: said at `ensure`, naming both lengths."""
    model = Model(uuid.uuid4().hex[:12])
    open_store(stack.milvus_url, model=model).ensure()
    with pytest.raises(ConfigurationError, match=r"length 16.*gives 8"):
        open_store(stack.milvus_url, model=model, dimension=8).ensure()


def test_several_may_race_to_create(stack: local_stack.Endpoints) -> None:
    """Each over a connection of its own, as processes would: whoever loses finds everything there."""
    model = Model(uuid.uuid4().hex[:12])
    failures: list[BaseException] = []
    writers = threading.Lock()

    def race() -> None:
        try:
            open_store(stack.milvus_url, model=model, write_lock=lambda: writers).ensure()
        except ServiceUnavailable as error:
            failures.append(error)

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_every_change_holds_the_write_lock(lite: local_stack.Endpoints) -> None:
    """Lite bears one writer: each change takes the lock once, never twice at a time; reading takes none."""
    depth, taken = 0, 0

    @contextmanager
    def lock() -> Iterator[None]:
        nonlocal depth, taken
        assert depth == 0
        depth, taken = depth + 1, taken + 1
        yield
        depth -= 1

    make: Callable[[], AbstractContextManager[None]] = lock
    store = open_store(lite.milvus_url, write_lock=make)
    store.ensure()
    changes: list[Callable[[], object]] = [
        lambda: store.upsert_images([1], unit(1)),
        lambda: store.upsert_captions([1], [1], unit(1)),
        lambda: store.delete_captions([1]),
        lambda: store.delete_images([1]),
        store.flush,
        store.activate,
    ]
    for change in changes:
        before = taken
        change()
        assert taken == before + 1
    before = taken
    store.nearest("images", unit(1)[0], 1)
    assert image_ids(store) == []
    assert taken == before


def test_a_killed_milvus_is_missed_then_found_again(lite: local_stack.Endpoints, stack_home: Path) -> None:
    """While it is gone: one clear error, at once. When it is back: every row, and no reload by the caller."""
    store = open_store(lite.milvus_url)
    with fill(store):
        query = unit(1, seed=6)[0]
        before, _ = store.nearest("images", query, 20)
        _kill_milvus(stack_home)
        assert not store.healthy()
        with pytest.raises(ServiceUnavailable, match="SIGHTLINE_MILVUS_URL") as refusal:
            store.nearest("images", query, 20)
        assert refusal.value.service == "milvus"

        local_stack.endpoints(_private(stack_home))

        assert (store.nearest("images", query, 20)[0] == before).all()
        assert store.healthy()
        assert image_ids(store) == list(range(IMAGES))
        assert store.count("captions") == IMAGES * CAPTIONS_EACH


def _kill_milvus(home: Path) -> None:
    pid = next(service.pid for service in local_stack.status(home) if service.name == "milvus")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while start_mark(pid) is not None:
        pass


def test_a_missing_collection_names_the_repair(stack: local_stack.Endpoints) -> None:
    """Before `ensure` there is nothing to search, which is said in so many words."""
    with pytest.raises(ServiceUnavailable, match="sightline check --repair"):
        open_store(stack.milvus_url).nearest("images", unit(1)[0], 5)


def test_a_milvus_that_is_not_there_is_told_quickly(tmp_path: Path) -> None:
    """No socket, no wait, no traceback in the log."""
    store = open_store(f"unix:{tmp_path}/none.sock", timeout_s=2)
    assert not store.healthy()
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        store.count("images")
    store.close()


def test_a_store_works_after_it_was_closed(store: EmbeddingStore) -> None:
    """Closing ends the connection, not the store."""
    store.upsert_images([1], unit(1))
    store.close()
    store.close()
    assert image_ids(store) == [1]
