"""The outbox to Milvus: whose embeddings have changed since Milvus was told.

Triggers write a row for every change, in its transaction. Whoever publishes holds the rows of what it is publishing
until Milvus has answered: nobody else can publish the same image meanwhile, nobody can commit a further change of it,
and when a publisher dies its rows are free at once.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ARRAY, BigInteger, and_, cast, delete, exists, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.tables import ANNOTATED, INDEXED, Annotator, EmbeddingChange, Image, ModelInEffect


@dataclass(frozen=True)
class Change:
    """The embeddings of one image by one embedder are to be made the same in Milvus.

    `lost`: Milvus may hold some that are no more; otherwise there are only new ones, or others in their place.
    """

    image_id: int
    embedder_id: int
    change_id: int
    lost: bool = True


@dataclass(frozen=True)
class Embedder:
    """What names an embedder's collections in Milvus."""

    id: int
    name: str
    version: str


_CHANGE = (
    EmbeddingChange.image_id,
    EmbeddingChange.annotator_id,
    EmbeddingChange.change_id,
    EmbeddingChange.lost,
)


def claim(session: Session, most: int, without: Collection[int] = ()) -> list[Change]:
    """The changes that have waited longest, at most `most`, kept from others until the transaction ends.

    Those of the embedders `without` are passed over, and those that others hold.
    """
    rows = session.execute(
        select(*_CHANGE)
        .where(EmbeddingChange.annotator_id.not_in(list(without)))
        .order_by(EmbeddingChange.queued_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return [Change(*row) for row in rows]


def between(session: Session, embedder_id: int, low: int, high: int) -> list[Change]:
    """The changes of images with `low` <= id < `high` by this embedder, kept from nobody."""
    rows = session.execute(
        select(*_CHANGE).where(
            EmbeddingChange.image_id >= low,
            EmbeddingChange.image_id < high,
            EmbeddingChange.annotator_id == embedder_id,
        )
    )
    return [Change(*row) for row in rows]


def settle(session: Session, published: Sequence[Change]) -> int:
    """Strike off changes that Milvus holds now, and note the images all of whose embeddings it holds; how many.

    An image somebody else is changing at this moment is not waited for: its change stays, to be published again.
    """
    done = _not_held(session, published)
    keys = [(change.image_id, change.embedder_id, change.change_id) for change in done]
    columns = tuple_(EmbeddingChange.image_id, EmbeddingChange.annotator_id, EmbeddingChange.change_id)
    session.execute(delete(EmbeddingChange).where(columns.in_(keys)))
    in_effect = select(ModelInEffect.annotator_id).where(ModelInEffect.kind == "embedder")
    waiting = exists().where(
        EmbeddingChange.image_id == Image.id, EmbeddingChange.annotator_id.in_(in_effect)
    )
    session.execute(
        update(Image)
        .where(Image.id.in_([c.image_id for c in done]), Image.state == ANNOTATED, ~waiting)
        .values(state=INDEXED, indexed_at=func.now())
        .execution_options(synchronize_session=False)
    )
    return len(done)


def _not_held(session: Session, published: Sequence[Change]) -> list[Change]:
    """Without those of images that are to be marked and that another transaction holds: waiting for it, while it
    may be waiting for the outbox, would be a deadlock.
    """
    to_mark = and_(Image.id.in_([change.image_id for change in published]), Image.state == ANNOTATED)
    ids = set(session.scalars(select(Image.id).where(to_mark)))
    free = select(Image.id).where(to_mark).with_for_update(skip_locked=True, key_share=True)
    held = ids - set(session.scalars(free))
    return [change for change in published if change.image_id not in held]


def embedders(session: Session, ids: Collection[int]) -> dict[int, Embedder]:
    """Embedders by id; one that is forgotten is left out."""
    rows = session.execute(
        select(Annotator.id, Annotator.name, Annotator.version).where(Annotator.id.in_(list(ids)))
    )
    return {row.id: Embedder(*row) for row in rows}


def all_embedders(session: Session) -> list[Embedder]:
    """Every embedder that has ever embedded, the one in effect first."""
    chosen = exists().where(ModelInEffect.annotator_id == Annotator.id)
    rows = session.execute(
        select(Annotator.id, Annotator.name, Annotator.version)
        .where(Annotator.kind == "embedder")
        .order_by(chosen.desc(), Annotator.id)
    )
    return [Embedder(*row) for row in rows]


def note(session: Session, image_ids: Collection[int], embedder_id: int) -> None:
    """Have these images' embeddings published, whether or not anything about them has changed."""
    ids = func.unnest(cast(sorted(set(image_ids)), ARRAY(BigInteger)))
    rows = select(ids, literal(embedder_id))
    statement = insert(EmbeddingChange).from_select(["image_id", "annotator_id"], rows)
    session.execute(statement.on_conflict_do_nothing())


def waiting(session: Session, image_ids: Collection[int], embedder_id: int) -> set[int]:
    """Those of the images of which something is still to be published."""
    return set(
        session.scalars(
            select(EmbeddingChange.image_id).where(
                EmbeddingChange.image_id.in_(list(image_ids)), EmbeddingChange.annotator_id == embedder_id
            )
        )
    )
