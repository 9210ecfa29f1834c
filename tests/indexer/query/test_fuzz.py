"""No input of any kind raises anything but a QueryError, and every error points into its text."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import QuerySyntaxError
from indexer.query import KEYS, Query, from_json, parse, to_json, to_text

_examples = [example for key in KEYS for example in key.examples]
_scraps = st.sampled_from(
    [
        *_examples,
        *(f"{key.name}:" for key in KEYS),
        "or",
        "and",
        "|",
        "(",
        ")",
        "-",
        "-(",
        '"',
        "^2",
        "..",
        ">=",
        ",",
    ]
)
_soup = st.lists(_scraps | st.text(max_size=6), max_size=12).map
_text = st.one_of(_soup(" ".join), _soup("".join), st.text())
_scalars = st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | _text
_members = st.sampled_from([
    *(key.name for key in KEYS), "all", "any", "none", "text", "terms", "filter", "order", "image", "example",
    "weight", "name", "min_confidence", "max_confidence", "confidence", "by", "gte", "gt", "lte", "lt",
]) | st.text(max_size=3)  # fmt: skip
_json = st.recursive(
    _scalars,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(_members, part, max_size=4),
    max_leaves=20,
)


def _read(read: Callable[[Any], Query], given: object) -> Query | QuerySyntaxError:
    try:
        return read(given)
    except QuerySyntaxError as error:
        return error


def _points_into(error: QuerySyntaxError, text: str) -> bool:
    return 0 <= error.position <= error.position + error.length <= len(text)


@settings(max_examples=400, deadline=None)
@given(_text)
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever is typed is a query that prints as itself, or an error at its place."""
    read = _read(parse, text)
    if isinstance(read, QuerySyntaxError):
        assert _points_into(read, text)
        assert str(read)
    else:
        assert parse(to_text(read)) == read
        assert from_json(to_json(read)) == read


@settings(max_examples=400, deadline=None)
@given(st.one_of(_json, st.fixed_dictionaries({"filter": _json}), st.fixed_dictionaries({"terms": _json})))
def test_any_json_is_read_or_refused(data: object) -> None:
    """Whatever JSON is sent is a query that prints as itself, or an error at its place."""
    read = _read(from_json, data)
    if isinstance(read, QuerySyntaxError):
        assert read.path
        assert _points_into(read, read.text)
    else:
        assert parse(to_text(read)) == read
        assert from_json(to_json(read)) == read
