"""Pages of a result in an order, at a cost that does not grow with the library."""

from datetime import datetime, timedelta

import pytest
from pyroaring import BitMap
from sqlalchemy import event, text
from sqlalchemy.orm import Session, sessionmaker

from indexer.errors import QueryError
from indexer.postings import Postings, View
from indexer.query import Order

Sessions = sessionmaker[Session]
IMAGES = 3_000
FIRST = datetime(2010, 1, 1)


@pytest.fixture
def view(sessions: Sessions, session: Session, postings: Postings) -> View:
    """3,000 images, one taken each day from 2010 on, every tenth without a date; sizes that repeat."""
    with sessions.begin() as writing:
        writing.execute(
            text(
                "INSERT INTO images (content_hash, state, bytes, taken_at)"
                " SELECT sha256(i::text::bytea), 'indexed', 1000 * (i % 700),"
                " CASE WHEN i % 10 > 0 THEN CAST(:first AS timestamp) + i * interval '1 day' END"
                " FROM generate_series(1, :images) i"
            ),
            {"first": FIRST, "images": IMAGES},
        )
        writing.execute(text("ANALYZE images"))
    return postings.view(session)


def _walk(view: View, ids: BitMap, order: Order, limit: int) -> list[int]:
    """All pages, one after the other."""
    found, after = view.page(ids, order, limit)
    while after:
        page, after = view.page(ids, order, limit, after)
        found += page
    return found


def _expected(view: View, ids: BitMap, order: Order) -> list[int]:
    rows = view.session.execute(text("SELECT id, taken_at, bytes FROM images")).all()
    column = {"added": 0, "taken": 1, "size": 2}[order.key]
    chosen = [row for row in rows if row.id in ids]
    known = [row for row in chosen if row[column] is not None]
    unknown = [row for row in chosen if row[column] is None]
    known.sort(key=lambda row: (row[column], row.id), reverse=order.descending)
    unknown.sort(key=lambda row: row.id, reverse=order.descending)
    return [row.id for row in known + unknown]


@pytest.mark.parametrize("key", ["added", "taken", "size"])
def test_pages_hold_everything_once(view: View, key: str) -> None:
    """Of everything, of every seventh, of one end only, of three, of none; both ways."""
    spans = (range(1, IMAGES + 1), range(1, IMAGES, 7), range(1, 400), range(2900, 3000), (5, 10, 2990), ())
    for chosen in map(BitMap, spans):
        for descending in (True, False):
            order = Order(key, descending)  # type: ignore[arg-type]
            assert _walk(view, chosen, order, 500) == _expected(view, chosen, order)


def test_images_come_and_go(sessions: Sessions, postings: Postings, view: View) -> None:
    """Pages of a library that changes between them: none that stayed is lost or comes twice."""
    order = Order("taken")
    stayed = set(view.searchable)
    found, after = view.page(view.searchable, order, 100)
    while after:
        with sessions.begin() as writing:
            gone = writing.execute(
                text(
                    "DELETE FROM images WHERE id = (SELECT id FROM images ORDER BY random() LIMIT 1) RETURNING id"
                )
            ).scalar_one()
            writing.execute(
                text(
                    "INSERT INTO images (content_hash, state, bytes, taken_at)"
                    " SELECT sha256(random()::text::bytea), 'indexed', 1, CAST(:first AS timestamp)"
                    " + random() * interval '3000 days'"
                ),
                {"first": FIRST},
            )
        stayed.discard(gone)
        with sessions() as session:
            now = postings.view(session)
            page, after = now.page(now.searchable, order, 100, after)
        found += page
    assert len(found) == len(set(found))
    assert stayed <= set(found)


@pytest.mark.parametrize("key", ["taken", "size"])
def test_a_page_costs_little(view: View, key: str) -> None:
    """However many images, and wherever in the order they are: a few statements with a few rows."""
    view.family("year")
    view.family("size")
    rows: list[int] = []
    engine = view.session.get_bind()
    event.listen(engine, "after_cursor_execute", lambda c, cursor, *_: rows.append(cursor.rowcount))
    spans = (
        *(range(1, IMAGES + 1), range(1, 60), range(2950, 3000)),
        *(range(1, 3000, 100), range(1, 3000, 3)),
    )
    for chosen in spans:
        rows.clear()
        page, _ = view.page(BitMap(chosen), Order(key), 20)  # type: ignore[arg-type]
        assert len(page) == 20
        assert len(rows) <= 4
        assert sum(rows) <= 600


def test_where_a_page_ends(view: View) -> None:
    """Microseconds or bytes, then the id; None where there is no value, or no more."""
    day = timedelta(days=1)
    assert view.page(BitMap([1, 2, 3]), Order("taken"), 1)[1] == (
        (FIRST + 3 * day - datetime(1970, 1, 1)) // timedelta(microseconds=1),
        3,
    )
    assert view.page(BitMap([1, 2, 3]), Order("size"), 2)[1] == (2000, 2)
    assert view.page(BitMap([10, 20]), Order("taken"), 1) == ([20], (None, 20))
    assert view.page(BitMap([1, 2, 3]), Order("added"), 3) == ([3, 2, 1], None)


def test_beyond_either_end(view: View) -> None:
    """A page after an image that never was."""
    rising, falling = Order("added", descending=False), Order("added")
    few = BitMap([1, 2])
    assert [view.page(few, order, 5, (None, 0))[0] for order in (rising, falling)] == [[1, 2], []]
    assert [view.page(few, order, 5, (None, 10**9))[0] for order in (rising, falling)] == [[], [2, 1]]


def test_order_by_relevance(view: View) -> None:
    """Nothing is ranked here."""
    with pytest.raises(QueryError, match="relevance"):
        view.page(view.searchable, Order("relevance"), 5)
