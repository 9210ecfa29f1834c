"""Files that are no longer where they were: what the library makes of that."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.orm import Session, aliased

from indexer.tables import Source


@dataclass(frozen=True)
class Gone:
    """One file that is gone: its address, its image, and whether the image is named by another address too."""

    uri: str
    image_id: int
    elsewhere: bool


def note(session: Session, uris: Sequence[str]) -> list[Gone]:
    """What is known of files, or of all files below folders, that are gone; in order of their addresses.

    An image that is still somewhere else (it was renamed, or was there twice) is no longer said to be here; one that
    was only here stays in the library as it is.
    """
    query = select(Source.id, Source.uri, Source.image_id).order_by(Source.id)
    found = []
    for uri in uris:
        rows = session.execute(query.where(_at(uri))).all()
        below = (Source.kind == "path") & func.starts_with(Source.uri, f"{uri}/")
        for source_id, named, image_id in rows or session.execute(query.where(below)).all():
            found.append(Gone(named, image_id, elsewhere=_forget(session, source_id, image_id)))
    return sorted(found, key=lambda one: one.uri)


def _forget(session: Session, source_id: int, image_id: int) -> bool:
    """Take an address off its image if it has another; whether it had."""
    other = aliased(Source)
    elsewhere = exists().where(other.image_id == image_id, other.id != source_id)
    forgotten = delete(Source).where(Source.id == source_id, elsewhere).returning(Source.id)
    return session.execute(forgotten).first() is not None


def _at(uri: str) -> ColumnElement[bool]:
    return (Source.kind == "path") & (func.md5(Source.uri) == func.md5(uri)) & (Source.uri == uri)
