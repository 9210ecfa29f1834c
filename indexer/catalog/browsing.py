"""Pages of images in the order of a column, read through its index from wherever the last page ended."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ARRAY, BigInteger, Select, cast, func, literal, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from indexer.tables import Image

SortKey = Literal["taken", "size"]
# What an image is sorted by, then its id, which tells apart those with the same value.
Place = tuple[datetime | int, int]

_COLUMNS: dict[SortKey, InstrumentedAttribute[datetime | None] | InstrumentedAttribute[int]] = {
    "taken": Image.taken_at,
    "size": Image.bytes,
}


@dataclass(frozen=True)
class Stretch:
    """A part of an index: values from `low` up to but not including `high` (None: without end), beyond `after`."""

    key: SortKey
    low: datetime | int
    high: datetime | int | None
    descending: bool = True
    after: Place | None = None

    def beyond(self, place: Place) -> "Stretch":
        """What is left of it after this place."""
        return replace(self, after=place)

    def within(self, low: datetime | int, high: datetime | int | None) -> "Stretch":
        """The part of it with values from `low` up to `high`."""
        return replace(self, low=low, high=high)

    def reaches(self) -> bool:
        """Whether any of it lies beyond `after`."""
        value: Any = self.after[0] if self.after else self.low
        if self.descending:
            return bool(self.low <= value)
        return self.high is None or bool(self.high > value)


def walk(session: Session, stretch: Stretch, limit: int) -> list[Place]:
    """The first `limit` places of a stretch, images in any state among them; read from the index alone."""
    return _places(session, _ordered(stretch).limit(limit))


def places(session: Session, stretch: Stretch, image_ids: Sequence[int], limit: int) -> list[Place]:
    """The first `limit` places of a stretch that these images hold."""
    wanted = select(func.unnest(cast(list(image_ids), ARRAY(BigInteger))))
    return _places(session, _ordered(stretch).where(Image.id.in_(wanted)).limit(limit))


def _places(session: Session, query: Select[Any]) -> list[Place]:
    return [(value, image_id) for value, image_id in session.execute(query)]


def _ordered(stretch: Stretch) -> Select[Any]:
    column: Any = _COLUMNS[stretch.key]
    query = select(column, Image.id).where(column >= stretch.low)
    if stretch.high is not None:
        query = query.where(column < stretch.high)
    if stretch.after is not None:
        here, last = tuple_(column, Image.id), tuple_(*(literal(part) for part in stretch.after))
        query = query.where(here < last if stretch.descending else here > last)
    columns = (column, Image.id)
    return query.order_by(*(part.desc() if stretch.descending else part.asc() for part in columns))
