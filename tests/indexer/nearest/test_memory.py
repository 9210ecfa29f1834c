"""Embeddings in memory say what Postgres says, whatever happens there; or they are not used."""

import numpy as np
import pytest
from pyroaring import BitMap
from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from indexer.catalog import annotations
from indexer.nearest import Nearest, Target, memory
from indexer.nearest.memory import HeldEmbeddings
from indexer.tables import Caption, Image, ImageEmbedding, ImageTag, Tag
from tests.indexer.nearest.conftest import DIMENSION, Library, direction, ranked, same_page, stored_row

TARGET = Target({"image": direction(1), "caption": direction(2)}, {"image": 1.0, "caption": 0.5})


def held(library: Library, memory_bytes: int = 2**30) -> HeldEmbeddings:
    """All of a library in memory."""
    embeddings = HeldEmbeddings(library.embedder_id, DIMENSION, memory_bytes)
    embeddings.load(library.sessions).join(30)
    return embeddings


def agrees(embeddings: HeldEmbeddings, library: Library) -> bool:
    """Whether memory scores every image as numpy does."""
    with library.sessions() as session:
        matrix = embeddings.matrix(session)
    assert matrix is not None
    ids = np.array(list(library.ids), np.int64)
    truth = library.fused(TARGET)
    return bool(np.allclose(matrix.score(TARGET, ids).fused, [truth[i] for i in ids], atol=2e-6))


def test_what_is_added_changed_and_deleted_is_seen_by_the_next_search(small: Library) -> None:
    """New images, another embedding, a caption gone, an image gone."""
    embeddings, rng = held(small), np.random.default_rng(9)
    assert agrees(embeddings, small)
    first, second, third, *_ = small.ids
    small.add(rng, captions=3)
    small.add(rng, captions=0)
    assert agrees(embeddings, small)
    replaced = annotations.pack(direction(77)[None])[0]
    with small.sessions.begin() as session:
        session.execute(
            update(ImageEmbedding).where(ImageEmbedding.image_id == first).values(embedding=replaced)
        )
        session.execute(delete(Caption).where(Caption.image_id == second))
        session.execute(delete(Image).where(Image.id == third))
    small.images[first], small.captions[second] = stored_row(replaced), []
    del small.images[third], small.captions[third]
    assert not small.ids & BitMap([third])
    assert agrees(embeddings, small)


def test_random_histories_are_followed(small: Library) -> None:
    """A hundred changes in any order: memory agrees after each ten."""
    embeddings, rng = held(small), np.random.default_rng(10)
    for number in range(100):
        if rng.random() < 0.6:
            small.add(rng, captions=int(rng.integers(0, 4)), embedded=rng.random() < 0.9)
        else:
            gone = int(rng.choice(list(small.ids)))
            with small.sessions.begin() as session:
                session.execute(delete(Image).where(Image.id == gone))
            small.images.pop(gone, None)
            del small.captions[gone]
        if number % 10 == 0:
            assert agrees(embeddings, small)


def test_a_tag_costs_no_memory(small: Library) -> None:
    """What changes of an image beside its embeddings leaves its rows where they are."""
    embeddings = held(small)
    with small.sessions.begin() as session:
        tag = session.scalar(insert(Tag).values(name="dog").returning(Tag.id))
        rows = [{"image_id": i, "tag_id": tag, "annotator_id": small.embedder_id} for i in small.ids]
        session.execute(insert(ImageTag).values(confidence=0.9), rows)
    with small.sessions() as session:
        matrix = embeddings.matrix(session)
    assert matrix is not None
    assert len(matrix.channels["image"].vectors) == len(small.images)
    assert agrees(embeddings, small)


def test_a_session_that_has_written_is_not_answered_from_memory(small: Library) -> None:
    """Its own work is not committed: memory, which all share, must not hold it, and does not answer without it."""
    embeddings = held(small)
    nearest = Nearest(small.store, small.embedder_id, 2**30)
    nearest.load(small.sessions).join(30)
    gone = next(iter(small.ids))
    with small.sessions() as session:
        session.execute(delete(Image).where(Image.id == gone))
        assert embeddings.matrix(session) is None
        found = nearest.search(session, TARGET, within=None, library=small.ids - BitMap([gone]), limit=40)
        assert found.plan.name != "exact"
        session.rollback()
    assert agrees(embeddings, small)


def test_no_room_left_everything_is_read_again(small: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Growth past what was kept free: searches go on without memory until it has been read anew."""
    monkeypatch.setattr(memory, "_LEAST_ROOM", 2)
    assert _read_again(small)


def test_too_many_changes_everything_is_read_again(small: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search does not wait for a mass change to be read one by one."""
    monkeypatch.setattr(memory, "RELOAD_FROM", 3)
    assert _read_again(small)


def _read_again(library: Library) -> bool:
    """Whether ten images more make a search go without memory, which afterwards holds them all."""
    embeddings, rng = held(library), np.random.default_rng(11)
    for _ in range(10):
        library.add(rng, captions=1)
    with library.sessions() as session:
        without = embeddings.matrix(session) is None
    embeddings.load(library.sessions).join(30)
    return without and embeddings.state == "held" and agrees(embeddings, library)


def test_over_the_bound_nothing_is_held_and_milvus_answers(small: Library) -> None:
    """The bound is on the whole; half a library in memory would be of no use."""
    embeddings = held(small, memory_bytes=1_000)
    with small.sessions() as session:
        assert embeddings.matrix(session) is None
    assert embeddings.state.endswith("bytes of 1000")
    nearest = Nearest(small.store, small.embedder_id, 1_000)
    nearest.load(small.sessions).join(30)
    with small.sessions() as session:
        found = nearest.search(session, TARGET, within=None, library=small.ids, limit=5, plan="overfetch")
        assert (
            "exact"
            not in nearest.search(session, TARGET, within=None, library=small.ids, limit=5).plan.estimates_ms
        )
    assert same_page(found, ranked(small.fused(TARGET), small.ids, None, 5))


def test_a_foreign_embedding_is_not_read(small: Library, session: Session) -> None:
    """One of another length: said once in the log, and searches do without memory."""
    with small.sessions.begin() as session:
        session.execute(update(ImageEmbedding).values(embedding=b"\0\0" * 3))
    embeddings = held(small)
    assert f"{DIMENSION} components" in embeddings.state
