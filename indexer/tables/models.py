"""Which models answer, and what the next ones have said so far."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    LargeBinary,
    SmallInteger,
    Text,
    func,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import REAL

from indexer.tables.base import CASCADE, RESTRICT, Base


class ModelInEffect(Base):
    """The model whose statements are shown and searched, and the one before it, to go back to."""

    __tablename__ = "models_in_effect"
    __table_args__ = (CheckConstraint("kind IN ('tagger', 'captioner', 'embedder')", name="kind"),)

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    annotator_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("annotators.id", ondelete=RESTRICT))
    previous_id: Mapped[int | None] = mapped_column(
        SmallInteger, ForeignKey("annotators.id", ondelete=RESTRICT)
    )
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Reindex(Base):
    """One change of model: filling, filled, switched, perhaps rolled back."""

    __tablename__ = "reindexes"
    __table_args__ = (CheckConstraint("kind IN ('tagger', 'captioner', 'embedder')", name="kind"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    annotator_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("annotators.id", ondelete=RESTRICT))
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    filled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    switched_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # Every image up to this id has been looked at: where to go on from.
    filled_to: Mapped[int] = mapped_column(BigInteger, server_default="0")
    report: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sql("'{}'"))


class ShelvedImage(Base):
    """A tagger or captioner that is not in effect has said what it says of this image: it lies on the shelf."""

    __tablename__ = "shelved_images"

    annotator_id: Mapped[int] = mapped_column(
        SmallInteger, ForeignKey("annotators.id", ondelete=CASCADE), primary_key=True
    )
    image_id: Mapped[int] = mapped_column(
        ForeignKey("images.id", ondelete=CASCADE), primary_key=True, index=True
    )


class ShelvedTag(Base):
    """What a tagger that is not in effect says: shown to nobody until it is."""

    __tablename__ = "shelved_tags"

    annotator_id: Mapped[int] = mapped_column(
        SmallInteger, ForeignKey("annotators.id", ondelete=CASCADE), primary_key=True
    )
    image_id: Mapped[int] = mapped_column(
        ForeignKey("images.id", ondelete=CASCADE), primary_key=True, index=True
    )
    tag_id: Mapped[int] = mapped_column(ForeignKey("tags.id", ondelete=RESTRICT), primary_key=True)
    confidence: Mapped[float] = mapped_column(REAL)


class ShelvedCaption(Base):
    """What a captioner that is not in effect says, with its embedding by an embedder, D x float16."""

    __tablename__ = "shelved_captions"

    annotator_id: Mapped[int] = mapped_column(
        SmallInteger, ForeignKey("annotators.id", ondelete=CASCADE), primary_key=True
    )
    image_id: Mapped[int] = mapped_column(
        ForeignKey("images.id", ondelete=CASCADE), primary_key=True, index=True
    )
    text: Mapped[str] = mapped_column(Text)
    guided_by: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=sql("'{}'"))
    embedder_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("annotators.id", ondelete=RESTRICT))
    embedding: Mapped[bytes] = mapped_column(LargeBinary)
