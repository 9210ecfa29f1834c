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


def in_other_case(session: Session, skus: Sequence[str]) -> dict[str, dict[int, str]]:
    """Images whose SKU differs from one of these only in upper and lower case, ascending: theirs, by id."""
    wanted = {fold(sku) for sku in skus}
    rows = (
        select(Source.external_id, Source.image_id)
        .where(Source.external_id.is_not(None), folded().in_(wanted))
        .order_by(Source.image_id)
    )
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for spelt, image_id in session.execute(rows):
        assert spelt is not None  # as asked
        found[fold(spelt)].append((image_id, spelt))
    alike = {sku: {i: spelt for i, spelt in found[fold(sku)] if spelt != sku} for sku in skus}
    return {sku: others for sku, others in alike.items() if others}


def given(session: Session, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The SKUs of the sources at these places, each a kind and an address; a place without one is missing."""
    digests = [func.md5(uri) for _, uri in places]
    rows = select(Source.kind, Source.uri, Source.external_id).where(
        Source.kind.in_({kind for kind, _ in places}), func.md5(Source.uri).in_(digests)
    )
    return {(kind, uri): sku for kind, uri, sku in session.execute(rows) if sku is not None}


def give(session: Session, skus: Mapping[str, str]) -> None:
    """Note the SKUs of pictures at these addresses on the web or in a store."""
    for url, sku in sorted(skus.items()):
        there = Source.kind == "url", func.md5(Source.uri) == func.md5(url), Source.uri == url
        session.execute(
            update(Source).where(*there).values(external_id=sku).execution_options(synchronize_session=False)
        )
