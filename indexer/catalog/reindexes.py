"""Changes of model: how far each has come, and which images it has still to look at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, cast, exists, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from indexer.catalog import models
from indexer.errors import NameTaken
from indexer.published import Kind
from indexer.tables import (
    ANNOTATED,
    INDEXED,
    Annotator,
    Caption,
    CaptionEmbedding,
    EmbeddingChange,
    Image,
    ImageEmbedding,
    ImageTag,
    ModelInEffect,
    Reindex,
    ShelvedCaption,
    ShelvedImage,
    Source,
    Work,
)

WINDOW, WIDEST = 4_096, 1_000_000  # ids looked through at once
Within = Callable[[Any], ColumnElement[bool]]  # whether a column of image ids lies in a window
PASSED_OVER = "passed_over"  # in the report: images nothing could be read of, with the reason


@dataclass(frozen=True)
class Change:
    """One change of model. `filled_to`: every image up to this id was done when it was looked at.

    `report` compares the two models once the new one has looked at everything.
    """

    id: int
    kind: Kind
    annotator_id: int
    name: str
    version: str
    started_at: datetime
    filled_at: datetime | None
    switched_at: datetime | None
    ended_at: datetime | None
    filled_to: int
    report: Mapping[str, Any]

    @property
    def passed_over(self) -> list[int]:
        """Images nothing could be read of."""
        return [int(image_id) for image_id in self.report.get(PASSED_OVER, {})]


@dataclass(frozen=True)
class Pictured:
    """An image and where its bytes can be read, oldest source first."""

    image_id: int
    content_hash: bytes
    sources: tuple[tuple[str, str], ...]


def _changes() -> Select[Any]:
    columns = [column for name, column in Reindex.__table__.columns.items() if name not in ("id", "kind")]
    first, *rest = columns
    return select(Reindex.id, Reindex.kind, first, Annotator.name, Annotator.version, *rest).join(
        Annotator, Annotator.id == Reindex.annotator_id
    )


def latest(session: Session) -> Change | None:
    """The change begun last, ended or not."""
    row = session.execute(_changes().order_by(Reindex.id.desc()).limit(1)).first()
    return None if row is None else Change(**row._mapping)


def find(session: Session, change_id: int) -> Change:
    """One change."""
    return Change(**session.execute(_changes().where(Reindex.id == change_id)).one()._mapping)


def running(session: Session) -> Change | None:
    """The change under way: there is one at most."""
    found = latest(session)
    return found if found is not None and found.ended_at is None else None


def begin(session: Session, kind: Kind, annotator_id: int, *, switched: bool = False) -> Change:
    """Begin a change, or go on with one of the same model; `switched`: it is in effect already, and only fills.

    Raises:
        NameTaken: another change is under way.
    """
    models.hold_still(session)
    now = running(session)
    if now is not None and (now.kind, now.annotator_id) != (kind, annotator_id):
        raise NameTaken(
            f"A change to the {now.kind} {now.name} is under way: `sightline reindex --status` says how far it is,"
            " `sightline reindex --cancel` ends it."
        )
    if now is None:
        session.add(
            Reindex(kind=kind, annotator_id=annotator_id, switched_at=func.now() if switched else None)
        )
        session.flush()  # its id
        now = running(session)
    assert now is not None
    return now


def note_filled_to(session: Session, change_id: int, image_id: int | None) -> None:
    """Everything up to this image is done (None: up to the newest one), or was when it was looked at."""
    to = select(func.coalesce(func.max(Image.id), 0)).scalar_subquery() if image_id is None else image_id
    session.execute(update(Reindex).where(Reindex.id == change_id).values(filled_to=to))


def note_filled(session: Session, change_id: int, report: Mapping[str, Any]) -> None:
    """Everything is done, and this is how the two models differ."""
    more = Reindex.report.op("||")(cast(dict(report), JSONB))
    session.execute(update(Reindex).where(Reindex.id == change_id).values(filled_at=func.now(), report=more))


def note_switched(session: Session, change_id: int) -> None:
    """The new model is in effect."""
    session.execute(update(Reindex).where(Reindex.id == change_id).values(switched_at=func.now()))


def end(session: Session, change_id: int) -> bool:
    """There is nothing left to do, or it was called off; whether it had not ended before."""
    ended = update(Reindex).where(Reindex.id == change_id, Reindex.ended_at.is_(None))
    return session.scalar(ended.values(ended_at=func.now()).returning(Reindex.id)) is not None


def pass_over(session: Session, change_id: int, reasons: Mapping[int, str]) -> None:
    """Note images nothing can be read of: they are not waited for."""
    change = session.get_one(Reindex, change_id, with_for_update=True)
    known = change.report.get(PASSED_OVER, {})
    change.report = {**change.report, PASSED_OVER: {**known, **{str(i): why for i, why in reasons.items()}}}
    session.flush()


def still_running(session: Session, change_id: int) -> bool:
    """Whether a change has not been called off; it cannot be until this transaction ends."""
    query = select(Reindex.ended_at.is_(None)).where(Reindex.id == change_id).with_for_update(read=True)
    return bool(session.scalar(query))


def settled(session: Session, change_id: int, seconds: float) -> bool:
    """Whether so much time has passed since the switch that every process has noticed."""
    since = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    return bool(session.scalar(select(Reindex.switched_at < since).where(Reindex.id == change_id)))


def indexing(session: Session) -> bool:
    """Whether images wait to be indexed or are being indexed now: filling comes after them."""
    due = or_(Work.not_before.is_(None), Work.not_before <= func.now())
    return session.scalar(select(Work.image_id).where(due).limit(1)) is not None


def unpublished(session: Session, embedder_id: int) -> bool:
    """Whether Milvus has still to be told of embeddings by this embedder."""
    waiting = select(EmbeddingChange.image_id).where(EmbeddingChange.annotator_id == embedder_id)
    return session.scalar(waiting.limit(1)) is not None


# --- what is missing


def missing(session: Session, change: Change, after: int, limit: int) -> list[int]:
    """The first images with a greater id than `after` that the new model has still to look at, ascending.

    At most `limit`, and at least one if there is any. Only those the models in effect are done with: what they have not
    seen yet, they see first. Read in windows that widen as long as nothing is missing, so that neither the next batch
    nor a look through ten million images takes more than it must.
    """
    passed_over, top, window = set(change.passed_over), newest(session), WINDOW
    while after < top:
        found: set[int] = set()
        within = _within(after, after + window)
        for rule in _rules(session, change, within):
            query = select(Image.id).where(within(Image.id), Image.state.in_([ANNOTATED, INDEXED]), rule)
            found.update(session.scalars(query.order_by(Image.id).limit(limit + len(passed_over))))
        if found - passed_over:
            return sorted(found - passed_over)[:limit]
        after, window = after + window, min(window * 4, WIDEST)
    return []


def _within(above: int, up_to: int) -> Within:
    return lambda ids: and_(ids > above, ids <= up_to)


def _rules(session: Session, change: Change, within: Within) -> list[ColumnElement[bool]]:
    """Of an image the new model has still to look at, one of these is true."""
    row = models.in_effect(session).get(change.kind)
    is_in_effect = row is not None and row.annotator_id == change.annotator_id
    return _RULES[change.kind](change.annotator_id, is_in_effect, within)


def _embedder_rules(annotator_id: int, _: bool, within: Within) -> list[ColumnElement[bool]]:
    embedded = exists().where(
        ImageEmbedding.image_id == Image.id, ImageEmbedding.annotator_id == annotator_id
    )
    return [~embedded, _has_caption_without(annotator_id, within)]


def _has_caption_without(embedder_id: Any, within: Within) -> ColumnElement[bool]:
    embedded = exists().where(
        CaptionEmbedding.caption_id == Caption.id, CaptionEmbedding.annotator_id == embedder_id
    )
    return Image.id.in_(select(Caption.image_id).where(within(Caption.image_id), ~embedded))


def _captioner_rules(annotator_id: int, in_effect: bool, within: Within) -> list[ColumnElement[bool]]:
    embedder = select(ModelInEffect.annotator_id).where(ModelInEffect.kind == "embedder").scalar_subquery()
    shelved = _shelved(annotator_id)
    if not in_effect:
        usable = exists().where(
            ShelvedCaption.image_id == Image.id,
            ShelvedCaption.annotator_id == annotator_id,
            ShelvedCaption.embedder_id == embedder,
        )
        return [~usable]
    captioned = exists().where(Caption.image_id == Image.id, Caption.annotator_id == annotator_id)
    return [~captioned & ~shelved, _has_caption_without(embedder, within)]


def _tagger_rules(annotator_id: int, in_effect: bool, _: Within) -> list[ColumnElement[bool]]:
    tagged = exists().where(ImageTag.image_id == Image.id, ImageTag.annotator_id == annotator_id)
    return [~_shelved(annotator_id) & (~tagged if in_effect else true())]


def _shelved(annotator_id: int) -> ColumnElement[bool]:
    return exists().where(ShelvedImage.image_id == Image.id, ShelvedImage.annotator_id == annotator_id)


_RULES: Mapping[Kind, Callable[[int, bool, Within], list[ColumnElement[bool]]]] = {
    "embedder": _embedder_rules,
    "captioner": _captioner_rules,
    "tagger": _tagger_rules,
}


def count(session: Session, after: int | None = None) -> int:
    """How many images models look at: all, or those with a greater id than `after`."""
    query = select(func.count()).select_from(Image).where(Image.state.in_([ANNOTATED, INDEXED]))
    return int(session.scalar(query if after is None else query.where(Image.id > after)) or 0)


def newest(session: Session) -> int:
    """The greatest image id; 0 without images."""
    return int(session.scalar(select(func.max(Image.id))) or 0)


def pictured(session: Session, image_ids: Sequence[int]) -> list[Pictured]:
    """Those of the images that exist, ascending."""
    rows = session.execute(
        select(Image.id, Image.content_hash).where(Image.id.in_(image_ids)).order_by(Image.id)
    ).all()
    sources: dict[int, list[tuple[str, str]]] = {row.id: [] for row in rows}
    named = select(Source.image_id, Source.kind, Source.uri).where(Source.image_id.in_(list(sources)))
    for image_id, kind, uri in session.execute(named.order_by(Source.id)):
        sources[image_id].append((kind, uri))
    return [Pictured(row.id, bytes(row.content_hash), tuple(sources[row.id])) for row in rows]
