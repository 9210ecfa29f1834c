"""What the images of a result have in common."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import annotations
from indexer.errors import QueryError
from indexer.postings import FacetValue, Postings, View
from indexer.postings.facets import commonest, conjuncts
from indexer.postings.sets import Family
from indexer.query import EVERYTHING, All, Any, Between, Has, Node, Not, OneOf, TagIs
from tests import catalogue

Sessions = sessionmaker[Session]
LIBRARY = (
    ({"dog": 0.9, "snow": 0.9}, 2023, "jpeg"),
    ({"dog": 0.4, "red": 0.9}, 2024, "jpeg"),
    ({"cat": 0.9, "red": 0.9}, 2024, "png"),
    ({"cat": 0.9}, None, "png"),
)


@pytest.fixture
def view(sessions: Sessions, session: Session, postings: Postings, tag_ids: dict[str, int]) -> View:
    """Four images: two dogs, two cats."""
    with sessions.begin() as writing:
        by = catalogue.annotators(writing)
        for tags, year, format_ in LIBRARY:
            taken = year and datetime(year, 6, 1)
            catalogue.add_indexed(writing, tags, by, taken_at=taken, format=format_)
    return postings.view(session)


def _tag(view: View, name: str, least: float | None = None) -> TagIs:
    found = view.session.execute(text("SELECT id FROM tags WHERE name = :name"), {"name": name})
    return TagIs(name, least, tag_id=found.scalar_one())


def _year(first: int, last: int) -> Between:
    return Between("taken", datetime(first, 1, 1), datetime(last + 1, 1, 1), high_open=True)


def _rows(view: View, node: Node, field: str, **more: int) -> list[tuple[str, int, str | None]]:
    return [(row.value, row.count, row.selected) for row in view.facets(node, None, [field], **more)[field]]


def test_of_everything(view: View) -> None:
    """All values, the commonest first, then by name."""
    assert _rows(view, EVERYTHING, "tag") == [
        ("cat", 2, None),
        ("dog", 2, None),
        ("red", 2, None),
        ("snow", 1, None),
    ]
    assert _rows(view, EVERYTHING, "year") == [("2024", 2, None), ("2023", 1, None)]
    assert _rows(view, EVERYTHING, "format") == [("jpeg", 2, None), ("png", 2, None)]
    assert _rows(view, EVERYTHING, "source") == [("model", 4, None)]
    assert _rows(view, EVERYTHING, "collection") == []


def test_tags_within_the_result(view: View) -> None:
    """As many as adding the tag would leave, none that leaves nothing; the tag asked for is marked."""
    assert _rows(view, _tag(view, "dog"), "tag") == [
        ("dog", 2, "include"),
        ("red", 1, None),
        ("snow", 1, None),
    ]


def test_a_tag_surely(view: View) -> None:
    """What is asked of its confidence is part of the tag's own condition."""
    assert _rows(view, _tag(view, "dog", 0.5), "tag") == [("dog", 2, "include"), ("snow", 1, None)]


@pytest.mark.parametrize("grouped", [False, True])
def test_tags_excluded(view: View, grouped: bool) -> None:
    """Each says how many it would add back, alone or excluded together."""
    red, cat = _tag(view, "red"), _tag(view, "cat")
    node = Not(Any((red, cat))) if grouped else All((Not(red), Not(cat)))
    assert _rows(view, node, "tag") == [
        ("cat", 1, "exclude"),
        ("dog", 1, None),
        ("red", 1, "exclude"),
        ("snow", 1, None),
    ]


def test_one_of_two_tags_is_not_chosen(view: View) -> None:
    """`dog or cat` leaves both to be added."""
    node = Any((_tag(view, "dog"), _tag(view, "cat")))
    assert ("dog", 2, None) in _rows(view, node, "tag")


def test_a_field_ignores_its_own_conditions(view: View) -> None:
    """Of other fields' conditions nothing is ignored."""
    node = All((OneOf("format", ("png",)), _year(2024, 2024)))
    assert _rows(view, node, "format") == [("jpeg", 1, None), ("png", 1, "include")]
    assert _rows(view, node, "year") == [("2024", 1, "include")]
    assert _rows(view, node, "tag") == [("cat", 1, None), ("red", 1, None)]


YEARS_CHOSEN: list[tuple[Node, set[str]]] = [
    (_year(2024, 2024), {"2024"}),
    (_year(2023, 2024), {"2023", "2024"}),
    (Any((_year(2023, 2023), _year(2024, 2024))), {"2023", "2024"}),
    (Between("taken", low=datetime(2023, 1, 1)), {"2023", "2024"}),
    (Between("taken", low=datetime(2023, 1, 1), low_open=True), {"2024"}),
    (Between("taken", datetime(2023, 1, 1), datetime(2023, 12, 31)), set()),
    (Between("taken", high=datetime(2023, 12, 31, 23, 59, 59, 999999)), {"2023"}),
]


def test_years_chosen(view: View) -> None:
    """Those a range covers from the first day to the last; every year is listed all the same."""
    for node, chosen in YEARS_CHOSEN:
        rows = _rows(view, node, "year")
        assert {value for value, _, selected in rows if selected} == chosen
        assert [(value, images) for value, images, _ in rows] == [("2024", 2), ("2023", 1)]


def test_chosen_though_nothing_has_it(view: View) -> None:
    """It is listed with 0: how else could one take it back."""
    assert ("heic", 0, "include") in _rows(view, OneOf("format", ("heic",)), "format")
    assert ("2001", 0, "exclude") in _rows(view, Not(_year(2001, 2001)), "year")
    assert ("snow", 0, "include") in _rows(view, All((_tag(view, "snow"), _tag(view, "cat"))), "tag")


def test_excluded_outweighs_included(view: View) -> None:
    """A value both asked for and refused."""
    node = All((OneOf("format", ("jpeg", "png")), Not(OneOf("format", ("png",)))))
    assert _rows(view, node, "format") == [("jpeg", 2, "include"), ("png", 2, "exclude")]


def test_what_excluding_leaves(view: View) -> None:
    """Of the result, or of what it would be without the value's own condition."""

    def left(node: Node, field: str) -> dict[str, int]:
        return {row.value: row.without for row in view.facets(node, None, [field])[field]}

    assert left(EVERYTHING, "source") == {"model": 0}
    assert left(_tag(view, "snow"), "tag") == {"snow": 3, "dog": 0}
    assert left(All((_tag(view, "snow"), _tag(view, "dog"))), "tag") == {"snow": 1, "dog": 0}
    assert left(OneOf("format", ("png",)), "format") == {"png": 2, "jpeg": 2}
    assert left(All((_year(2023, 2023), Not(_tag(view, "snow")))), "year") == {"2023": 3, "2024": 0}


def test_what_is_excluded_stays_out_of_other_values(sessions: Sessions, session: Session, view: View) -> None:
    """An image may have several sources: asked for beside an exclusion, one finds fewer, or is not listed."""
    first = view.searchable.min()
    with sessions.begin() as writing:
        person = annotations.annotator_id(writing, "person", "you")
        writing.execute(
            text("INSERT INTO image_tags SELECT :image, id, :who, 1, false FROM tags WHERE name = 'dog'"),
            {"image": first, "who": person},
        )
    now = Postings().view(session)
    assert _rows(now, EVERYTHING, "source") == [("model", 4, None), ("human", 1, None)]
    assert _rows(now, Not(OneOf("source", ("model",))), "source") == [("model", 4, "exclude")]
    assert _rows(now, Not(OneOf("source", ("human",))), "source") == [
        ("model", 3, None),
        ("human", 1, "exclude"),
    ]


def test_among(view: View) -> None:
    """Only images that rank high enough are counted, for every field, whatever it ignores."""
    among = BitMap(list(view.searchable)[:2])
    counted = view.facets(OneOf("format", ("png",)), among, ["format", "tag"])
    assert counted["format"] == [FacetValue("jpeg", 2, 0), FacetValue("png", 0, 2, "include")]
    assert counted["tag"] == []


def test_limit(view: View) -> None:
    """So many that are not chosen; those chosen are always listed."""
    assert _rows(view, _tag(view, "dog"), "tag", limit=1) == [("dog", 2, "include"), ("red", 1, None)]
    assert _rows(view, _tag(view, "dog"), "tag", limit=0) == [("dog", 2, "include")]


def test_rejected_and_not_searchable(sessions: Sessions, session: Session, view: View) -> None:
    """Neither counts."""
    first, second = list(view.searchable)[:2]
    with sessions.begin() as writing:
        person = annotations.annotator_id(writing, "person", "you")
        writing.execute(
            text("INSERT INTO image_tags SELECT :image, id, :who, 0, true FROM tags WHERE name = 'dog'"),
            {"image": first, "who": person},
        )
        writing.execute(text("UPDATE images SET state = 'pending' WHERE id = :id"), {"id": second})
    rows = _rows(Postings().view(session), EVERYTHING, "tag")
    assert rows == [("cat", 2, None), ("red", 1, None), ("snow", 1, None)]


def test_unknown_field(view: View) -> None:
    """Says which there are."""
    with pytest.raises(QueryError, match=r"colour.*tag, year, format, source, collection"):
        view.facets(EVERYTHING, None, ["colour"])


def test_conjuncts() -> None:
    """What must all hold, taken apart; what need not all hold stays together."""
    a, b, c = Has("caption"), Has("title"), Has("place")
    assert conjuncts(All((a, All((b, Not(c)))))) == (a, b, Not(c))
    assert conjuncts(Not(Any((a, Not(b))))) == (Not(a), b)
    assert conjuncts(Any((a, b))) == (Any((a, b)),)
    assert conjuncts(Not(All((a, b)))) == (Not(All((a, b))),)
    assert conjuncts(EVERYTHING) == ()


@given(
    st.lists(st.sets(st.integers(1, 20)), max_size=12),
    st.sets(st.integers(1, 20)),
    st.integers(0, 5),
    st.sets(st.integers(0, 11)),
    st.integers(20, 400),
)
def test_commonest(
    members: list[set[int]], among: set[int], limit: int, without: set[int], library: int
) -> None:
    """The same as counting every value: none is given up too early, ties with the last are kept."""
    groups = ((key, np.array(sorted(ids), np.int64)) for key, ids in enumerate(members))
    family = Family.of(groups, BitMap(range(library + 1)))  # the larger, the more values in a block
    counts = {key: len(ids & among) for key, ids in enumerate(members) if key not in without and ids & among}
    ranked = sorted(counts.values(), reverse=True)
    least = ranked[limit - 1] if 0 < limit <= len(ranked) else 1
    expected = {(images, key) for key, images in counts.items() if images >= least} if limit else set()
    assert set(commonest(family, BitMap(among), limit, without)) == expected
