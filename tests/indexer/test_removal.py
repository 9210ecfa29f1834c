"""Taking images out of the library, with every trace of them."""

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import select, text

from indexer.catalog import annotations, hits, images
from indexer.errors import NotStored, ServiceUnavailable
from indexer.storage import Storage
from indexer.tables import Base
from tests.indexer.conftest import Library

# What outlives an image: the mark that it has changed, by which memories notice that it is gone.
KEPT = {"image_changes"}


def _upload(library: Library, path: Path) -> tuple[int, bytes]:
    """A picture sent by a browser, all the way; its id and hash."""
    data = path.read_bytes()
    digest = hashlib.sha256(data).digest()
    library.pipeline.storage.put_original(digest, data)
    file = images.NewFile(digest, len(data), "upload", f"upload:{digest.hex()}/{path.name}")
    with library.sessions.begin() as session:
        image_id = images.register(session, [file])[0].image_id
    library.bring([image_id])
    return image_id, digest


def test_deleting_leaves_no_trace(library: Library, photographs: list[Path]) -> None:
    """No table, no collection and no file knows the image any more; doing it again changes nothing."""
    [kept] = library.index(photographs[0])
    gone, digest = _upload(library, photographs[1])
    assert library.remover.remove([gone, 424242]) == [gone]
    library.publisher.drain()
    assert library.remover.remove([gone]) == []
    assert library.store.of([kept, gone]).image_ids == [kept]
    assert set(library.store.of([kept, gone]).owners) == {kept}
    with library.sessions() as session:
        for table in Base.metadata.sorted_tables:
            if "image_id" in table.c and table.name not in KEPT:
                assert gone not in session.scalars(select(table.c.image_id)).all(), table.name
        assert hits.load(session, [gone]) == []
        assert session.scalar(text("SELECT count(*) FROM captions")) == 1
        assert annotations.embeddings(session, [gone], library.pipeline.annotators.embedder).captions == {}
    for read in (library.pipeline.storage.get_thumbnail, library.pipeline.storage.get_original):
        with pytest.raises(NotStored):
            read(digest)


def test_originals_stay_if_they_are_to(library: Library, photographs: list[Path]) -> None:
    """The upload's bytes are kept, the thumbnail is not; sent again, they are another image."""
    gone, digest = _upload(library, photographs[0])
    library.remover.remove([gone], originals=False)
    assert library.pipeline.storage.get_original(digest) == photographs[0].read_bytes()
    with pytest.raises(NotStored):
        library.pipeline.storage.get_thumbnail(digest)
    again, _ = _upload(library, photographs[0])
    assert again != gone


def test_a_file_of_ones_own_is_never_touched(
    library: Library, photographs: list[Path], tmp_path: Path
) -> None:
    """Whatever is asked for, what lies in a person's folder stays there."""
    path = tmp_path / "mine.png"
    path.write_bytes(photographs[0].read_bytes())
    library.remover.remove(library.index(path))
    assert path.read_bytes() == photographs[0].read_bytes()


def test_what_cannot_be_removed_everywhere_is_all_there(
    library: Library, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is away: the image is as it was, and can be removed when the store is back."""
    image_id, _ = _upload(library, photographs[0])

    def away(*_: object, **__: object) -> None:
        raise ServiceUnavailable("storage", "it is away")

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "delete", away)
        with pytest.raises(ServiceUnavailable):
            library.remover.remove([image_id])
    with library.sessions() as session:
        [view] = hits.load(session, [image_id])
    assert view.captions
    assert library.remover.remove([image_id]) == [image_id]
