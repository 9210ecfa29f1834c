"""Images by the SKU (external id) their sources carry."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from indexer.tables import Source

_ASCII = str.maketrans(ascii_uppercase, ascii_lowercase)


def folded() -> ColumnElement[str]:
    """A source's SKU in lower case, of A to Z alone: by bytes, as its index."""
    return func.lower(Source.external_id.collate("C"))


def fold(sku: str) -> str:
    """What is to be compared with `folded`."""
    return sku.translate(_ASCII)


def images_of(session: Session, skus: Sequence[str]) -> dict[str, list[int]]:
    """Ids of the images of each SKU exactly so spelt, ascending; a SKU no image has is missing."""
    found: dict[str, list[int]] = defaultdict(list)
    rows = select(Source.external_id, Source.image_id).where(Source.external_id.in_(skus)).distinct()
    for sku, image_id in session.execute(rows.order_by(Source.image_id)):
        assert sku is not None  # it is one of those asked for
        found[sku].append(image_id)
    return dict(found)


def give(session: Session, skus: Mapping[str, str]) -> None:
    """Note the SKUs of pictures at these addresses on the web or in a store."""
    for url, sku in sorted(skus.items()):
        there = Source.kind == "url", func.md5(Source.uri) == func.md5(url), Source.uri == url
        session.execute(
            update(Source).where(*there).values(external_id=sku).execution_options(synchronize_session=False)
        )
