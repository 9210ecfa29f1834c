"""Queries of every kind, for property-based tests."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from indexer.query import (
    Ago,
    All,
    Any,
    Between,
    ExampleTerm,
    Has,
    ImageTerm,
    Node,
    Not,
    OneOf,
    Order,
    Query,
    Rejected,
    TagIs,
    TextTerm,
    normal,
)
from indexer.query.keys import ANNOTATING, BY_NAME, FIELDS, FORMATS, ORDERS
from indexer.query.tree import RangeKey
from indexer.vocabulary import canonical

# What people type, with everything that means something to the grammar in it.
characters = st.one_of(
    st.sampled_from(" -|()\"'\\:,^*.<>=~_“”or and10狗é🐕\t"),
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
)
texts = st.text(characters, min_size=1, max_size=30).filter(str.strip)
weights = st.floats(-1000, 1000).filter(lambda weight: weight != 0)
terms = st.one_of(
    st.builds(TextTerm, texts, st.just(1.0) | weights),
    st.builds(ImageTerm, st.integers(0, 10**17), st.just(1.0) | weights),
    st.builds(ExampleTerm, st.from_regex(r"e1\.[A-Za-z0-9_-]{1,40}", fullmatch=True), weights),
)
names = texts.map(canonical).filter(lambda name: name and canonical(name) == name)
confidences = st.none() | st.floats(0, 1)


@st.composite
def tags(draw: st.DrawFn) -> TagIs:
    """A tag, perhaps within confidences, perhaps by someone."""
    low, high = draw(confidences), draw(confidences)
    if low is not None and high is not None and low > high:
        low, high = high, low
    return TagIs(
        draw(names),
        low,
        high,
        draw(st.none() | st.sampled_from(ANNOTATING)),  # type: ignore[arg-type]
        min_open=low is not None and draw(st.booleans()),
        max_open=high is not None and draw(st.booleans()),
    )


_whole = st.integers(0, 10**15)
_positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False, max_value=1e15)
_moments = st.datetimes(datetime(1, 1, 2), datetime(9998, 12, 31)) | st.dates(
    datetime(2, 1, 1).date(), datetime(9998, 12, 31).date()
).map(lambda day: datetime(day.year, day.month, day.day))


@st.composite
def ranges(draw: st.DrawFn) -> Between:
    """A range of any key, either end of which may be open or missing."""
    keys: list[RangeKey] = ["taken", "added", "width", "height", "ratio", "size", "tagcount", "id"]
    key = draw(st.sampled_from(keys))
    if key in ("taken", "added") and draw(st.booleans()):
        days = sorted(draw(st.lists(st.integers(0, 36_000), min_size=2, max_size=2)), reverse=True)
        low, high = draw(st.sampled_from([(days[0], None), (None, days[1]), (days[0], days[1] - 1)]))
        return Between(
            key,
            None if low is None else Ago(low),
            None if high is None else Ago(high),
            high_open=high is not None,
        )
    zone = UTC if key == "added" else None
    moments = _moments.map(lambda moment: moment.replace(tzinfo=zone))
    values = {"taken": moments, "added": moments, "ratio": _positive}.get(key, _whole)
    bounds = [draw(st.none() | values), draw(st.none() | values)]
    if None not in bounds:
        bounds.sort()
    return Between(
        key,
        *bounds,
        low_open=bounds[0] is not None and draw(st.booleans()),
        high_open=bounds[1] is not None and draw(st.booleans()),
    )


@st.composite
def values(draw: st.DrawFn) -> OneOf:
    """One of several values of any key that has them."""
    key = draw(st.sampled_from(["source", "format", "sku", "title", "collection", "path", "origin"]))
    choices = BY_NAME[key].choices
    value = st.sampled_from(choices) if choices else texts
    return OneOf(key, tuple(draw(st.lists(value, min_size=1, max_size=3, unique=True))))  # type: ignore[arg-type]


leaves = st.one_of(
    *(tags(), names.map(Rejected), ranges(), values()),
    st.sampled_from(FIELDS).map(Has),  # type: ignore[arg-type]
)


def _grown(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    parts = st.lists(nodes, max_size=4).map(tuple)
    return st.one_of(parts.map(All), parts.map(Any), nodes.map(Not))


nodes: st.SearchStrategy[Node] = st.recursive(leaves, _grown, max_leaves=12).map(normal)
orders = st.none() | st.builds(Order, st.sampled_from(ORDERS), st.booleans())  # type: ignore[arg-type]
queries = st.builds(Query, st.lists(terms, max_size=4).map(tuple), nodes, orders)

assert set(FORMATS) == set(BY_NAME["format"].choices)
