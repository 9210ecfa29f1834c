"""What models not in effect have said can be deleted, for good."""

from pathlib import Path

import pytest
from sqlalchemy import text

from indexer.catalog import reindexes
from indexer.errors import NotFound
from indexer.reindexing import forgetting, switching
from tests.changing import Changing

LEFT = text(
    "SELECT (SELECT count(*) FROM image_embeddings WHERE annotator_id = :id)"
    " + (SELECT count(*) FROM caption_embeddings WHERE annotator_id = :id)"
    " + (SELECT count(*) FROM embedding_changes WHERE annotator_id = :id)"
    " + (SELECT count(*) FROM shelved_images) + (SELECT count(*) FROM shelved_tags)"
)


def test_an_embedder_is_forgotten_with_its_collections(library: Changing, photographs: list[Path]) -> None:
    """Everything of the one before is gone, the one in effect answers as it did, there is no way back."""
    library.index(*photographs)
    before = library.row("embedder")
    change = library.begin("embedder")
    library.fill()
    switching.switch(library.sessions, change)
    assert [
        row.name for _, row in forgetting.forget(library.sessions, library.stores)
    ] == []  # not settled yet
    library.fill()
    assert [row.name for _, row in forgetting.forget(library.sessions, library.stores)] == ["small"]
    with library.sessions() as session:
        assert session.scalar(LEFT, {"id": before.annotator_id}) == 0
    assert library.stores.existing(before) is None
    store = library.stores.existing(change)
    assert store is not None
    assert store.count("images") == len(photographs)
    with pytest.raises(NotFound):
        switching.roll_back(library.sessions, "embedder")


def test_a_change_called_off_leaves_nothing(library: Changing, photographs: list[Path]) -> None:
    """A tagger's shelf is cleared; the tags in effect stay."""
    library.index(*photographs)
    change = library.begin("tagger")
    library.fill()
    with library.sessions.begin() as session:
        reindexes.end(session, change.id)
    assert [kind for kind, _ in forgetting.forget(library.sessions, library.stores)] == ["tagger"]
    with library.sessions() as session:
        assert session.scalar(LEFT, {"id": change.annotator_id}) == 0
        tags = text("SELECT count(*) FROM image_tags")
        assert session.scalar(tags)
