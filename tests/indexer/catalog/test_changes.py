"""Which images have changed since one last looked, while others write."""

from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import annotations, changes, corrections, edits, images, tags
from indexer.tables import Collection, CollectionImage, Image, Source
from tests import catalogue

Sessions = sessionmaker[Session]


@pytest.fixture
def image_ids(sessions: Sessions) -> list[int]:
    """Three indexed images; the person and the tags of the tests are known, so that writers do not wait."""
    with sessions.begin() as session:
        annotations.annotator_id(session, "person", corrections.PERSON)
        tags.ensure(session, ["cat", "dog"])
        return [catalogue.add_indexed(session, {"dog": 0.9}) for _ in range(3)]


def _moment(sessions: Sessions) -> changes.Snapshot:
    with sessions() as session:
        return changes.snapshot(session)


def _since(sessions: Sessions, before: changes.Snapshot) -> set[int]:
    with sessions() as session:
        return set(changes.since(session, before).tolist())


def _assert_cat(session: Session, image_id: int) -> None:
    edits.make(session, [image_id], edits.Wish(add=["cat"]))


def _reject_dog(session: Session, image_id: int) -> None:
    edits.make(session, [image_id], edits.Wish(reject=["dog"]))


def _write_caption(session: Session, image_id: int) -> None:
    embedder = annotations.annotator_id(session, "embedder", "test", "1")
    corrections.write_caption(session, image_id, "a dog", embedder, catalogue.embedding(1))


def _annotate_again(session: Session, image_id: int) -> None:
    annotations.save(session, [catalogue.annotation(image_id)], catalogue.annotators(session))


def _reset(session: Session, image_id: int) -> None:
    images.reset(session, [image_id], "pending")


def _collect(session: Session, image_id: int) -> None:
    collection = session.scalar(insert(Collection).values(name="holiday").returning(Collection.id))
    session.execute(insert(CollectionImage).values(collection_id=collection, image_id=image_id))


def _remove(session: Session, image_id: int) -> None:
    images.remove(session, [image_id])


def _add_source(session: Session, image_id: int) -> None:
    session.execute(insert(Source).values(image_id=image_id, kind="url", uri="http://example.org/1.jpg"))


def test_a_caption_taken_back_is_a_change(sessions: Sessions, image_ids: list[int]) -> None:
    """It is searched no more; where there was none, nothing has changed."""
    with sessions.begin() as session:
        _write_caption(session, image_ids[0])
    before = _moment(sessions)
    with sessions.begin() as session:
        for image_id in image_ids[:2]:
            corrections.take_back_caption(session, image_id)
    assert _since(sessions, before) == {image_ids[0]}


@pytest.mark.parametrize(
    "write",
    [_assert_cat, _reject_dog, _write_caption, _annotate_again, _reset, _collect, _remove, _add_source],
)
def test_every_change_is_seen(
    sessions: Sessions, image_ids: list[int], write: Callable[[Session, int], None]
) -> None:
    """Whatever one may search by: the image is named, its neighbours are not."""
    before = _moment(sessions)
    with sessions.begin() as session:
        write(session, image_ids[1])
    assert _since(sessions, before) == {image_ids[1]}


def test_a_collection_removed_changes_its_images(sessions: Sessions, image_ids: list[int]) -> None:
    """Rows that a foreign key takes along count as well."""
    with sessions.begin() as session:
        _collect(session, image_ids[0])
    before = _moment(sessions)
    with sessions.begin() as session:
        session.execute(delete(Collection))
    assert _since(sessions, before) == {image_ids[0]}


def test_a_source_that_moves_changes_both(sessions: Sessions, image_ids: list[int]) -> None:
    """The image it named before and the one it names now."""
    before = _moment(sessions)
    with sessions.begin() as session:
        moved = select(func.min(Source.id)).where(Source.image_id == image_ids[0]).scalar_subquery()
        session.execute(update(Source).where(Source.id == moved).values(image_id=image_ids[2]))
    assert _since(sessions, before) == {image_ids[0], image_ids[2]}


def test_nothing_is_named_twice(sessions: Sessions, image_ids: list[int]) -> None:
    """What could be seen at the last look is not told again, though an older writer is still at work."""
    with sessions() as old:
        old.execute(insert(Collection).values(name="unrelated"))
        with sessions.begin() as session:
            _assert_cat(session, image_ids[0])
        assert _since(sessions, _moment(sessions)) == set()
        old.rollback()


def test_early_transaction_that_commits_late(sessions: Sessions, image_ids: list[int]) -> None:
    """A lower number than one already seen: not to be missed."""
    early, late = sessions(), sessions()
    first, second, _ = image_ids
    start = _moment(sessions)
    _assert_cat(early, first)
    numbers = [early.scalar(text("SELECT pg_current_xact_id()::text::bigint"))]
    _reject_dog(late, second)
    numbers.append(late.scalar(text("SELECT pg_current_xact_id()::text::bigint")))
    late.commit()
    assert numbers == sorted(numbers)
    with sessions() as session:
        between = changes.look(session, start)
    assert set(between.image_ids.tolist()) == {second}
    early.commit()
    with sessions() as session:
        after = changes.look(session, between.snapshot)
    assert set(after.image_ids.tolist()) == {first}
    with sessions() as session:
        assert changes.look(session, after.snapshot).image_ids.size == 0
    early.close()
    late.close()


def test_the_later_of_two_changes_of_one_image(sessions: Sessions, image_ids: list[int]) -> None:
    """An image seen changed is named again when an older transaction changes it afterwards."""
    with sessions() as early:
        early.execute(insert(Collection).values(name="takes a number"))
        start = _moment(sessions)
        with sessions.begin() as late:
            _reject_dog(late, image_ids[0])
        between = _moment(sessions)
        assert _since(sessions, start) == {image_ids[0]}
        early.execute(update(Image).where(Image.id == image_ids[0]).values(title="renamed"))
        early.commit()
    assert _since(sessions, between) == {image_ids[0]}


def test_rolled_back(sessions: Sessions, image_ids: list[int]) -> None:
    """Nothing happened."""
    before = _moment(sessions)
    with sessions() as session:
        _assert_cat(session, image_ids[0])
        session.rollback()
    assert _since(sessions, before) == set()


def test_own_writing_is_noticed(sessions: Sessions, image_ids: list[int]) -> None:
    """A session that has written knows more than others may."""
    with sessions() as session:
        before = changes.snapshot(session)
        assert not changes.has_written(session)
        assert not changes.look(session, before).uncommitted
        _assert_cat(session, image_ids[0])
        assert changes.has_written(session)
        assert changes.look(session, before).uncommitted


def test_ids_are_plain_numbers(sessions: Sessions, image_ids: list[int]) -> None:
    """int64, native order, one an image."""
    with sessions() as session:
        found = changes.since(session, "1:1:")
    assert found.dtype == np.dtype(np.int64)
    assert sorted(found.tolist()) == image_ids
