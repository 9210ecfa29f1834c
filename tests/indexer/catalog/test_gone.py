"""Files that are no longer where they were."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from indexer.catalog import gone, images
from indexer.catalog.gone import Gone
from indexer.tables import Source
from tests.catalogue import new_file


def _uris(session: Session) -> list[str]:
    return list(session.scalars(select(Source.uri).order_by(Source.uri)))


def test_a_renamed_file_has_one_place(session: Session) -> None:
    """Found under its new name, it is no longer said to be under the old one."""
    old, new = new_file("old.jpg", "same"), new_file("new.jpg", "same")
    image_id = images.register(session, [old, new])[0].image_id
    assert gone.note(session, [old.uri]) == [Gone(old.uri, image_id, elsewhere=True)]
    assert _uris(session) == [new.uri]


def test_the_last_place_is_kept(session: Session) -> None:
    """An image is never left without one: of two copies gone at once one place stays; unknown files are nothing."""
    both = [new_file("a.jpg", "same"), new_file("b.jpg", "same")]
    image_id = images.register(session, both)[0].image_id
    noted = gone.note(session, [file.uri for file in both] + ["file:///never.jpg"])
    assert noted == [
        Gone(both[0].uri, image_id, elsewhere=True),
        Gone(both[1].uri, image_id, elsewhere=False),
    ]
    assert _uris(session) == [both[1].uri]


def test_a_folder_is_all_below_it(session: Session) -> None:
    """And nothing that only begins like it."""
    files = [new_file("in/a.jpg"), new_file("in/deep/b.jpg"), new_file("inner/c.jpg"), new_file("in_x.jpg")]
    images.register(session, files)
    noted = gone.note(session, ["file:///in"])
    assert [one.uri for one in noted] == ["file:///in/a.jpg", "file:///in/deep/b.jpg"]
    assert not any(one.elsewhere for one in noted)
    assert len(_uris(session)) == 4
