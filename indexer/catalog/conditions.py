"""One condition of a query -> the images that meet it, each by one statement.

Images in any state are among them: whoever asks knows which can be searched. A tag is shown when a tagger (above its
threshold), the file or a person asserts it and no person rejects it.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    ColumnElement,
    Double,
    Numeric,
    Select,
    Text,
    and_,
    any_,
    distinct,
    func,
    literal,
    or_,
    select,
    text,
    union,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import InstrumentedAttribute, Session

from indexer.catalog import paths, skus, titles
from indexer.query import Between, Has, Leaf, Rejected, TagIs, at
from indexer.query.tree import Annotating, FieldKey, RangeKey, ValueKey
from indexer.tables import Annotator, Caption, Collection, CollectionImage, Image, ImageTag, Source

Ids = Select[int]
Among = Sequence[int] | None
_KINDS: dict[Annotating, tuple[str, ...]] = {
    "human": ("person",),
    "file": ("file",),
    "model": ("tagger", "captioner", "embedder"),
}
_COLUMNS: dict[RangeKey, Any] = {
    "taken": Image.taken_at,
    "added": Image.added_at,
    "width": Image.width,
    "height": Image.height,
    "size": Image.bytes,
    "id": Image.id,
    "ratio": sql_cast(Image.width, Double) / Image.height,
}


def ids(session: Session, leaf: Leaf, among: Among = None) -> np.ndarray:
    """Ids (n,) int64 of the images, in any state, that meet a condition, each once, in no order.

    Args:
        session: an open session.
        leaf: a condition whose tag has been resolved; ages in it count from now.
        among: look only at these images.
    """
    found = _statement(leaf, among).subquery()
    # One value of eight bytes an id: a million of them arrive in the time of a few thousand rows.
    packed = select(func.string_agg(func.int8send(found.c[0]), text("''::bytea")))
    return np.frombuffer(session.scalar(packed) or b"", ">i8").astype(np.int64)


def _statement(leaf: Leaf, among: Among) -> Ids:
    if isinstance(leaf, TagIs):
        return _tagged(leaf, among)
    if isinstance(leaf, Rejected):
        return _rejected(leaf, among)
    if isinstance(leaf, Between):
        fixed = at(leaf, datetime.now(UTC))
        assert isinstance(fixed, Between)
        return _between(fixed, among)
    if isinstance(leaf, Has):
        return _HAS[leaf.key](among)
    return _ONE_OF[leaf.key](leaf.values, among)


def _within(query: Ids, column: InstrumentedAttribute[int], among: Among) -> Ids:
    if among is None:
        return query
    return query.where(column == any_(sql_cast(list(among), ARRAY(BigInteger))))


def _images(condition: ColumnElement[bool], among: Among) -> Ids:
    return _within(select(Image.id).where(condition), Image.id, among)


def _sources(condition: ColumnElement[bool], among: Among) -> Ids:
    return _within(select(Source.image_id).where(condition).distinct(), Source.image_id, among)


def _strings(values: Sequence[str]) -> ColumnElement[Any]:
    return any_(sql_cast(list(values), ARRAY(Text)))


def _tagged(tag: TagIs, among: Among) -> Ids:
    """From the covering index alone, which is in the order of the groups."""
    query = _spoken_of(tag, among)
    surest: ColumnElement[Any] = func.max(ImageTag.confidence)
    if tag.by:
        surest = func.max(ImageTag.confidence).filter(ImageTag.annotator_id == _annotators([tag.by]))
    conditions: list[ColumnElement[bool]] = [func.bool_or(ImageTag.rejected).is_(False), surest.is_not(None)]
    # Confidences are kept in single precision: 0.7 is compared as what 0.7 was saved as.
    if tag.min_confidence is not None:
        least = sql_cast(tag.min_confidence, REAL)
        conditions.append(surest > least if tag.min_open else surest >= least)
    if tag.max_confidence is not None:
        most = sql_cast(tag.max_confidence, REAL)
        conditions.append(surest < most if tag.max_open else surest <= most)
    return query.group_by(ImageTag.image_id).having(and_(*conditions))


def _rejected(tag: Rejected, among: Among) -> Ids:
    return _spoken_of(tag, among).where(ImageTag.rejected).distinct()


def _spoken_of(tag: TagIs | Rejected, among: Among) -> Ids:
    """One row for each who says something of the tag."""
    if tag.tag_id is None:
        raise ValueError(f"the tag {tag.name!r} has no id yet: resolve the query first")
    return _within(select(ImageTag.image_id).where(ImageTag.tag_id == tag.tag_id), ImageTag.image_id, among)


def _annotators(who: Sequence[str]) -> ColumnElement[Any]:
    """Any of the annotators of these sorts; looked up once a statement."""
    kinds = [kind for each in who for kind in _KINDS[cast(Annotating, each)]]
    return any_(func.array(select(Annotator.id).where(Annotator.kind.in_(kinds)).scalar_subquery()))


def _between(range_: Between, among: Among) -> Ids:
    if range_.key == "tagcount":
        return _counted(range_, among)
    column = _COLUMNS[range_.key]
    if range_.key == "ratio" and range_.low is not None and range_.low == range_.high:
        shape = func.round(sql_cast(Image.width, Numeric) / Image.height, 2)
        return _images(shape == func.round(sql_cast(range_.low, Numeric), 2), among)
    return _images(and_(column.is_not(None), *_bounds(column, range_)), among)


def _bounds(column: Any, range_: Between) -> list[ColumnElement[bool]]:
    conditions = []
    if range_.low is not None:
        low = _bound(range_.low)
        conditions.append(column > low if range_.low_open else column >= low)
    if range_.high is not None:
        high = _bound(range_.high)
        conditions.append(column < high if range_.high_open else column <= high)
    return conditions


def _bound(value: Any) -> ColumnElement[Any]:
    """Whole numbers may be larger than the column's."""
    return literal(value, BigInteger) if isinstance(value, int) else literal(value)


def _counted(range_: Between, among: Among) -> Ids:
    """By the number of different tags shown: all that are spoken of, less those a person rejects."""
    shown = func.count(distinct(ImageTag.tag_id))
    rejected = func.count(distinct(ImageTag.tag_id)).filter(ImageTag.rejected)
    counts = _within(select(ImageTag.image_id), ImageTag.image_id, among)
    counted = counts.add_columns((shown - rejected).label("tags")).group_by(ImageTag.image_id).subquery()
    number = func.coalesce(counted.c.tags, 0)
    query = select(Image.id).join(counted, counted.c.image_id == Image.id, isouter=True)
    return _within(query.where(*_bounds(number, range_)), Image.id, among)


def _described(who: Sequence[str], among: Among) -> Ids:
    said = [
        _within(select(table.image_id).where(table.annotator_id == _annotators(who)), table.image_id, among)
        for table in (ImageTag, Caption)
    ]
    described = union(said[0].where(ImageTag.rejected.is_(False)), said[1]).subquery()
    return select(described.c.image_id)


def _in_path(patterns: Sequence[str], among: Among) -> Ids:
    return _sources(or_(*map(paths.matches, patterns)), among)


def _titled(patterns: Sequence[str], among: Among) -> Ids:
    by_index = among is None
    return _images(or_(*(titles.matches(pattern, by_index=by_index) for pattern in patterns)), among)


def _collected(names: Sequence[str], among: Among) -> Ids:
    query = select(CollectionImage.image_id).join(Collection, Collection.id == CollectionImage.collection_id)
    return _within(
        query.where(Collection.name == _strings(names)).distinct(), CollectionImage.image_id, among
    )


def _any_row(column: InstrumentedAttribute[int]) -> Callable[[Among], Ids]:
    return lambda among: _within(select(column).distinct(), column, among)


def _written(column: Any) -> Callable[[Among], Ids]:
    return lambda among: _images(and_(column.is_not(None), column != ""), among)


_ONE_OF: dict[ValueKey, Callable[[Sequence[str], Among], Ids]] = {
    "source": _described,
    "format": lambda values, among: _images(Image.format == _strings(values), among),
    "sku": lambda values, among: _sources(
        and_(Source.external_id.is_not(None), skus.folded() == _strings([*map(skus.fold, values)])), among
    ),
    "title": _titled,
    "collection": _collected,
    "path": _in_path,
    "origin": lambda values, among: _sources(Source.kind == _strings(values), among),
}
_HAS: dict[FieldKey, Callable[[Among], Ids]] = {
    "caption": _any_row(Caption.image_id),
    "alt_text": lambda among: _within(
        select(Caption.image_id).where(Caption.annotator_id == _annotators(["human"])).distinct(),
        Caption.image_id,
        among,
    ),
    "tag": lambda among: _counted(Between("tagcount", low=1), among),
    "title": _written(Image.title),
    "description": _written(Image.description),
    "place": _written(Image.place),
    "taken": lambda among: _images(Image.taken_at.is_not(None), among),
    "sku": lambda among: _sources(Source.external_id.is_not(None), among),
    "location": lambda among: _images(and_(Image.latitude.is_not(None), Image.longitude.is_not(None)), among),
    "collection": _any_row(CollectionImage.image_id),
}
