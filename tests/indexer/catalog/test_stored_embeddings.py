"""Embeddings in bulk are those that were saved."""

import numpy as np
import pytest
from sqlalchemy.orm import Session

from indexer.catalog import annotations, stored_embeddings
from indexer.errors import ConfigurationError
from tests.catalogue import DIMENSION, add_indexed, annotators, embedding


def _read(session: Session, channel: str, who: int, among: list[int] | None = None) -> dict[int, np.ndarray]:
    pages = stored_embeddings.pages(session, channel, who, DIMENSION, among)  # type: ignore[arg-type]
    return {i: row for page in pages for i, row in zip(page.ids.tolist(), page.rows, strict=True)}


def test_all_are_read_across_pages(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """As unit rows, by image, however many to a page."""
    by = annotators(session)
    ids = [add_indexed(session, by=by) for _ in range(7)]
    for size in (1, 3, 100):
        monkeypatch.setattr(stored_embeddings, "PAGE", size)
        images = _read(session, "image", by.embedder)
        captions = _read(session, "caption", by.embedder)
        assert sorted(images) == sorted(captions) == ids
        for image_id in ids:
            np.testing.assert_allclose(images[image_id], embedding(image_id), atol=1e-3)
            np.testing.assert_allclose(captions[image_id], embedding(image_id + 10_000), atol=1e-3)
            assert np.linalg.norm(images[image_id]) == pytest.approx(1, abs=1e-6)


def test_some_are_read(session: Session) -> None:
    """Only those asked for; none, and ids that name nothing, give nothing."""
    by = annotators(session)
    ids = [add_indexed(session, by=by) for _ in range(4)]
    assert sorted(_read(session, "caption", by.embedder, [ids[1], ids[3], 999])) == [ids[1], ids[3]]
    assert _read(session, "image", by.embedder, []) == {}
    assert _read(session, "image", by.embedder + 100) == {}
    assert stored_embeddings.count(session, "image", by.embedder) == 4
    assert stored_embeddings.count(session, "caption", by.embedder + 100) == 0


def test_a_length_that_is_not_the_embedders_is_refused(session: Session) -> None:
    """Rather than read across rows."""
    by = annotators(session)
    short = annotations.pack(np.ones((1, DIMENSION // 2)))[0]
    add_indexed(session, by=by, image_embedding=short)
    with pytest.raises(ConfigurationError, match=f"{DIMENSION} components"):
        _read(session, "image", by.embedder)


def test_the_same_bits_give_the_same_row() -> None:
    """Alone or among thousands: scores must not depend on what else was read."""
    packed = np.random.default_rng(0).normal(size=(3_000, 64)).astype(np.float16)
    together = stored_embeddings.unit(packed)
    for row in (0, 1, 777, 2_999):
        assert (stored_embeddings.unit(packed[row : row + 1])[0] == together[row]).all()
