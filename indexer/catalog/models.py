"""Which models are in effect: whose statements are shown, and in whose embeddings one searches.

Three rows, one a kind, changed only in a transaction that holds everybody off who would commit what a model has said
(`hold_still`); whoever commits such statements keeps such a change off until the commit (`check_in_effect`). So no
statement of a model that has just been replaced is taken for one of its successor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.errors import ModelsChanged
from indexer.published import Kind
from indexer.tables import Annotator, Caption, ImageEmbedding, ImageTag, ModelInEffect

MODELS_LOCK = 0x516D2


@dataclass(frozen=True)
class ModelRow:
    """A model in effect: its row among the annotators, its name and version; the one before, to go back to."""

    annotator_id: int
    name: str
    version: str
    previous_id: int | None = None


def in_effect(session: Session) -> dict[Kind, ModelRow]:
    """The model in effect of each kind; a kind nobody has worked with yet is left out."""
    rows = session.execute(
        select(ModelInEffect.kind, ModelInEffect.annotator_id, Annotator.name, Annotator.version)
        .add_columns(ModelInEffect.previous_id)
        .join(Annotator, Annotator.id == ModelInEffect.annotator_id)
    )
    return {kind: ModelRow(*values) for kind, *values in rows}


def named(session: Session, annotator_id: int) -> ModelRow:
    """The name and version of a model, in effect or not."""
    row = session.get_one(Annotator, annotator_id)
    return ModelRow(row.id, row.name, row.version)


def before(session: Session, kind: Kind) -> ModelRow | None:
    """Whose statements a library of before there were models in effect holds: who spoke of its newest image."""
    found = session.scalar(_NEWEST[kind])
    return None if found is None else named(session, found)


_NEWEST: Mapping[Kind, Select[Any]] = {
    "tagger": select(ImageTag.annotator_id)
    .join(Annotator, Annotator.id == ImageTag.annotator_id)
    .where(Annotator.kind == "tagger")
    .order_by(ImageTag.image_id.desc(), ImageTag.annotator_id.desc())
    .limit(1),
    "captioner": select(Caption.annotator_id)
    .join(Annotator, Annotator.id == Caption.annotator_id)
    .where(Annotator.kind == "captioner")
    .order_by(Caption.id.desc())
    .limit(1),
    "embedder": select(ImageEmbedding.annotator_id)
    .order_by(ImageEmbedding.image_id.desc(), ImageEmbedding.annotator_id.desc())
    .limit(1),
}


def settle(session: Session, kind: Kind, annotator_id: int) -> ModelRow:
    """Put a model in effect unless another one is; the one that is."""
    statement = insert(ModelInEffect).values(kind=kind, annotator_id=annotator_id)
    session.execute(statement.on_conflict_do_nothing(index_elements=["kind"]))
    return in_effect(session)[kind]


def put_in_effect(session: Session, kind: Kind, annotator_id: int) -> None:
    """Let this model answer from the commit on; the one that did is remembered. Call `hold_still` before."""
    now = session.get_one(ModelInEffect, kind, with_for_update=True)
    if now.annotator_id != annotator_id:
        now.previous_id, now.annotator_id, now.changed_at = now.annotator_id, annotator_id, func.now()
        session.flush()  # so that what follows in this transaction sees it


def forget_previous(session: Session, kind: Kind, annotator_id: int) -> None:
    """If this is the model before the one in effect, no longer remember it, so that there is no way back."""
    now = session.get(ModelInEffect, kind, with_for_update=True)
    if now is not None and now.previous_id == annotator_id:
        now.previous_id = None
        session.flush()


def last_changed(session: Session) -> Kind | None:
    """The kind whose model was changed last and can be changed back."""
    query = select(ModelInEffect.kind).where(ModelInEffect.previous_id.is_not(None))
    kind: Kind | None = session.scalar(query.order_by(ModelInEffect.changed_at.desc()).limit(1))
    return kind


def hold_still(session: Session) -> None:
    """Wait for those who are committing what models said, and keep others off until this transaction ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MODELS_LOCK})


def stay(session: Session) -> None:
    """Keep the models in effect as they are until this transaction ends."""
    session.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": MODELS_LOCK})


def check_in_effect(session: Session, speaking: Mapping[Kind, int]) -> None:
    """Make sure that these annotators are in effect, and stay so until this transaction ends.

    Where no model of a kind is in effect yet, any may speak.

    Raises:
        ModelsChanged: one is not any more; what it said must be asked of its successor.
    """
    stay(session)
    for kind, row in in_effect(session).items():
        if kind in speaking and speaking[kind] != row.annotator_id:
            raise ModelsChanged(f"{row.name} is the {kind} in effect now: ask it what it sees.")
