"""A model takes the place of another, and gives it back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from indexer.catalog import annotations, corrections, edits, hits, models, reindexes, shelf
from indexer.catalog.edits import Wish
from indexer.catalog.hits import ImageView
from indexer.errors import ModelsChanged, NameTaken, NotFound
from indexer.published import Kind
from indexer.query import Query, TextTerm
from indexer.reindexing import switching
from indexer.search import Request
from indexer.tables import Caption, ImageTag, ShelvedCaption, ShelvedTag
from tests.changing import Changing


def _shown(library: Changing, ids: list[int]) -> list[ImageView]:
    with library.sessions() as session:
        return hits.load(session, ids)


def _by(kind: str, images: list[ImageView]) -> list[tuple[set[tuple[str, float]], list[str]]]:
    """Tags and captions by annotators of one kind, an image."""
    return [
        (
            {(tag.name, tag.confidence) for tag in image.tags if tag.kind == kind},
            [caption.text for caption in image.captions if caption.kind == kind],
        )
        for image in images
    ]


def _speak(library: Changing, image_id: int, asserted: str, rejected: str) -> None:
    """A person says something of an image."""
    row, embedder = library.row("embedder"), library.in_effect.get().models.embedder
    with library.sessions.begin() as session:
        edits.make(session, [image_id], Wish(add=[asserted], reject=[rejected]))
        corrections.write_caption(
            session, image_id, "mine", row.annotator_id, embedder.embed_texts(["mine"])[0]
        )


def _changed(library: Changing, kind: Kind) -> None:
    change = library.begin(kind)
    library.fill()
    assert switching.switch(library.sessions, change)


def test_an_embedder_is_put_in_effect_once_milvus_has_everything(
    library: Changing, photographs: list[Path]
) -> None:
    """Not while an image is missing or not yet in Milvus; then in one step, with the alias."""
    library.index(*photographs)
    before = library.row("embedder")
    change = library.begin("embedder")
    assert not switching.switch(library.sessions, change)
    while library.backfill.step():
        pass
    assert not switching.switch(library.sessions, change)
    library.fill()
    assert switching.switch(library.sessions, change)
    now = library.row("embedder")
    assert (now.annotator_id, now.previous_id) == (change.annotator_id, before.annotator_id)
    switching.point_aliases(library.sessions, library.stores)
    store = library.stores.existing(now)
    assert store is not None
    assert store.active_version() == now.version


def test_each_embedder_answers_by_its_own_embeddings(library: Changing, photographs: list[Path]) -> None:
    """After the switch the scores are the new one's; after going back they are the old one's again."""
    library.index(*photographs)
    asked = Query((TextTerm("a cat on a table"),))

    def scores() -> list[tuple[int, float | None]]:
        found = library.searcher().search(asked, Request(all=True))
        return [(hit.image.id, hit.score) for hit in found.hits]

    old = scores()
    _changed(library, "embedder")
    new = scores()
    assert new != old
    switching.roll_back(library.sessions, "embedder")
    assert scores() == old


@pytest.mark.parametrize("at_once", [switching.AT_ONCE, 2])
def test_tags_change_hands(library: Changing, photographs: list[Path], at_once: int) -> None:
    """All at once or in steps; back again they are to the last digit what they were."""
    ids = library.index(*photographs)
    before = _by("tagger", _shown(library, ids))
    change = library.begin("tagger")
    library.fill()
    assert switching.switch(library.sessions, change, at_once)
    library.fill()
    after = _by("tagger", _shown(library, ids))
    assert after != before
    assert _by_taggers(library) == [change.annotator_id]
    switching.roll_back(library.sessions, "tagger", at_once)
    library.fill()
    assert _by("tagger", _shown(library, ids)) == before
    with library.sessions() as session:
        assert shelf.waiting(session, change.annotator_id, 100) == sorted(ids)
        assert session.scalar(select(func.count()).select_from(ShelvedTag)) == sum(len(t) for t, _ in after)


def _by_taggers(library: Changing) -> list[int]:
    with library.sessions() as session:
        taggers = text(
            "SELECT DISTINCT t.annotator_id FROM image_tags t JOIN annotators a ON a.id = t.annotator_id"
            " WHERE a.kind = 'tagger'"
        )
        return list(session.scalars(taggers))


def test_halfway_through_an_image_shows_one_tagger_only(library: Changing, photographs: list[Path]) -> None:
    """Where tags change hands in steps, every image shows the tags of one tagger, whole."""
    ids = library.index(*photographs)
    old = _by("tagger", _shown(library, ids))
    change = library.begin("tagger")
    library.fill()
    assert switching.switch(library.sessions, change, at_once=3)
    halfway = _by("tagger", _shown(library, ids))
    while switching.change_some_hands(library.sessions, change):
        pass
    new = _by("tagger", _shown(library, ids))
    assert [h == n for h, n, o in zip(halfway, new, old, strict=True) if n != o].count(False) > 0
    assert all(h in (o, n) for h, o, n in zip(halfway, old, new, strict=True))


def test_captions_change_hands(library: Changing, photographs: list[Path]) -> None:
    """With their embeddings, in Postgres and in Milvus; and back."""
    ids = library.index(*photographs)
    before = _by("captioner", _shown(library, ids))
    _changed(library, "captioner")
    library.fill()
    after = _by("captioner", _shown(library, ids))
    assert after != before
    assert all(len(texts) == 1 for _, texts in after)
    _check_captions_in_milvus(library, ids)
    switching.roll_back(library.sessions, "captioner")
    library.fill()
    assert _by("captioner", _shown(library, ids)) == before
    _check_captions_in_milvus(library, ids)
    with library.sessions() as session:
        assert session.scalar(select(func.count()).select_from(ShelvedCaption)) == len(ids)


def _check_captions_in_milvus(library: Changing, ids: list[int]) -> None:
    """Milvus holds the captions that are shown and no others."""
    store = library.stores.existing(library.row("embedder"))
    assert store is not None
    with library.sessions() as session:
        rows = session.execute(select(Caption.id, Caption.image_id))
        shown = {(caption_id, image_id) for caption_id, image_id in rows}
    held = store.between(min(ids), max(ids) + 1)
    assert set(zip(held.caption_ids, held.owners, strict=True)) == shown


@pytest.mark.parametrize("kind", ["tagger", "captioner", "embedder"])
def test_what_people_say_survives(library: Changing, photographs: list[Path], kind: Kind) -> None:
    """Assertions, rejections and captions, there and back again."""
    ids = library.index(*photographs)
    asserted, rejected = "my own tag", "dog"
    _speak(library, ids[0], asserted, rejected)
    before = _by("person", _shown(library, ids))
    assert before[0] == ({(asserted, 1.0), (rejected, 0.0)}, ["mine"])
    _changed(library, kind)
    library.fill()
    assert _by("person", _shown(library, ids)) == before
    switching.roll_back(library.sessions, kind)
    library.fill()
    assert _by("person", _shown(library, ids)) == before


@pytest.mark.parametrize("kind", ["tagger", "captioner", "embedder"])
def test_what_came_since_is_filled_after_going_back(
    library: Changing, photographs: list[Path], kind: Kind
) -> None:
    """Images the old model never saw are looked at by it; all is as if it had never been away."""
    *early, _ = photographs
    library.index(*early)
    _changed(library, kind)
    library.fill()
    ids = library.index(*photographs)
    change = switching.roll_back(library.sessions, kind)
    assert library.fill().ended_at is not None
    with library.sessions() as session:
        assert reindexes.missing(session, change, 0, 10) == []
    if kind == "embedder":
        found = library.searcher().search(Query((TextTerm("a cat"),)), Request(all=True))
        assert {hit.image.id for hit in found.hits} == set(ids)
    else:
        said = {"tagger": ImageTag, "captioner": Caption}[kind]
        _check_spoken(library, ids[-1], said, change.annotator_id)


def _check_spoken(library: Changing, image_id: int, table: type, annotator_id: int) -> None:
    """Only this annotator's statements of an image are shown, people's and files' aside."""
    with library.sessions() as session:
        models_ids = models.in_effect(session)
        speakers = set(session.scalars(select(table.annotator_id).where(table.image_id == image_id)))  # type: ignore[attr-defined]
    others = {row.previous_id for row in models_ids.values()}
    assert annotator_id in speakers
    assert not speakers & others


def test_a_worker_that_has_not_noticed_saves_nothing(library: Changing, photographs: list[Path]) -> None:
    """What the model before says after a switch is refused whole."""
    library.index(*photographs)
    before = library.in_effect.get().annotators
    _changed(library, "embedder")
    with pytest.raises(ModelsChanged, match="other is the embedder in effect"), library.sessions() as session:
        annotations.save(session, [], before)


def test_one_change_at_a_time(library: Changing, photographs: list[Path]) -> None:
    """Another one is refused until the first is ended; the same one is gone on with."""
    library.index(*photographs)
    change = library.begin("embedder")
    assert library.begin("embedder").id == change.id
    with pytest.raises(NameTaken, match="--cancel"):
        library.begin("tagger")
    with library.sessions.begin() as session:
        reindexes.end(session, change.id)
    assert library.begin("tagger").id != change.id


def test_nothing_to_go_back_to(library: Changing) -> None:
    """A library that never changed its models says what one can do."""
    with pytest.raises(NotFound, match="sightline reindex --tagger NAME"):
        switching.roll_back(library.sessions, "tagger")


def test_the_same_model_again_fills_what_it_lacks(library: Changing, photographs: list[Path]) -> None:
    """Nothing is switched; embeddings somebody has deleted are made again."""
    ids = library.index(*photographs)
    with library.sessions.begin() as session:
        session.execute(text("DELETE FROM image_embeddings WHERE image_id = :id"), {"id": ids[0]})
    before = library.row("embedder")
    library.begin("embedder", "small")
    assert library.fill().ended_at is not None
    assert library.row("embedder") == before
    with library.sessions() as session:
        assert _embeddings(session, before.annotator_id) == len(ids)


def _embeddings(session: Session, embedder_id: int) -> int:
    count: Callable[..., int | None] = session.scalar
    return (
        count(text("SELECT count(*) FROM image_embeddings WHERE annotator_id = :id"), {"id": embedder_id})
        or 0
    )
