"""Searches kept under a name."""

import pytest
from sqlalchemy.orm import Session

from indexer.catalog import saved_searches
from indexer.errors import NameTaken, NotFound, QueryError


def test_kept_changed_and_forgotten(session: Session) -> None:
    """Listed by name, found by id and name; name and query change apart."""
    dogs = saved_searches.create(session, "Dogs", "tag:dog")
    saved_searches.create(session, "Cats ", "tag:cat")
    assert [view.name for view in saved_searches.all_of_them(session)] == ["Cats", "Dogs"]
    saved_searches.change(session, dogs, name="All dogs")
    saved_searches.change(session, dogs, query="tag:dog or tag:puppy")
    saved_searches.change(session, dogs)
    found = saved_searches.find_by_name(session, "All dogs")
    assert (found.id, found.query) == (dogs, "tag:dog or tag:puppy")
    saved_searches.remove(session, dogs)
    for act in (
        lambda: saved_searches.find(session, dogs),
        lambda: saved_searches.find_by_name(session, "All dogs"),
        lambda: saved_searches.change(session, dogs, name="x"),
        lambda: saved_searches.remove(session, dogs),
    ):
        with pytest.raises(NotFound):
            act()


def test_names_are_one_searchs_own(session: Session) -> None:
    """Another's name is refused, given anew or changed to; so is none."""
    saved_searches.create(session, "a", "tag:a")
    other = saved_searches.create(session, "b", "tag:b")
    with pytest.raises(NameTaken):
        saved_searches.create(session, "a", "tag:c")
    with pytest.raises(NameTaken):
        saved_searches.change(session, other, name="a")
    with pytest.raises(QueryError):
        saved_searches.create(session, " ", "tag:c")
    assert saved_searches.find(session, other).name == "b"


def test_there_is_an_end_to_them(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many are kept and no more, and the refusal says what to do."""
    monkeypatch.setattr(saved_searches, "MAX_SAVED", 2)
    for name in "ab":
        saved_searches.create(session, name, "")
    with pytest.raises(QueryError, match="delete one first"):
        saved_searches.create(session, "c", "")
