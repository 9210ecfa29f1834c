"""Searches kept under a name, as canonical query text."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from indexer.catalog import own_names
from indexer.errors import NotFound, QueryError
from indexer.tables import SavedSearch

WHAT = "saved search"
MAX_SAVED = 1_000


@dataclass(frozen=True)
class SavedView:
    """A saved search."""

    id: int
    name: str
    query: str
    created_at: datetime


def all_of_them(session: Session) -> list[SavedView]:
    """Every saved search, by name; there are at most 1,000."""
    return [_view(row) for row in session.scalars(select(SavedSearch).order_by(SavedSearch.name))]


def find(session: Session, search_id: int) -> SavedView:
    """One saved search. Raises NotFound."""
    row = session.get(SavedSearch, search_id)
    if row is None:
        raise _no_such(search_id)
    return _view(row)


def find_by_name(session: Session, name: str) -> SavedView:
    """The saved search of this name. Raises NotFound."""
    row = session.scalar(select(SavedSearch).where(SavedSearch.name == own_names.kept(name, WHAT)))
    if row is None:
        raise NotFound(f"No saved search is called {name!r}; `sightline searches` lists them.")
    return _view(row)


def create(session: Session, name: str, query: str) -> int:
    """Keep a search; its id. `query` is canonical query text.

    Raises:
        QueryError: the name is empty or too long, or there are too many saved searches.
        NameTaken: another saved search has it.
    """
    if len(session.scalars(select(SavedSearch.id)).all()) >= MAX_SAVED:
        raise QueryError(f"There are {MAX_SAVED:,} saved searches already; delete one first.")
    created = session.scalar(
        insert(SavedSearch)
        .values(name=own_names.kept(name, WHAT), query=query)
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(SavedSearch.id)
    )
    if created is None:
        raise own_names.taken(name, WHAT)
    return created


def change(session: Session, search_id: int, name: str | None = None, query: str | None = None) -> None:
    """Give a saved search another name, another query, or both. Raises as `create`, and NotFound."""
    values = {} if name is None else {"name": own_names.kept(name, WHAT)}
    values |= {} if query is None else {"query": query}
    find(session, search_id)
    if not values:
        return
    try:
        with session.begin_nested():
            session.execute(update(SavedSearch).where(SavedSearch.id == search_id).values(values))
    except IntegrityError as error:
        raise own_names.taken(name or "", WHAT) from error


def remove(session: Session, search_id: int) -> None:
    """Forget a saved search. Raises NotFound."""
    statement = delete(SavedSearch).where(SavedSearch.id == search_id)
    if session.scalar(statement.returning(SavedSearch.id)) is None:
        raise _no_such(search_id)


def _view(row: SavedSearch) -> SavedView:
    return SavedView(row.id, row.name, row.query, row.created_at)


def _no_such(search_id: int) -> NotFound:
    return NotFound(f"There is no saved search {search_id}; `GET /v1/searches` lists them.")
