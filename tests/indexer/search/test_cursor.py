"""Cursors survive the journey, and only in their own search."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import QueryError
from indexer.query import Order, Query, TextTerm
from indexer.search import cursor
from indexer.search.cursor import Cursor

NUMBERS = st.floats(-1e6, 1e6, width=32)


@given(st.tuples(NUMBERS, st.integers(1, 2**62 - 1)), st.one_of(st.none(), NUMBERS), NUMBERS)
def test_a_cursor_is_read_as_it_was_written(
    after: tuple[float, int], floor: float | None, mean: float
) -> None:
    """To the last digit: pages are joined by comparing scores."""
    written = Cursor("abc", after, {"image": (mean, 0.1)}, floor)
    assert cursor.read(str(written), "abc") == written


def test_another_search_refuses_it() -> None:
    """The digest knows terms, order and choices apart."""
    query = Query((TextTerm("a dog"),))
    own = cursor.digest(query, False)
    others = [cursor.digest(query, True), cursor.digest(Query(query.terms, order=Order("taken")), False)]
    assert own not in others
    with pytest.raises(QueryError, match="another search"):
        cursor.read(str(Cursor(others[0], (1.0, 2))), own)


@given(st.text(max_size=40))
def test_anything_else_is_called_damaged(text: str) -> None:
    """Never another error."""
    with pytest.raises(QueryError):
        cursor.read(text, "abc")


@pytest.mark.parametrize("content", [[], 1, {"v": 1}, {"v": 2}, {"v": 1, "scales": 3, "floor": "x"}])
def test_well_formed_nonsense_is_damaged_too(content: object) -> None:
    """Base64 of JSON that is no cursor."""
    text = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    with pytest.raises(QueryError, match="damaged"):
        cursor.read(text, "abc")
