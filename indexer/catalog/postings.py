"""Image ids by what is known of the images: by tag, year, format, who describes them, collection, size.

Each is one statement that Postgres aggregates and sends as a stream of a few long rows, so that a million images
of thirty tags each arrive in seconds; with `among` the same statement reads only some images again.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    case,
    cast,
    extract,
    func,
    literal,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.orm import InstrumentedAttribute, Session

from indexer.tables import INDEXED, Annotator, Caption, Collection, CollectionImage, Image, ImageTag

Field = Literal["tag", "year", "format", "source", "collection", "size"]
Key = int | str

# An image of at least so many bytes, and of fewer than the next, is in one group: four groups an octave from 1 KiB.
SIZES = (0, *(quarter << (octave - 2) for octave in range(10, 36) for quarter in (4, 5, 6, 7)))

# Those who describe images, as bits, so that the many statements about an image become one number.
_SAYING = {"human": 1, "file": 2, "model": 4}
_BIT = case((Annotator.kind == "person", 1), (Annotator.kind == "file", 2), else_=4)
_DIALECT = PGDialect_psycopg()

Among = Sequence[int] | None


def grouped(session: Session, field: Field, among: Among = None) -> Iterator[tuple[Key, np.ndarray]]:
    """(key, ids int64 in no order) of the images of each tag id, year, format, source, collection id, or size.

    A key may come more than once; `source` is human, model or file; `size` is a place in SIZES, from 1. Images in
    any state may be among them. Of a tag: those of whom it is asserted and not rejected. `among`: only these images.
    """
    for key, ids in _stream(session, statement(field, among)):
        if field == "tag":
            yield key, _not_rejected(ids)
        elif field == "source":
            yield from ((kind, ids) for kind, bit in _SAYING.items() if int(key) & bit)
        else:
            yield key, ids


def searchable(session: Session, among: Among = None) -> np.ndarray:
    """Ids (n,) int64 of the images that can be searched, in no order; `among`: those of these."""
    query = _among(select(_packed(Image.id)).where(Image.state == INDEXED), Image.id, among)
    return _unpacked(session.scalar(query))


def confidences(session: Session, tag_id: int, among: Among = None) -> tuple[np.ndarray, np.ndarray]:
    """Ids (n,) int64 of the images that show a tag, in no order, and how surely (n,) float32; `among`: of these."""
    shown = (
        _among(
            select(ImageTag.image_id, func.max(ImageTag.confidence).label("confidence")),
            ImageTag.image_id,
            among,
        )
        .where(ImageTag.tag_id == tag_id)
        .group_by(ImageTag.image_id)
        .having(~func.bool_or(ImageTag.rejected))
        .subquery()
    )
    surely = func.string_agg(func.float4send(shown.c.confidence), _NOTHING)
    ids, values = session.execute(select(_packed(shown.c.image_id), surely)).one()
    return _unpacked(ids), np.frombuffer(values or b"", ">f4").astype(np.float32)


def collection_names(session: Session) -> dict[int, str]:
    """Every collection's name by id."""
    return dict(session.execute(select(Collection.id, Collection.name)).all())


_NOTHING = text("''::bytea")


def _packed(ids: ColumnElement[int] | InstrumentedAttribute[int]) -> ColumnElement[bytes]:
    """All ids of a group as one value of 8 bytes each."""
    return func.string_agg(func.int8send(ids), _NOTHING)


def _unpacked(packed: bytes | None) -> np.ndarray:
    return np.frombuffer(packed or b"", ">i8").astype(np.int64)


def _among(query: Any, ids: InstrumentedAttribute[int], among: Among) -> Select[Any]:
    found: Select[Any] = query
    if among is None:
        return found
    return found.where(ids == func.any(cast(literal(list(among), ARRAY(BigInteger)), ARRAY(BigInteger))))


def _by_tag(among: Among) -> Select[Any]:
    # What a person rejects arrives with its sign turned: a second pass over all the rows is spared.
    signed = case((ImageTag.rejected, -ImageTag.image_id), else_=ImageTag.image_id)
    query = select(ImageTag.tag_id, _packed(signed)).group_by(ImageTag.tag_id)
    return _among(query, ImageTag.image_id, among)


def _by_year(among: Among) -> Select[Any]:
    return _by_column(cast(extract("year", Image.taken_at), Integer), among).where(
        Image.taken_at.is_not(None)
    )


def _by_format(among: Among) -> Select[Any]:
    return _by_column(Image.format, among).where(Image.format.is_not(None))


def _by_size(among: Among) -> Select[Any]:
    return _by_column(func.width_bucket(Image.bytes, cast(list(SIZES), ARRAY(BigInteger))), among)


def _by_column(key: Any, among: Among) -> Select[Any]:
    return _among(select(key, _packed(Image.id)).where(Image.state == INDEXED).group_by(key), Image.id, among)


def _by_collection(among: Among) -> Select[Any]:
    key, image = CollectionImage.collection_id, CollectionImage.image_id
    return _among(select(key, _packed(image)).group_by(key), image, among)


def _by_source(among: Among) -> Select[Any]:
    described = union_all(
        *(
            _among(select(table.image_id, func.bit_or(_BIT).label("bits")), table.image_id, among)
            .join(Annotator, Annotator.id == table.annotator_id)
            .where(saying)
            .group_by(table.image_id)
            for table, saying in ((ImageTag, ~ImageTag.rejected), (Caption, literal(True)))
        )
    ).subquery()
    return select(described.c.bits, _packed(described.c.image_id)).group_by(described.c.bits)


_STATEMENTS: dict[Field, Callable[[Among], Select[Any]]] = {
    "tag": _by_tag,
    "year": _by_year,
    "format": _by_format,
    "source": _by_source,
    "collection": _by_collection,
    "size": _by_size,
}


def statement(field: Field, among: Among = None) -> Select[Any]:
    """The rows (key, packed ids) from which `grouped` reads a field."""
    return _STATEMENTS[field](among)


def _stream(session: Session, query: Select[Any]) -> Iterator[tuple[Key, np.ndarray]]:
    """Rows (key, packed ids), one after the other: all of them at once would take gigabytes."""
    # COPY takes no parameters.
    written = str(query.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))
    key_type = "text" if isinstance(query.selected_columns[0].type, Text) else "int4"
    driver = session.connection().connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy(f"COPY ({written}) TO STDOUT (FORMAT BINARY)") as copy:
        copy.set_types([key_type, "bytea"])
        for key, packed in copy.rows():
            yield key, _unpacked(packed)


def _not_rejected(signed: np.ndarray) -> np.ndarray:
    rejected = signed < 0
    if not rejected.any():
        return signed
    return np.setdiff1d(signed[~rejected], -signed[rejected])
