"""A result in the order images were added, taken, or by their size, page by page.

A page begins where the last one ended, by value and id, so that images may come and go meanwhile. Values stay in
Postgres: which images are of one year, or of about one size, is known here, and of those years and sizes that hold
part of the result, the index is read. Of many images one walks along the index past those that are not asked for;
a few are looked up.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pyroaring import BitMap

from indexer.catalog import browsing
from indexer.catalog.browsing import Place, Stretch
from indexer.catalog.postings import SIZES, Field
from indexer.errors import QueryError
from indexer.postings.sets import Family, to_ids
from indexer.query import Order

if TYPE_CHECKING:
    from indexer.postings.view import View

# Where a page ended: what the last image was sorted by (microseconds since 1970 by the camera's clock, or bytes;
# None for an image without a date and where the id is all there is), then its id.
Key = tuple[int | None, int]

# Looking an image up takes as long as walking past so many.
LOOK_UP = 4
LEAST_WALK = 64
_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_FIELDS: dict[str, Field] = {"taken": "year", "size": "size"}


def page(
    view: "View", ids: BitMap, order: Order, limit: int, after: Key | None
) -> tuple[list[int], Key | None]:
    """The first `limit` of these images in an order, beyond `after`; and where they end, if there are more.

    Images without a date come last either way. `added` is the order of ids, which rise as images are registered.

    Raises:
        QueryError: the order is one that Postgres does not know (relevance).
    """
    if order.key == "added":
        found = _by_id(ids, order.descending, limit + 1, after[1] if after else None)
    elif order.key in _FIELDS:
        found = _by_value(view, ids, order, limit + 1, after)
    else:
        raise QueryError(
            f"Nothing is ranked here, so there is no order by {order.key}: use added, taken or size."
        )
    more = len(found) > limit
    return [image_id for _, image_id in found[:limit]], found[limit - 1] if more else None


def _by_id(ids: BitMap, descending: bool, limit: int, after: int | None) -> list[Key]:
    if descending:
        end = len(ids) if after is None else (ids.rank(after - 1) if after > 0 else 0)
        return [(None, image_id) for image_id in reversed(ids[max(0, end - limit) : end])]
    start = 0 if after is None else ids.rank(after)
    return [(None, image_id) for image_id in ids[start : start + limit]]


def _by_value(view: "View", ids: BitMap, order: Order, limit: int, after: Key | None) -> list[Key]:
    family = view.family(_FIELDS[order.key], ids)
    found: list[Key] = []
    if after is None or after[0] is not None:
        found = [
            (_number(value), image_id) for value, image_id in _dated(view, family, ids, order, limit, after)
        ]
    undated = after[1] if after and after[0] is None else None
    return found + _by_id(ids - family.all_of_them, order.descending, limit - len(found), undated)


def _dated(
    view: "View", family: Family, ids: BitMap, order: Order, limit: int, after: Key | None
) -> list[Place]:
    """The first `limit` places of those that have a value: group by group, many small groups at once."""
    found: list[Place] = []
    few = BitMap()
    whole = _whole(order, after)
    for group in _groups(family, order, whole):
        members = family.get(group)
        wanted = members & ids
        expected = (limit - len(found)) * len(members) // max(1, len(wanted))
        if LOOK_UP * len(wanted) <= expected or len(wanted) < LEAST_WALK:
            few |= wanted
            wanted = BitMap()
        if wanted or len(few) >= limit - len(found):
            found += _look_up(view, whole, few, limit - len(found))
            few = BitMap()
        if wanted and len(found) < limit:
            found += _walk(view, whole.within(*_bounds(order, group)), wanted, expected, limit - len(found))
        if len(found) >= limit:
            return found
    return found + _look_up(view, whole, few, limit - len(found))


def _whole(order: Order, after: Key | None) -> Stretch:
    """All of an order's index, beyond `after`."""
    place = None if after is None or after[0] is None else (_value(order, after[0]), after[1])
    if order.key == "taken":
        return Stretch("taken", datetime.min, None, order.descending, place)
    return Stretch("size", 0, None, order.descending, place)


def _groups(family: Family, order: Order, whole: Stretch) -> Iterator[int]:
    """The groups that reach beyond where the last page ended, in order."""
    for group in sorted(map(int, family.members), reverse=order.descending):
        if whole.within(*_bounds(order, group)).reaches():
            yield group


def _look_up(view: "View", whole: Stretch, wanted: BitMap, limit: int) -> list[Place]:
    return (
        browsing.places(view.session, whole, to_ids(wanted).tolist(), limit) if wanted and limit > 0 else []
    )


def _walk(view: "View", stretch: Stretch, wanted: BitMap, expected: int, limit: int) -> list[Place]:
    """The first `limit` places of a stretch that are wanted, which should be among its first `expected`."""
    found: list[Place] = []
    batch, walked = expected + LEAST_WALK, 0
    while True:
        rows = browsing.walk(view.session, stretch, batch)
        found += [row for row in rows if row[1] in wanted]
        if len(found) >= limit or len(rows) < batch:
            return found[:limit]
        stretch = stretch.beyond(rows[-1])
        walked += batch
        if walked > LOOK_UP * len(wanted):  # they are all at the far end
            return found + _look_up(view, stretch, wanted, limit - len(found))
        batch *= 2


def _bounds(order: Order, group: int) -> tuple[datetime | int, datetime | int | None]:
    if order.key == "size":
        return SIZES[group - 1], SIZES[group] if group < len(SIZES) else None
    return datetime(group, 1, 1), datetime(group + 1, 1, 1) if group < datetime.max.year else None


def _value(order: Order, number: int) -> datetime | int:
    return _EPOCH + number * _MICROSECOND if order.key == "taken" else number


def _number(value: datetime | int) -> int:
    return (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value
