"""Everything a page shows of its images, in a handful of queries however many images there are."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from indexer.tables import Annotator, Caption, Image, ImageTag, Source, Tag, VocabularyTag


@dataclass(frozen=True)
class TagView:
    """One statement that an image shows a tag: who says so and how surely (0..1)."""

    tag_id: int
    name: str
    confidence: float
    threshold: float | None
    rejected: bool
    kind: str
    annotator: str
    version: str


@dataclass(frozen=True)
class CaptionView:
    """One caption and who wrote it."""

    text: str
    kind: str
    annotator: str
    version: str
    guided_by: tuple[str, ...]


@dataclass(frozen=True)
class SourceView:
    """Where an image came from."""

    kind: str
    uri: str
    external_id: str | None


@dataclass(frozen=True)
class ImageView:
    """One image with all that is said of it, the surest tags first."""

    id: int
    content_hash: bytes
    state: str
    error_code: str | None
    error_message: str | None
    bytes: int
    format: str | None
    width: int | None
    height: int | None
    taken_at: datetime | None
    title: str | None
    description: str | None
    place: str | None
    latitude: float | None
    longitude: float | None
    added_at: datetime
    indexed_at: datetime | None
    tags: tuple[TagView, ...]
    captions: tuple[CaptionView, ...]
    sources: tuple[SourceView, ...]


def load(session: Session, image_ids: Sequence[int]) -> list[ImageView]:
    """The images in the order given; ids that name nothing are left out."""
    images = {row.id: row for row in session.scalars(select(Image).where(Image.id.in_(image_ids)))}
    found = list(images)
    tags, captions, sources = _tags(session, found), _captions(session, found), _sources(session, found)
    return [
        _view(images[image_id], tags[image_id], captions[image_id], sources[image_id])
        for image_id in image_ids
        if image_id in images
    ]


def _view(
    image: Image, tags: list[TagView], captions: list[CaptionView], sources: list[SourceView]
) -> ImageView:
    plain = {name: getattr(image, name) for name in ImageView.__annotations__ if hasattr(image, name)}
    return ImageView(**plain, tags=tuple(tags), captions=tuple(captions), sources=tuple(sources))


def _tags(session: Session, image_ids: Sequence[int]) -> dict[int, list[TagView]]:
    """A person's rejection hides what others assert: only the rejection is returned."""
    rows = session.execute(
        select(ImageTag.image_id, Tag.id, Tag.name, ImageTag.confidence, VocabularyTag.threshold)
        .add_columns(ImageTag.rejected, Annotator.kind, Annotator.name, Annotator.version)
        .join(Tag, Tag.id == ImageTag.tag_id)
        .join(Annotator, Annotator.id == ImageTag.annotator_id)
        .outerjoin(
            VocabularyTag,
            (VocabularyTag.annotator_id == ImageTag.annotator_id) & (VocabularyTag.tag_id == ImageTag.tag_id),
        )
        .where(ImageTag.image_id.in_(image_ids))
        .order_by(ImageTag.rejected.desc(), ImageTag.confidence.desc(), Tag.name)
    )
    found: dict[int, list[TagView]] = defaultdict(list)
    rejected: set[tuple[int, str]] = set()
    for image_id, *values in rows:
        view = TagView(*values)
        if view.rejected:
            rejected.add((image_id, view.name))
        if view.rejected or (image_id, view.name) not in rejected:
            found[image_id].append(view)
    return found


def _captions(session: Session, image_ids: Sequence[int]) -> dict[int, list[CaptionView]]:
    """A person's caption comes first."""
    rows = session.execute(
        select(Caption.image_id, Caption.text, Annotator.kind, Annotator.name, Annotator.version)
        .add_columns(Caption.guided_by)
        .join(Annotator, Annotator.id == Caption.annotator_id)
        .where(Caption.image_id.in_(image_ids))
        .order_by((Annotator.kind == "person").desc(), Caption.id)
    )
    found: dict[int, list[CaptionView]] = defaultdict(list)
    for image_id, text, kind, name, version, guided_by in rows:
        found[image_id].append(CaptionView(text, kind, name, version, tuple(guided_by)))
    return found


def _sources(session: Session, image_ids: Sequence[int]) -> dict[int, list[SourceView]]:
    rows = session.execute(
        select(Source.image_id, Source.kind, Source.uri, Source.external_id)
        .where(Source.image_id.in_(image_ids))
        .order_by(Source.id)
    )
    found: dict[int, list[SourceView]] = defaultdict(list)
    for image_id, kind, uri, external_id in rows:
        found[image_id].append(SourceView(kind, uri, external_id))
    return found
