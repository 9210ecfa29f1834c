"""From registered images to searchable ones, on real servers and real models."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as Pillow
from sqlalchemy import select

from indexer.batching import BatchSize, ModelsTurn
from indexer.catalog import hits, images, jobs, statements, work
from indexer.catalog.statements import Said
from indexer.decoder import local_path
from indexer.errors import NotStored
from indexer.images import Limits, decode
from indexer.pipeline import STAGES, Models
from indexer.storage import Storage
from indexer.tables import Work
from tests.indexer.conftest import Library


def _view(library: Library, image_id: int) -> hits.ImageView:
    with library.sessions() as session:
        return hits.load(session, [image_id])[0]


def test_photographs_become_searchable(library: Library, photographs: list[Path]) -> None:
    """Tags, a caption and embeddings in Postgres, a thumbnail in the store, the same ids in Milvus."""
    image_ids = library.index(*photographs)
    held = library.store.of(image_ids)
    assert sorted(held.image_ids) == sorted(held.owners) == sorted(image_ids)
    for image_id in image_ids:
        view = _view(library, image_id)
        assert view.state == "indexed"
        assert view.width
        assert view.captions[0].text
        assert view.captions[0].version == library.pipeline.models.captioner.identity.version
        assert all(tag.threshold is not None and tag.confidence > tag.threshold for tag in view.tags)
        assert library.pipeline.storage.get_thumbnail(view.content_hash)[8:12] == b"WEBP"


def test_running_twice_changes_nothing(library: Library, photographs: list[Path]) -> None:
    """A message that arrives twice is harmless."""
    image_ids = library.index(*photographs[:3])
    before = [_view(library, image_id) for image_id in image_ids]
    library.pipeline.index(image_ids)
    assert [_view(library, image_id) for image_id in image_ids] == before
    assert library.store.count("images") == 3


def test_batches_side_by_side_find_what_one_by_one_found(
    library: Library, photographs: list[Path], models: Models
) -> None:
    """Two threads with a batch each: every image gets its own tags, caption and embeddings."""
    apart = replace(library.pipeline, turn=ModelsTurn(2), size=BatchSize(2))
    image_ids = library.register(*photographs)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(apart.index, (image_ids[::2], image_ids[1::2])))
    for image_id, path in zip(image_ids, photographs, strict=True):
        decoded = decode(path.read_bytes(), models.inputs, Limits())
        pixels = models.stack([decoded])
        tags = models.tagger.tag(pixels[models.tagger.input])[0]
        caption = models.captioner.caption(pixels[models.captioner.input], [[tag.tag for tag in tags]])[0]
        view = _view(library, image_id)
        assert {tag.name for tag in view.tags} == {tag.tag for tag in tags}
        assert view.captions[0].text == caption


def test_a_bad_file_is_named_and_its_neighbours_go_on(
    library: Library, photographs: list[Path], tmp_path: Path
) -> None:
    """The batch around it is not lost."""
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(photographs[0].read_bytes()[:300])
    image_ids = library.index(photographs[0], bad, photographs[1])
    states = [_view(library, image_id).state for image_id in image_ids]
    assert states == ["indexed", "failed", "indexed"]
    assert _view(library, image_ids[1]).error_code == "broken"


def test_a_file_changed_since_registration_is_not_mistaken(
    library: Library, photographs: list[Path], tmp_path: Path
) -> None:
    """The hash read while decoding must be the one registered."""
    path = tmp_path / "photo.png"
    path.write_bytes(photographs[0].read_bytes())
    image_ids = library.register(path)
    path.write_bytes(photographs[1].read_bytes())
    library.bring(image_ids)
    view = _view(library, image_ids[0])
    assert (view.state, view.error_code) == ("failed", "unreadable")


def test_a_moved_file_is_found_at_its_other_source(
    library: Library, photographs: list[Path], tmp_path: Path
) -> None:
    """The same bytes in two places: one may go."""
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    for path in (first, second):
        path.write_bytes(photographs[0].read_bytes())
    image_ids = library.register(first, second)
    first.unlink()
    library.bring(image_ids)
    assert _view(library, image_ids[0]).state == "indexed"


def test_an_upload_is_read_from_the_store(library: Library, photographs: list[Path]) -> None:
    """Uploads have no path."""
    data = photographs[0].read_bytes()
    digest = hashlib.sha256(data).digest()
    library.pipeline.storage.put_original(digest, data)
    with library.sessions.begin() as session:
        file = images.NewFile(digest, len(data), "upload", f"upload:{digest.hex()}/cat.png")
        image_id = images.register(session, [file])[0].image_id
    library.bring([image_id])
    assert _view(library, image_id).state == "indexed"


def test_an_image_saved_but_not_published_is_only_published(
    library: Library, photographs: list[Path]
) -> None:
    """Killed between Postgres and Milvus: whoever goes on does not look at the picture again."""
    image_ids = library.register(photographs[0])
    library.pipeline.index(image_ids)
    saved = _view(library, image_ids[0])
    assert saved.state == "annotated"
    library.bring(image_ids)
    published = _view(library, image_ids[0])
    assert published.state == "indexed"
    assert published.captions == saved.captions
    assert library.store.of(image_ids).image_ids == image_ids


def test_an_image_deleted_while_it_is_looked_at_leaves_no_thumbnail(
    library: Library, photographs: list[Path]
) -> None:
    """Its files are gone before what was seen of it is written down."""
    gone, kept = library.register(*photographs[:2])
    hashes = {i: _view(library, i).content_hash for i in (gone, kept)}
    look = library.pipeline.models.look

    def delete_meanwhile(pixels: dict) -> object:
        library.remover.remove([gone])
        return look(pixels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Models, "look", lambda _, pixels: delete_meanwhile(pixels))
        library.pipeline.index([gone, kept])
    assert library.pipeline.storage.get_thumbnail(hashes[kept])
    with pytest.raises(NotStored):
        library.pipeline.storage.get_thumbnail(hashes[gone])


def test_metadata_and_keywords_are_the_files_own_statements(library: Library, tmp_path: Path) -> None:
    """Title, date and keywords come from the file and are said to."""
    exif = Pillow.Exif()
    exif[0x9003] = "2024:05:01 12:30:00"
    exif[0x010E] = "Harbour at noon"
    path = tmp_path / "x.jpg"
    Pillow.new("RGB", (64, 48), "teal").save(path, exif=exif)
    view = _view(library, library.index(path)[0])
    assert view.description == "Harbour at noon"
    assert (view.width, view.height, view.format) == (64, 48, "jpeg")


def test_stage_seconds_are_added_to_the_job(library: Library, photographs: list[Path]) -> None:
    """A person sees where the time goes."""
    with library.sessions.begin() as session:
        job_id = jobs.create(session, "index")
    library.index(*photographs[:2], job_id=job_id)
    with library.sessions() as session:
        progress = jobs.progress(session, job_id)
    assert progress is not None
    assert set(progress.stage_seconds) == set(STAGES)


def test_addresses_of_files_survive_the_round_trip(tmp_path: Path) -> None:
    """Spaces, percent signs and umlauts in names."""
    path = tmp_path / "100% grün & blau#1.jpg"
    assert local_path(path.as_uri()) == path


def test_what_people_write_is_embedded(library: Library, photographs: list[Path]) -> None:
    """Whether it was written before the image was looked at, or of one indexed long ago; in Milvus too."""
    (early,) = library.register(photographs[0])
    with library.sessions.begin() as session:
        statements.say(session, {early: Said(caption="written before")})
    library.pipeline.index([early])
    (late,) = library.index(photographs[1])
    with library.sessions.begin() as session:
        assert statements.say(session, {late: Said(caption="written since")}) == {late}
    library.pipeline.index([late])
    while library.publisher.step():
        pass
    with library.sessions() as session:
        assert session.scalars(select(Work.image_id)).all() == []
    assert sorted(library.store.of([early, late]).owners) == sorted([early, early, late, late])


def test_what_is_written_meanwhile_is_not_missed(library: Library, photographs: list[Path]) -> None:
    """A caption that comes while its image is being looked at has the image wait once more."""

    class Interrupted(Storage):
        """Somebody writes when the models have looked and nothing is saved yet."""

        def put_thumbnail(self, content_hash: bytes, data: bytes) -> None:
            with library.sessions.begin() as session:
                statements.say(session, {image_id: Said(caption="written meanwhile")})
            super().put_thumbnail(content_hash, data)

    (image_id,) = library.register(photographs[0])
    pipeline = library.pipeline
    replace(pipeline, storage=Interrupted(pipeline.storage.url)).index([image_id])
    with library.sessions() as session:
        assert session.execute(select(Work.image_id, Work.priority)).all() == [(image_id, work.INTERACTIVE)]
    pipeline.index([image_id])
    with library.sessions() as session:
        assert statements.unembedded(session, pipeline.annotators.embedder, [image_id]) == []
