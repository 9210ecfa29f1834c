"""A further model looks at everything beside the one in effect."""

from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import corrections, hits, reindexes, shelf, work
from indexer.catalog.annotations import unpack
from indexer.catalog.models import ModelRow
from indexer.reindexing import in_effect, switching
from indexer.tables import Caption, CaptionEmbedding, ImageEmbedding, ShelvedCaption, ShelvedImage
from tests.changing import Changing


def _embedded(sessions: sessionmaker[Session], embedder_id: int) -> tuple[int, int]:
    """How many images and captions an embedder has embedded."""
    with sessions() as session:
        tables = (ImageEmbedding, CaptionEmbedding)
        return tuple(  # type: ignore[return-value]
            session.scalar(select(func.count()).select_from(t).where(t.annotator_id == embedder_id))
            for t in tables
        )


def test_an_embedder_fills_beside_the_one_in_effect(library: Changing, photographs: list[Path]) -> None:
    """Images and captions are embedded a second time, go to Milvus, and the one in effect still answers."""
    library.index(*photographs)
    before = library.row("embedder")
    library.begin("embedder")
    change = library.fill()
    assert change.filled_at is not None
    assert change.switched_at is None
    assert _embedded(library.sessions, change.annotator_id) == (len(photographs), len(photographs))
    assert _embedded(library.sessions, before.annotator_id) == (len(photographs), len(photographs))
    store = library.stores.existing(change)
    assert store is not None
    assert store.count("images") >= len(photographs)
    assert library.row("embedder") == before


def test_filling_waits_for_what_is_to_be_indexed(library: Changing, photographs: list[Path]) -> None:
    """As long as an image waits to be indexed, nothing is filled; then it is filled too."""
    first, *rest = photographs
    library.index(*rest)
    library.begin("embedder")
    waiting = library.register(first)
    assert not library.backfill.step()
    with library.sessions.begin() as session:
        work.finish(session, waiting, None)
    assert library.backfill.step()


def test_what_comes_during_the_filling_is_filled_too(library: Changing, photographs: list[Path]) -> None:
    """An image that was still pending when its turn came, and one that came last."""
    early, late, *rest = photographs
    (early_id,) = library.register(early)
    with library.sessions.begin() as session:
        work.finish(session, [early_id], None)
    library.index(*rest)
    library.begin("embedder")
    assert library.backfill.step()
    with library.sessions.begin() as session:
        work.add(session, [early_id])
    library.index(early, late)
    change = library.fill()
    assert change.filled_at is not None
    assert _embedded(library.sessions, change.annotator_id) == (len(photographs), len(photographs))


def test_a_caption_written_meanwhile_is_embedded_by_both(library: Changing, photographs: list[Path]) -> None:
    """A person's caption, and the words it was changed to after it had been embedded."""
    first, *_ = library.index(*photographs)
    row, embedder = library.row("embedder"), library.in_effect.get().models.embedder
    for words in ("my cat", "my other cat"):
        with library.sessions.begin() as session:
            embedding = embedder.embed_texts([words])[0]
            corrections.write_caption(session, first, words, row.annotator_id, embedding)
        change = library.begin("embedder")
        library.fill()
    assert not switching.switch(library.sessions, change)  # it looks once more, and the words are new
    library.fill()
    assert switching.switch(library.sessions, change)
    other = in_effect.load_embedder(
        ModelRow(change.annotator_id, change.name, change.version), library.choice
    )
    with library.sessions() as session:
        assert reindexes.missing(session, change, 0, 10) == []
        written = select(CaptionEmbedding.embedding).join(Caption).where(Caption.text == "my other cat")
        kept = session.scalar(written.where(CaptionEmbedding.annotator_id == change.annotator_id))
    assert kept is not None
    assert unpack(kept) @ other.embed_texts(["my other cat"])[0] > 0.999


def test_a_tagger_fills_the_shelf(library: Changing, photographs: list[Path]) -> None:
    """What it says is kept for every image, also where it says nothing, and nobody is shown any of it."""
    ids = library.index(*photographs)
    with library.sessions() as session:
        shown = hits.load(session, ids)
    change = library.begin("tagger")
    library.fill()
    with library.sessions() as session:
        assert sorted(shelf.waiting(session, change.annotator_id, 100)) == sorted(ids)
        assert [image.tags for image in hits.load(session, ids)] == [image.tags for image in shown]


def test_a_captioner_fills_the_shelf(library: Changing, photographs: list[Path]) -> None:
    """Captions with their embedding by the embedder in effect, guided by the tags in effect."""
    ids = library.index(*photographs)
    change = library.begin("captioner")
    assert library.fill().filled_at is not None
    with library.sessions() as session:
        kept = session.scalars(
            select(ShelvedCaption).where(ShelvedCaption.annotator_id == change.annotator_id)
        ).all()
        shown = {image.id: image for image in hits.load(session, ids)}
    assert {row.image_id for row in kept} == set(ids)
    for row in kept:
        guides = [tag.name for tag in shown[row.image_id].tags if tag.kind == "tagger"]
        assert sorted(row.guided_by) == sorted(guides)
        assert row.embedder_id == library.row("embedder").annotator_id


def test_an_image_whose_file_is_gone_is_looked_at_by_its_thumbnail(
    library: Changing, photographs: list[Path], tmp_path: Path
) -> None:
    """And one of which nothing is left is passed over, with the reason, and not waited for."""
    copies = [tmp_path / path.name for path in photographs[:2]]
    for path, copy in zip(photographs, copies, strict=False):
        copy.write_bytes(path.read_bytes())
    gone, lost = library.index(*copies)
    for copy in copies:
        copy.unlink()
    with library.sessions() as session:
        (picture,) = reindexes.pictured(session, [lost])
    library.road.storage.delete(picture.content_hash)
    library.begin("tagger")
    change = library.fill()
    assert change.filled_at is not None
    assert change.passed_over == [lost]
    with library.sessions() as session:
        assert shelf.waiting(session, change.annotator_id, 100) == [gone]


def test_nothing_is_looked_at_twice(library: Changing, photographs: list[Path]) -> None:
    """A filling that is taken up again leaves alone what was done before."""
    library.index(*photographs)
    library.backfill.size.too_many(4)
    library.begin("tagger")
    library.backfill.step()
    written = text("SELECT image_id, xmin::text FROM shelved_images ORDER BY image_id")
    with library.sessions() as session:
        first = dict(session.execute(written).all())
    assert 0 < len(first) < len(photographs)
    library.fill()
    with library.sessions() as session:
        then = dict(session.execute(written).all())
        assert session.scalar(select(func.count()).select_from(ShelvedImage)) == len(photographs)
    assert first.items() <= then.items()
