"""What whoever brings or edits a picture says of it: SKU, title, caption, tags, collection.

All of it is a person's word: no machine overwrites it, and nothing that was not said is touched.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.catalog import collections, edits, images, work
from indexer.catalog import tags as tag_catalog
from indexer.catalog.annotations import annotator_id
from indexer.catalog.corrections import PERSON
from indexer.tables import Caption, CaptionEmbedding, CollectionImage, Image, Source


@dataclass(frozen=True)
class Said:
    """What is said of one picture; None and () say nothing. `rejected`: tags it does not show."""

    sku: str | None = None
    title: str | None = None
    caption: str | None = None
    tags: tuple[str, ...] = ()
    collection: str | None = None
    rejected: tuple[str, ...] = ()


def say(
    session: Session,
    said: Mapping[int, Said],
    job_id: int | None = None,
    priority: int = work.BULK,
) -> set[int]:
    """Record what is said of images, by id; those of which anything is new. SKUs are the sources' own affair.

    A caption is searched by its words at once, and by meaning as soon as a worker has embedded it, for which it is
    queued here. Ids that name no image are passed over, and so are rejected tags that do not exist.

    Raises:
        QueryError: a tag or a collection has no name, or too long a one.
    """
    alive = images.lock(session, list(said))
    known = {image_id: said[image_id] for image_id in alive}
    captioned = _say_captions(session, known)
    work.add(session, sorted(captioned), job_id, priority)
    return captioned | _say_titles(session, known) | _say_tags(session, known) | _collect(session, known)


def titles(session: Session, image_ids: Sequence[int]) -> dict[int, str]:
    """What people call the images, by id; one that only its file has a title for is missing."""
    given = Source.image_id.in_(image_ids), Source.title.is_not(None)
    rows = select(Source.image_id, Source.title).where(*given).order_by(Source.id.desc())
    return {image_id: title for image_id, title in session.execute(rows) if title is not None}


def unembedded(session: Session, embedder_id: int, image_ids: Sequence[int]) -> list[int]:
    """Those of the images that have a caption this embedder has not embedded, ascending."""
    done = exists().where(
        CaptionEmbedding.caption_id == Caption.id, CaptionEmbedding.annotator_id == embedder_id
    )
    found = select(Caption.image_id).where(Caption.image_id.in_(image_ids), ~done).distinct()
    return list(session.scalars(found.order_by(Caption.image_id)))


def _say_titles(session: Session, said: Mapping[int, Said]) -> set[int]:
    """Kept with the sources, from where every later look at the file takes it, and shown at once."""
    titles = {image_id: one.title for image_id, one in said.items() if one.title}
    shown = dict(session.execute(select(Image.id, Image.title).where(Image.id.in_(titles))).all())
    for image_id, title in titles.items():
        session.execute(update(Source).where(Source.image_id == image_id).values(title=title))
        if shown[image_id] != title:
            session.execute(update(Image).where(Image.id == image_id).values(title=title))
    return {image_id for image_id, title in titles.items() if shown[image_id] != title}


def _say_captions(session: Session, said: Mapping[int, Said]) -> set[int]:
    """The images whose caption by a person is new; what was embedded of the old one is forgotten."""
    me = annotator_id(session, "person", PERSON)
    rows = [
        {"image_id": i, "annotator_id": me, "text": one.caption} for i, one in said.items() if one.caption
    ]
    if not rows:
        return set()
    statement = insert(Caption).values(rows)
    written = session.execute(
        statement.on_conflict_do_update(
            index_elements=["image_id", "annotator_id"],
            set_={"text": statement.excluded.text, "created_at": func.now()},
            where=Caption.text != statement.excluded.text,
        ).returning(Caption.image_id, Caption.id)
    ).all()
    changed = [caption_id for _, caption_id in written]
    session.execute(delete(CaptionEmbedding).where(CaptionEmbedding.caption_id.in_(changed)))
    return {image_id for image_id, _ in written}


def _say_tags(session: Session, said: Mapping[int, Said]) -> set[int]:
    """One edit, which can be taken back, for all images of which the same is said."""
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = defaultdict(list)
    for image_id, one in said.items():
        if one.tags or one.rejected:
            alike[one.tags, one.rejected].append(image_id)
    changed: set[int] = set()
    for (tags, rejected), image_ids in alike.items():
        wish = _wish(session, tags, rejected)
        if wish.add or wish.reject:
            changed |= edits.make(session, image_ids, wish).changed.keys()
    return changed


def _wish(session: Session, tags: Sequence[str], rejected: Sequence[str]) -> edits.Wish:
    """Each tag once, though aliases name it once more; what it shows counts before what it does not."""
    ids = tag_catalog.find(session, [*tags, *rejected])
    shown = {ids.get(name, name): name for name in tags}
    not_shown = {ids[name]: name for name in rejected if name in ids and ids[name] not in shown}
    return edits.Wish(add=tuple(shown.values()), reject=tuple(not_shown.values()))


def _collect(session: Session, said: Mapping[int, Said]) -> set[int]:
    together: dict[str, set[int]] = defaultdict(set)
    for image_id, one in said.items():
        if one.collection:
            together[one.collection].add(image_id)
    changed: set[int] = set()
    for name, image_ids in together.items():
        collection_id = collections.ensure(session, name)
        there = select(CollectionImage.image_id).where(
            CollectionImage.collection_id == collection_id, CollectionImage.image_id.in_(image_ids)
        )
        new = image_ids - set(session.scalars(there))
        collections.add(session, collection_id, sorted(new))
        changed |= new
    return changed
