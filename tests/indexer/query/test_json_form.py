"""Queries as JSON, and where a slip in one is."""

from datetime import UTC, datetime
from typing import Any

import pytest

from indexer.errors import QuerySyntaxError
from indexer.query import Ago, Between, TagIs, from_json, parse, to_json, to_text

TWINS: list[tuple[str, dict[str, Any]]] = [
    ("a dog", {"text": "a dog"}),
    ("", {}),
    ("tag:dog", {"filter": {"tag": "dog"}}),
    ('"a:b or (c"', {"text": "a:b or (c"}),
    ("tag:dog,>=0.8,human", {"filter": {"tag": {"name": "dog", "min_confidence": 0.8, "by": "human"}}}),
    ("tag:dog,>0.8", {"filter": {"tag": {"name": "dog", "confidence": ">80%"}}}),
    ("tag:dog,0.5..0.8", {"filter": {"tag": {"name": "dog", "confidence": "0.5..0.8"}}}),
    ("tag:dog,cat", {"filter": {"tag": ["dog", "cat"]}}),
    ('tag:"a,b"', {"filter": {"tag": "a,b"}}),
    ("tag:dog tag:cat", {"filter": {"all": ["dog", "cat"]}}),
    ("dog or cat", {"filter": {"any": ["dog", {"tag": "cat"}]}}),
    ("-(dog or cat)", {"filter": {"none": ["dog", "cat"]}}),
    ("-dog", {"filter": {"none": ["dog"]}}),
    ("tag:dog (width:>2000 or format:png)", {
        "filter": {"tag": "dog", "any": [{"width": ">2000"}, {"format": "png"}]},
    }),
    ("taken:2024..2025 format:jpeg,png has:caption", {
        "filter": {"taken": "2024..2025", "format": ["jpeg", "png"], "has": "caption"},
    }),
    ("width:>=100 width:<200", {"filter": {"all": [{"width": {"gte": 100}}, {"width": {"lt": 200}}]}}),
    ("width:100..<200", {"filter": {"width": {"gte": 100, "lt": 200}}}),
    ("taken:>=2024 taken:<2025", {"filter": {"all": [{"taken": {"gte": "2024"}}, {"taken": {"lt": 2025}}]}}),
    ("width:640", {"filter": {"width": 640}}),
    ("ratio:>1.5", {"filter": {"ratio": {"gt": 1.5}}}),
    ("size:=2MB", {"filter": {"size": 2_000_000}}),
    ("id:1,5", {"filter": {"id": [1, 5]}}),
    ("rejected:dog", {"filter": {"rejected": "dog"}}),
    ("rejected:dog or rejected:cat", {"filter": {"rejected": ["Dog", "cat"]}}),
    ("sku:1001", {"filter": {"sku": 1001}}),
    ('title:"marine blue",new*', {"filter": {"title": ["marine blue", "new*"]}}),
    ("-title:newfeel", {"filter": {"none": [{"title": "newfeel"}]}}),
    ("has:caption,title", {"filter": {"has": ["caption", "title"]}}),
    ('dress text:"in red"^0.5 like:17^2 -like:e1.AAAA order:taken_asc', {
        "text": "dress",
        "terms": [{"text": "in red", "weight": 0.5}, {"image": 17, "weight": 2}, {"example": "e1.AAAA", "weight": -1}],
        "order": "-taken",
    }),
    ("-*", {"filter": {"none": [{}]}}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "data"), TWINS)
def test_both_spellings_are_one_query(text: str, data: dict[str, Any]) -> None:
    """The same tree, and JSON written of it reads back."""
    assert from_json(data) == parse(text)
    assert from_json(to_json(parse(text))) == parse(text)


def test_json_is_brief() -> None:
    """Different keys become members of one object, tags without more their names."""
    assert to_json(parse("red dog:human -cat (bird or width:>5)")) == {
        "text": "red",
        "filter": {"tag": {"name": "dog", "by": "human"}, "none": ["cat"], "any": ["bird", {"width": ">5"}]},
    }


def test_ages_and_offsets_in_json() -> None:
    """Bounds may be ages; an offset is turned into UTC."""
    assert from_json({"filter": {"added": {"gte": "7d"}}}).filter == Between("added", Ago(7))
    assert from_json({"filter": {"added": {"lt": "7d"}}}).filter == Between(
        "added", None, Ago(7), high_open=True
    )
    noon = from_json({"filter": {"added": {"gte": "2024-05-17T14:00:00+02:00"}}}).filter
    assert noon == Between("added", datetime(2024, 5, 17, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("data", "path", "suggestions"),
    [
        ([], "query", ()),
        ({"filtre": {}}, "query", ("filter",)),
        ({"text": 5}, "text", ()),
        ({"text": "a\0"}, "text", ()),
        ({"terms": {}}, "terms", ()),
        ({"terms": [{"image": 1, "text": "a"}]}, "terms/0", ()),
        ({"terms": [{"image": "dog"}]}, "terms/0/image", ()),
        ({"terms": [{"example": 5}]}, "terms/0/example", ()),
        ({"terms": [{"text": "a", "weight": 0}]}, "terms/0/weight", ()),
        ({"terms": [{"text": "a", "weight": True}]}, "terms/0/weight", ()),
        ({"order": "newest"}, "order", ()),
        ({"filter": {"widht": 5}}, "filter/widht", ("width",)),
        ({"filter": {"text": "a"}}, "filter/text", ()),
        ({"filter": {"any": []}}, "filter/any", ()),
        ({"filter": {"any": "dog"}}, "filter/any", ()),
        ({"filter": {"any": ["dog", {"all": [{"width": "x"}]}]}}, "filter/any/1/all/0/width", ()),
        ({"filter": {"format": "jpegg"}}, "filter/format", ("jpeg",)),
        ({"filter": {"width": {"gte": 5, "gt": 6}}}, "filter/width", ()),
        ({"filter": {"width": {"gte": 6, "lt": 5}}}, "filter/width", ()),
        ({"filter": {"width": {"from": 6}}}, "filter/width", ()),
        ({"filter": {"width": 1.5}}, "filter/width", ()),
        ({"filter": {"width": None}}, "filter/width", ()),
        ({"filter": {"width": float("nan")}}, "filter/width", ()),
        ({"filter": {"id": 10**400}}, "filter/id", ()),
        ({"filter": {"tag": {"name": "dog", "by": "bob"}}}, "filter/tag/by", ()),
        ({"filter": {"tag": {"name": "dog", "confidence": "much"}}}, "filter/tag/confidence", ()),
        ({"filter": {"tag": {"min_confidence": 0.5}}}, "filter/tag/name", ()),
        ({"filter": {"tag": {"name": "dog", "min_confidence": 5}}}, "filter/tag", ()),
        ({"filter": {"sku": []}}, "filter/sku", ()),
        ({"filter": {"tag": [f"t{n}" for n in range(201)]}}, "query", ()),
    ],
)
def test_a_slip_is_told_with_its_path(data: object, path: str, suggestions: tuple[str, ...]) -> None:
    """Whoever wrote a nested filter learns which of its members is wrong."""
    with pytest.raises(QuerySyntaxError) as raised:
        from_json(data)
    assert (raised.value.path, raised.value.suggestions) == (path, suggestions)
    assert path in str(raised.value)


def test_depth_is_limited() -> None:
    """However deep, without exhausting the interpreter."""
    filter_: object = "dog"
    for _ in range(10_000):
        filter_ = {"all": [filter_]}
    with pytest.raises(QuerySyntaxError, match="At most 20 groups"):
        from_json({"filter": filter_})


def test_what_json_holds_can_be_typed() -> None:
    """Names and values the grammar would take apart are quoted in the canonical text."""
    assert (
        to_text(from_json({"filter": {"tag": 'a "b", c', "path": "x (1).jpg"}}))
        == r'tag:"a \"b\", c" path:"x (1).jpg"'
    )
    assert from_json({"filter": {"tag": "human"}}).filter == TagIs("human") == parse("tag:human").filter
