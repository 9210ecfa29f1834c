"""What the beginning of a value may become, for keys whose values are people's own: SKUs and collections."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import Select, Text, func, select, type_coerce
from sqlalchemy.orm import Session

from indexer.catalog import skus
from indexer.tables import Collection, CollectionImage, Source

Key = Literal["sku", "collection"]
KEYS: tuple[Key, ...] = get_args(Key)


@dataclass(frozen=True)
class Completion:
    """A value that is in use, and how many images have it."""

    value: str
    images: int


def complete(session: Session, key: Key, prefix: str, limit: int) -> list[Completion]:
    """At most `limit` values that begin with `prefix`, in order; whatever the case, in SKUs that of A to Z alone."""
    found = _WAYS[key](prefix).limit(limit)
    return [Completion(value, images) for value, images in session.execute(found)]


def _skus(prefix: str) -> Select[str, int]:
    lower = skus.folded()
    return (
        select(type_coerce(Source.external_id, Text), func.count(Source.image_id.distinct()))
        .where(Source.external_id.is_not(None), lower.startswith(skus.fold(prefix), autoescape=True))
        .group_by(lower, Source.external_id)
        .order_by(lower, Source.external_id)
    )


def _collections(prefix: str) -> Select[str, int]:
    lower = func.lower(Collection.name)
    return (
        select(Collection.name, func.count(CollectionImage.image_id))
        .outerjoin(CollectionImage, CollectionImage.collection_id == Collection.id)
        .where(lower.startswith(prefix.lower(), autoescape=True))
        .group_by(Collection.id)
        .order_by(lower, Collection.name)
    )


_WAYS: dict[Key, Callable[[str], Select[str, int]]] = {"sku": _skus, "collection": _collections}
