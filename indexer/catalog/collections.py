"""Collections: named sets of images that people put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, Select, cast, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from indexer.catalog import own_names
from indexer.errors import NotFound
from indexer.tables import Collection, CollectionImage, Image

WHAT = "collection"


@dataclass(frozen=True)
class CollectionView:
    """A collection and how many images it holds."""

    id: int
    name: str
    created_at: datetime
    images: int


def all_of_them(session: Session) -> list[CollectionView]:
    """Every collection, by name."""
    return [CollectionView(*row) for row in session.execute(_views())]


def holding(session: Session, image_id: int) -> list[str]:
    """The names of the collections an image is in, in order."""
    mine = CollectionImage.image_id == image_id
    return list(
        session.scalars(select(Collection.name).join(CollectionImage).where(mine).order_by(Collection.name))
    )


def find(session: Session, collection_id: int) -> CollectionView:
    """One collection. Raises NotFound."""
    row = session.execute(_views().where(Collection.id == collection_id)).first()
    if row is None:
        raise _no_such(collection_id)
    return CollectionView(*row)


def create(session: Session, name: str) -> int:
    """A new, empty collection; its id.

    Raises:
        QueryError: the name is empty or too long.
        NameTaken: another collection has it.
    """
    created = session.scalar(
        insert(Collection)
        .values(name=own_names.kept(name, WHAT))
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(Collection.id)
    )
    if created is None:
        raise own_names.taken(name, WHAT)
    return created


def ensure(session: Session, name: str) -> int:
    """The id of the collection of this name, created at first mention. Raises QueryError as `create`."""
    known = select(Collection.id).where(Collection.name == own_names.kept(name, WHAT))
    found = session.scalar(known)
    if found is None:
        session.execute(insert(Collection).values(name=own_names.kept(name, WHAT)).on_conflict_do_nothing())
        found = session.scalar(known)
    assert found is not None
    return found


def rename(session: Session, collection_id: int, name: str) -> None:
    """Give a collection another name. Raises as `create`, and NotFound."""
    statement = (
        update(Collection).where(Collection.id == collection_id).values(name=own_names.kept(name, WHAT))
    )
    try:
        with session.begin_nested():
            found = session.scalar(statement.returning(Collection.id))
    except IntegrityError as error:
        raise own_names.taken(name, WHAT) from error
    if found is None:
        raise _no_such(collection_id)


def remove(session: Session, collection_id: int) -> None:
    """Forget a collection; its images stay. Raises NotFound."""
    statement = delete(Collection).where(Collection.id == collection_id)
    if session.scalar(statement.returning(Collection.id)) is None:
        raise _no_such(collection_id)


def add(session: Session, collection_id: int, image_ids: Sequence[int]) -> int:
    """Put images into a collection; how many are new to it. Ids that name no image are passed over.

    Raises:
        NotFound: there is no such collection.
    """
    find(session, collection_id)
    wanted = Image.id == func.any(cast(list(image_ids), ARRAY(BigInteger)))
    # Locked in id order, so that two requests that add the same images wait rather than deadlock.
    rows = select(literal(collection_id), Image.id).where(wanted).order_by(Image.id)
    added = session.scalars(
        insert(CollectionImage)
        .from_select(["collection_id", "image_id"], rows.with_for_update(key_share=True, read=True))
        .on_conflict_do_nothing()
        .returning(CollectionImage.image_id)
    )
    return len(added.all())


def take_out(session: Session, collection_id: int, image_ids: Sequence[int]) -> int:
    """Take images out of a collection; how many were in it. Raises NotFound: there is no such collection."""
    find(session, collection_id)
    named = CollectionImage.image_id == func.any(cast(list(image_ids), ARRAY(BigInteger)))
    gone = session.scalars(
        delete(CollectionImage)
        .where(CollectionImage.collection_id == collection_id, named)
        .returning(CollectionImage.image_id)
    )
    return len(gone.all())


def _views() -> Select[int, str, datetime, int]:
    return (
        select(Collection.id, Collection.name, Collection.created_at, func.count(CollectionImage.image_id))
        .outerjoin(CollectionImage, CollectionImage.collection_id == Collection.id)
        .group_by(Collection.id)
        .order_by(Collection.name)
    )


def _no_such(collection_id: int) -> NotFound:
    return NotFound(f"There is no collection {collection_id}; `GET /v1/collections` lists them.")
