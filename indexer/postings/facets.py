"""What the images of a result have in common: the commonest values of a field, and how many images have each.

A year, format, source or collection is counted as if the query did not ask for others of that field, so that one can
choose another; what it excludes of the field stays out. Its own conditions on a field are those of the ones that must
all hold that ask of nothing else. A tag is counted within the result: that many one would see after adding it. What
the query already includes or excludes is always listed, with what it would give without its own condition. Nothing
else is listed that would lead to no image; `without` tells where excluding a value would.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Literal, get_args

from pyroaring import BitMap

from indexer.catalog.postings import Key
from indexer.errors import QueryError
from indexer.postings.sets import Family
from indexer.query import All, Any, Between, Node, Not, OneOf, TagIs, leaves, normal

if TYPE_CHECKING:
    from indexer.postings.view import View

Selected = Literal["include", "exclude"]
FacetField = Literal["tag", "year", "format", "source", "collection"]
FIELDS: tuple[FacetField, ...] = get_args(FacetField)
_KEYS: Mapping[FacetField, str] = {
    "year": "taken",
    "format": "format",
    "source": "source",
    "collection": "collection",
}


@dataclass(frozen=True)
class FacetValue:
    """A value, how many images have it, how many there would be with it excluded, and what the query says of it."""

    value: str
    count: int
    without: int
    selected: Selected | None = None


def count(
    view: "View", query_filter: Node, among: BitMap | None, fields: Sequence[str], limit: int
) -> dict[str, list[FacetValue]]:
    """The `limit` commonest values of each field, and those selected, the commonest first, then by name.

    Args:
        view: the library.
        query_filter: the query's filter, its tags resolved.
        among: the images that rank high enough for the query, over the whole library; None: all do.
        fields: of tag, year, format, source, collection.
        limit: how many values that are not selected.

    Raises:
        QueryError: there is no such field.
    """
    parts = conjuncts(query_filter)
    counted: dict[str, list[FacetValue]] = {}
    for field in fields:
        if field not in FIELDS:
            raise QueryError(f"There is no facet {field!r}: ask for {', '.join(FIELDS)}.")
        values = (
            _tags(view, parts, among, limit) if field == "tag" else _others(view, field, parts, among, limit)
        )
        counted[field] = sorted(values, key=_rank)
    return counted


def _rank(value: FacetValue) -> tuple[int, str]:
    return -value.count, value.value


def conjuncts(node: Node) -> tuple[Node, ...]:
    """Conditions that must all hold for the filter to hold, as many as it can be taken apart into."""
    node = normal(node)
    if isinstance(node, All):
        return tuple(part for each in node.parts for part in conjuncts(each))
    if isinstance(node, Not) and isinstance(node.part, Any):
        return tuple(part for each in node.part.parts for part in conjuncts(Not(each)))
    return (node,)


def _meeting(view: "View", parts: Iterable[Node], among: BitMap | None) -> BitMap:
    found = view.matching(All(tuple(parts)))
    return found if among is None else found & among


def _tags(view: "View", parts: Sequence[Node], among: BitMap | None, limit: int) -> list[FacetValue]:
    own: dict[TagIs, list[Node]] = {}
    for part in parts:
        leaf = part.part if isinstance(part, Not) else part
        if isinstance(leaf, TagIs):
            own.setdefault(TagIs(leaf.name, tag_id=leaf.tag_id), []).append(part)
    result = _meeting(view, parts, among)
    family = view.family("tag", result)
    common = commonest(family, result, limit, {tag.tag_id or 0 for tag in own})
    names = view.tag_names([int(key) for _, key in common])
    values = [
        FacetValue(names[int(key)], images, len(result) - images) for images, key in common if key in names
    ]
    values = sorted(values, key=_rank)[:limit]
    for tag, conditions in own.items():
        excluded = any(isinstance(part, Not) for part in conditions)
        without = _meeting(view, (part for part in parts if part not in conditions), among)
        images = without.intersection_cardinality(view.matching(tag))
        values.append(
            FacetValue(tag.name, images, len(without) - images, "exclude" if excluded else "include")
        )
    return values


def commonest(
    family: Family, among: BitMap, limit: int, without: Collection[Key] = ()
) -> list[tuple[int, Key]]:
    """(images, key) of the `limit` values most frequent among some images, and of all as frequent as the last.

    Values are tried from the commonest on. One that has fewer images than the least of the best cannot be among them,
    nor can any of a block that shares fewer images with those asked for.
    """
    found: list[tuple[int, Key]] = []
    best: list[int] = []  # a heap of the `limit` largest
    least = 1
    for block in family.blocks if limit and among else ():
        if block.most < least or (
            len(block.keys) > 1 and block.bounds.intersection_cardinality(among) < least
        ):
            continue
        for key in block.keys:
            shared = family.get(key).intersection_cardinality(among)
            if shared >= least and key not in without:
                found.append((shared, key))
                heappush(best, shared)
                if len(best) > limit:
                    heappop(best)
                least = best[0] if len(best) == limit else 1
    return [row for row in found if row[0] >= least]


def _others(
    view: "View", field: FacetField, parts: Sequence[Node], among: BitMap | None, limit: int
) -> list[FacetValue]:
    own = [part for part in parts if _only_of(part, _KEYS[field])]
    asked = [part for part in own if not isinstance(part, Not)]
    others = _meeting(view, (part for part in parts if part not in own), among)
    free = others & _meeting(view, (part for part in own if part not in asked), None)
    result = free & _meeting(view, asked, None)
    family = view.family(field, others)
    names = _names(view, field, family)
    members = {names[key]: ids for key, ids in family.members.items() if key in names}
    selected = _selected(own, list(members))
    chosen = [
        _of_value(value, members.pop(value, BitMap()), others, others, how) for value, how in selected.items()
    ]
    rest = (_of_value(value, ids, free, result) for value, ids in members.items())
    return chosen + sorted((value for value in rest if value.count), key=_rank)[:limit]


def _of_value(
    value: str, ids: BitMap, among: BitMap, left: BitMap, selected: Selected | None = None
) -> FacetValue:
    """A value that `ids` have, counted among some images; excluded it would be taken from those `left`."""
    return FacetValue(value, ids.intersection_cardinality(among), left.difference_cardinality(ids), selected)


def _names(view: "View", field: FacetField, family: Family) -> dict[Key, str]:
    names: dict[Key, str] = {key: str(key) for key in family.members}
    if field == "collection":
        names = {key: name for key, name in view.collection_names.items() if key in names}
    return names


def _only_of(part: Node, key: str) -> bool:
    asked = list(leaves(part))
    return bool(asked) and all(isinstance(leaf, Between | OneOf) and leaf.key == key for leaf in asked)


def _selected(own: Iterable[Node], known: Sequence[str]) -> dict[str, Selected]:
    """What a field's own conditions say of its values; to exclude outweighs to include."""
    selected: dict[str, Selected] = {}
    for part in own:
        how: Selected = "exclude" if isinstance(part, Not) else "include"
        inner = part.part if isinstance(part, Not) else part
        for leaf in inner.parts if isinstance(inner, Any) else (inner,):
            for value in _values(leaf, known):
                selected[value] = "exclude" if "exclude" in (how, selected.get(value)) else how
    return selected


def _values(leaf: Node, known: Sequence[str]) -> list[str]:
    """The values of a field that a condition asks for."""
    if isinstance(leaf, OneOf):
        return list(leaf.values)
    if isinstance(leaf, Between):
        named = {leaf.low.year} if isinstance(leaf.low, datetime) else set()
        years = {*named, *(int(value) for value in known)}
        return [str(year) for year in sorted(years) if _covers(leaf, year)]
    return []


def _covers(leaf: Between, year: int) -> bool:
    """Whether all of a year lies in a range of the camera's clock."""
    low = leaf.low if isinstance(leaf.low, datetime) else datetime.min
    high = leaf.high if isinstance(leaf.high, datetime) else datetime.max
    first, last = datetime(year, 1, 1), datetime(year, 12, 31, 23, 59, 59)
    return low <= first and not (leaf.low_open and low == first) and high > last
