"""Registration and the road from pending to indexed."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.catalog import annotations, images, jobs, work
from indexer.tables import Caption, ImageTag, Source
from tests.catalogue import add_indexed, annotation, annotators, new_file


def test_same_bytes_twice_are_one_image_with_two_sources(session: Session) -> None:
    """Identity is the content hash."""
    first, second = images.register(
        session, [new_file("a.jpg", content="same"), new_file("b.jpg", content="same")]
    )
    assert first.image_id == second.image_id
    assert session.query(Source).filter_by(image_id=first.image_id).count() == 2


def test_registering_again_changes_nothing(session: Session) -> None:
    """Every step can run twice."""
    files = [new_file(), new_file()]
    before = images.register(session, files)
    assert images.register(session, files) == before
    assert images.count_by_state(session)["pending"] == 2


def test_changed_file_moves_its_source_and_keeps_what_people_said(session: Session) -> None:
    """A person's tag and caption follow the address; the old content is reported for removal."""
    old = images.register(session, [new_file("x.jpg", content="old")])[0].image_id
    annotations.save(session, [annotation(old, {"dog": 0.9})], annotators(session))
    person = annotations.annotator_id(session, "person", "ann")
    tag_id = session.scalars(select(ImageTag.tag_id)).one()
    session.execute(
        insert(ImageTag).values(image_id=old, tag_id=tag_id, annotator_id=person, confidence=1, rejected=True)
    )
    session.execute(insert(Caption).values(image_id=old, annotator_id=person, text="my dog"))
    new = images.register(session, [new_file("x.jpg", content="new")])[0]
    assert new.image_id != old
    assert new.replaced == old
    assert session.scalars(select(ImageTag.rejected).filter_by(image_id=new.image_id)).all() == [True]
    assert session.scalars(select(Caption.text).filter_by(image_id=new.image_id)).all() == ["my dog"]


def test_changed_file_whose_old_content_lives_elsewhere_replaces_nothing(session: Session) -> None:
    """The old image still has a source."""
    images.register(session, [new_file("x.jpg", content="old"), new_file("copy.jpg", content="old")])
    assert images.register(session, [new_file("x.jpg", content="new")])[0].replaced is None


def test_unknown_sku_does_not_erase_a_known_one(session: Session) -> None:
    """Registering without an external id keeps the one given before."""
    images.register(session, [new_file("x.jpg", external_id="SKU-1")])
    images.register(session, [new_file("x.jpg")])
    assert session.scalars(select(Source.external_id)).one() == "SKU-1"


def test_failure_never_undoes_an_indexed_image(session: Session) -> None:
    """A task that runs late cannot take an image back."""
    image_id = add_indexed(session)
    images.fail(session, image_id, "broken", "late")
    assert images.count_by_state(session)["indexed"] == 1


def test_a_new_image_waits_to_be_looked_at_and_a_refused_one_does_not(session: Session) -> None:
    """Work is registered with the image, under its job, and ends with a refusal."""
    job_id = jobs.create(session, "index")
    files = [new_file(), new_file("w.jpg")]
    bad, waiting = (row.image_id for row in images.register(session, files, job_id))
    images.fail(session, bad, "broken", "no picture in it")
    [item] = work.items(session, [bad, waiting], None)
    assert (item.image_id, item.job_id, item.sources) == (waiting, job_id, (("path", "file:///w.jpg"),))
    assert images.failed(session) == [bad]


def test_looking_again_clears_the_reason(session: Session) -> None:
    """A refused image can be tried again."""
    image_id = images.register(session, [new_file()])[0].image_id
    images.fail(session, image_id, "unreadable", "gone")
    assert images.unreadable(session, [image_id]) == [image_id]
    images.look_again(session, [image_id])
    assert [item.image_id for item in work.items(session, [image_id], None)] == [image_id]
    assert images.failed(session) == []


def test_removal_takes_everything_said_with_it(session: Session) -> None:
    """Rows about an image go with it; its hash comes back so that the store can be cleared."""
    image_id = add_indexed(session, {"dog": 0.9})
    assert len(images.remove(session, [image_id])) == 1
    assert session.query(ImageTag).count() == session.query(Caption).count() == 0
