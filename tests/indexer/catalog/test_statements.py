"""What whoever brings a picture says of it."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from indexer.catalog import annotations, collections, corrections, hits, images, statements, work
from indexer.catalog.statements import Said
from indexer.errors import QueryError
from indexer.tables import CaptionEmbedding, Work
from tests.catalogue import add_indexed, annotation, annotators, embedding, new_file

SAID = Said("A-1", "Red dress", "a red dress on a hanger", ("dress", "red"), "Summer")


def test_everything_said_is_shown(session: Session) -> None:
    """Title, caption before the machine's, tags as a person's, the collection; again changes nothing."""
    image_id = add_indexed(session, {"shirt": 0.9}, title="IMG_1")
    assert statements.say(session, {image_id: SAID, 424242: SAID}) == {image_id}
    (view,) = hits.load(session, [image_id])
    assert (view.title, view.captions[0].text, view.captions[0].kind) == (SAID.title, SAID.caption, "person")
    assert {(tag.name, tag.kind) for tag in view.tags} == {
        ("shirt", "tagger"),
        ("dress", "person"),
        ("red", "person"),
    }
    assert [(one.name, one.images) for one in collections.all_of_them(session)] == [("Summer", 1)]
    assert statements.say(session, {image_id: SAID}) == set()


def test_what_it_does_not_show(session: Session) -> None:
    """Rejected as a person's word, also where nobody asserts it; tags that do not exist, or that it shows, are not."""
    image_id, other = add_indexed(session, {"shirt": 0.9}), add_indexed(session, {"coat": 0.9})
    said = Said(tags=("dress",), rejected=("shirt", "coat", "dress", "no such tag"))
    assert statements.say(session, {image_id: said}) == {image_id}
    (view, _) = hits.load(session, [image_id, other])
    people = {(tag.name, tag.rejected) for tag in view.tags if tag.kind == "person"}
    assert people == {("dress", False), ("shirt", True), ("coat", True)}
    assert statements.say(session, {image_id: said}) == set()
    assert statements.say(session, {other: Said(rejected=("no such tag",))}) == set()


def test_saying_nothing_takes_nothing_back(session: Session) -> None:
    """What is left out stays as it was."""
    image_id = add_indexed(session)
    statements.say(session, {image_id: SAID})
    before = hits.load(session, [image_id])
    assert statements.say(session, {image_id: Said()}) == set()
    assert hits.load(session, [image_id]) == before


def test_a_machine_never_overwrites_it(session: Session) -> None:
    """Looked at again, with a title and keywords of the file's own, it is still what the person said."""
    by = annotators(session)
    image_id = add_indexed(session, {"shirt": 0.9}, by)
    statements.say(session, {image_id: SAID})
    images.look_again(session, [image_id])
    found = annotation(image_id, {"coat": 0.8}, title="DSC_0001", caption="a coat")
    annotations.save(session, [found], by)
    (view,) = hits.load(session, [image_id])
    assert (view.title, view.captions[0].text) == (SAID.title, SAID.caption)
    assert {tag.name for tag in view.tags if tag.kind == "person"} == {"dress", "red"}


def test_a_title_is_kept_for_a_file_not_looked_at_yet(session: Session) -> None:
    """Given with the file, it counts before the file's own; brought again without one, it stays."""
    file = new_file("a.jpg", title="Red dress", external_id="A-1")
    image_id = images.register(session, [file])[0].image_id
    images.register(session, [new_file("a.jpg")])
    annotations.save(session, [annotation(image_id, title="DSC_0001")], annotators(session))
    (view,) = hits.load(session, [image_id])
    assert (view.title, view.sources[0].external_id) == ("Red dress", "A-1")


def test_a_new_caption_is_embedded_anew(session: Session) -> None:
    """What was embedded of the old words goes, and the image waits for a worker; the same words change nothing."""
    by = annotators(session)
    image_id = add_indexed(session, by=by)
    session.query(Work).delete()
    caption_id = corrections.write_caption(session, image_id, "old", by.embedder, embedding(1))
    assert statements.say(session, {image_id: Said(caption="old")}) == set()
    assert session.scalar(select(Work.image_id)) is None
    assert statements.say(session, {image_id: Said(caption="new")}, priority=work.INTERACTIVE) == {image_id}
    embedded = select(CaptionEmbedding.embedding).where(CaptionEmbedding.caption_id == caption_id)
    assert session.scalar(embedded) is None
    assert session.execute(select(Work.image_id, Work.priority)).all() == [(image_id, work.INTERACTIVE)]


@pytest.mark.parametrize("said", [Said(tags=(" ",)), Said(collection="x" * 201)])
def test_names_have_limits(session: Session, said: Said) -> None:
    """As where they are made by hand."""
    with pytest.raises(QueryError):
        statements.say(session, {add_indexed(session): said})
