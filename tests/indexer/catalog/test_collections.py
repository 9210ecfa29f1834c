"""Named sets of images."""

import pytest
from sqlalchemy.orm import Session

from indexer.catalog import collections, images
from indexer.errors import NameTaken, NotFound, QueryError
from tests.catalogue import add_indexed


def _counts(session: Session) -> dict[str, int]:
    return {view.name: view.images for view in collections.all_of_them(session)}


def test_images_come_and_go(session: Session) -> None:
    """What is there already, or nowhere, is not counted; images removed from the library are gone here too."""
    ids = [add_indexed(session) for _ in range(3)]
    holiday = collections.create(session, "  Our   holiday ")
    assert collections.add(session, holiday, [*ids, ids[0], 10**12]) == 3
    assert collections.add(session, holiday, ids[:1]) == 0
    assert collections.take_out(session, holiday, [ids[0], 10**12]) == 1
    assert _counts(session) == {"Our holiday": 2}
    images.remove(session, [ids[1]])
    assert collections.find(session, holiday).images == 1


def test_names_are_one_collections_own(session: Session) -> None:
    """A name is given once, to a new collection as to an old one; a refusal harms nothing."""
    first, second = (collections.create(session, name) for name in ("one", "two"))
    with pytest.raises(NameTaken, match="'one' already"):
        collections.create(session, "one")
    with pytest.raises(NameTaken):
        collections.rename(session, second, "one")
    collections.rename(session, first, "three")
    assert set(_counts(session)) == {"two", "three"}
    assert collections.ensure(session, "three") == first
    assert collections.ensure(session, "four") not in {first, second}


@pytest.mark.parametrize("name", ["", " \t ", "x" * 201])
def test_names_that_cannot_be(session: Session, name: str) -> None:
    """Nothing and a novel are no names."""
    with pytest.raises(QueryError):
        collections.create(session, name)


def test_what_is_not_there(session: Session) -> None:
    """A collection that does not exist, or not any more, is not found by anything."""
    gone = collections.create(session, "gone")
    collections.remove(session, gone)
    for act in (
        lambda: collections.find(session, gone),
        lambda: collections.rename(session, gone, "new"),
        lambda: collections.remove(session, gone),
        lambda: collections.add(session, gone, [1]),
        lambda: collections.take_out(session, gone, [1]),
    ):
        with pytest.raises(NotFound):
            act()
