"""Reading an index from wherever a page ended."""

from datetime import datetime

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from indexer.catalog import browsing, images
from indexer.catalog.browsing import Stretch
from indexer.tables import Image
from tests import catalogue

DAYS = (3, 1, 2, 2, None)


@pytest.fixture
def image_ids(session: Session) -> list[int]:
    """Five images, two taken at one moment, one without a date."""
    found = sorted(row.image_id for row in images.register(session, [catalogue.new_file() for _ in DAYS]))
    for image_id, day in zip(found, DAYS, strict=True):
        taken = day and datetime(2024, 1, day)
        session.execute(
            update(Image).where(Image.id == image_id).values(taken_at=taken, bytes=100 * (day or 0))
        )
    return found


def _taken(descending: bool) -> Stretch:
    return Stretch("taken", datetime.min, None, descending)


def test_walk(session: Session, image_ids: list[int]) -> None:
    """By value, then by id, both ways; no more than asked for."""
    a, b, c, d, _ = image_ids
    assert [i for _, i in browsing.walk(session, _taken(True), 10)] == [a, d, c, b]
    assert [i for _, i in browsing.walk(session, _taken(False), 10)] == [b, c, d, a]
    assert browsing.walk(session, _taken(False), 1) == [(datetime(2024, 1, 1), b)]


def test_walk_beyond(session: Session, image_ids: list[int]) -> None:
    """From a place on, which may lie between two images of one moment."""
    a, b, c, d, undated = image_ids
    here = _taken(True).beyond((datetime(2024, 1, 2), d))
    assert [i for _, i in browsing.walk(session, here, 10)] == [c, b]
    size = Stretch("size", 0, None, descending=False).beyond((200, c))
    assert browsing.walk(session, size, 10) == [(200, d), (300, a)]
    assert browsing.walk(session, Stretch("size", 0, 100), 10) == [(0, undated)]


def test_places(session: Session, image_ids: list[int]) -> None:
    """Only these images, in the same order, within the same bounds."""
    a, b, c, _, undated = image_ids
    assert [i for _, i in browsing.places(session, _taken(True), [c, a, undated, b], 2)] == [a, c]
    within = _taken(True).within(datetime(2024, 1, 1), datetime(2024, 1, 2))
    assert [i for _, i in browsing.places(session, within, [a, b, c], 5)] == [b]
    assert browsing.places(session, _taken(True), [], 5) == []


def test_reaches() -> None:
    """Whether anything of a stretch can lie beyond where a page ended."""
    stretch = Stretch("size", 100, 200, descending=True)
    assert stretch.reaches()
    assert stretch.beyond((100, 1)).reaches()
    assert not stretch.beyond((99, 1)).reaches()
    rising = Stretch("size", 100, 200, descending=False)
    assert rising.beyond((199, 1)).reaches()
    assert not rising.beyond((200, 1)).reaches()
    assert rising.within(100, None).beyond((10**9, 1)).reaches()
