"""Paging through an answer while the library changes."""

import numpy as np
import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from indexer.catalog import annotations
from indexer.query import parse
from indexer.search import MAX_LIMIT, Request
from indexer.tables import Image, ImageEmbedding
from tests.indexer.conftest import Library
from tests.indexer.embeddings.known_rows import comes_to_hold

IMAGES, ADDED, DELETED = 10_000, 1_000, 500
PAGES = IMAGES // MAX_LIMIT

NEW_IMAGES = text("""
    INSERT INTO images (content_hash, state, bytes, format, width, height, taken_at, indexed_at)
    SELECT sha256(convert_to(:salt || i, 'UTF8')), 'indexed', 1000 + i % 50, 'jpeg', 640, 480,
           CASE WHEN i % 7 > 0 THEN timestamp '2020-01-01' + i % 400 * interval '1 day' END, now()
    FROM generate_series(1, :count) i RETURNING id
""")


def _add(library: Library, count: int, seed: int) -> list[int]:
    """Images with made-up embeddings and dates, many of these equal, in Postgres and in Milvus."""
    dimension = library.pipeline.models.embedder.dimension
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    by = library.pipeline.annotators.embedder
    with library.sessions.begin() as session:
        ids = list(session.scalars(NEW_IMAGES, {"salt": f"{seed}/", "count": count}))
        packed = annotations.pack(rows)
        session.execute(
            insert(ImageEmbedding),
            [
                {"image_id": image_id, "annotator_id": by, "embedding": embedding}
                for image_id, embedding in zip(ids, packed, strict=True)
            ],
        )
    library.store.upsert_images(ids, rows)
    return ids


def _wait_until_shown(library: Library) -> None:
    """A Milvus server's searches show within seconds what was written, not at once."""
    towards = np.eye(1, library.store.dimension, dtype=np.float32)[0]
    assert comes_to_hold(lambda: len(library.store.nearest("images", towards, IMAGES)[0]) > 0.99 * IMAGES)


@pytest.mark.parametrize("q", ["", "order:taken", "order:size_asc has:taken", "a dog in the snow"])
def test_nothing_is_shown_twice_and_nothing_that_stays_is_lost(library: Library, q: str) -> None:
    """Through 10,000 hits while 1,000 images are added and 500 deleted, in every order there is."""
    before = _add(library, IMAGES, seed=0)
    _wait_until_shown(library)
    rng = np.random.default_rng(1)
    doomed = [int(i) for i in rng.choice(before, DELETED, replace=False)]
    searcher, query = library.searcher, parse(q)
    seen: list[int] = []
    cursor, turn = None, 0
    while turn == 0 or cursor is not None:
        page = searcher.search(query, Request(MAX_LIMIT, cursor, all=True))
        seen += [hit.image.id for hit in page.hits]
        cursor, turn = page.next_cursor, turn + 1
        if turn <= PAGES:
            _add(library, ADDED // PAGES, seed=turn)
            step = DELETED // PAGES
            library.remover.remove(doomed[(turn - 1) * step : turn * step])
    assert turn >= PAGES * 6 // 7
    assert len(seen) == len(set(seen))
    with library.sessions() as session:
        stayed = set(session.scalars(select(Image.id).where(Image.id.in_(before))))
        if "has:taken" in q:
            stayed &= set(session.scalars(select(Image.id).where(Image.taken_at.is_not(None))))
    assert len(stayed) >= (IMAGES - DELETED) * 5 // 6
    assert stayed <= set(seen)
