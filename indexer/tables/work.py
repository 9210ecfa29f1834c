"""What is left to do. Postgres is the queue of record; messages in Redis only wake the workers."""

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    SmallInteger,
    Text,
    func,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from indexer.tables.base import CASCADE, Base

SET_NULL = "SET NULL"


class WorkerProcess(Base):
    """A worker process that is or was alive; what it claimed is free again when it has not been seen for a while."""

    __tablename__ = "workers"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Work(Base):
    """An image that has to be looked at; the row is gone when that is done or given up."""

    __tablename__ = "work"
    __table_args__ = (
        Index("ix_work_waiting", "priority", "image_id"),
        Index("ix_work_claimed_by", "claimed_by", postgresql_where=sql("claimed_by IS NOT NULL")),
        Index("ix_work_prepared", "image_id", postgresql_where=sql("prepared IS NOT NULL")),
    )

    image_id: Mapped[int] = mapped_column(
        ForeignKey("images.id", ondelete=CASCADE), primary_key=True, autoincrement=False
    )
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete=SET_NULL))
    priority: Mapped[int] = mapped_column(SmallInteger)  # 0 before 6
    queued_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    not_before: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    # The largest batch it may be looked at in: halved each time a batch of it killed its worker.
    batch_limit: Mapped[int | None] = mapped_column(SmallInteger)
    claimed_by: Mapped[int | None] = mapped_column(ForeignKey("workers.id", ondelete=SET_NULL))
    claimed_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # It has been decoded: its pixels lie in the store as these models' inputs (InputSpec.name, with commas between).
    prepared: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_message: Mapped[str | None] = mapped_column(Text)


class Fetch(Base):
    """An input of a job whose bytes are still to be brought here from an address; gone when that is done."""

    __tablename__ = "fetches"
    __table_args__ = (
        ForeignKeyConstraint(
            ["job_id", "position"], ["job_items.job_id", "job_items.position"], ondelete=CASCADE
        ),
        Index("ix_fetches_waiting", "priority", "queued_at"),
    )

    job_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text)
    title: Mapped[str | None] = mapped_column(Text)
    caption: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=sql("'{}'"))
    collection: Mapped[str | None] = mapped_column(Text)
    rejected_tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=sql("'{}'"))
    priority: Mapped[int] = mapped_column(SmallInteger)
    queued_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    not_before: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    claimed_by: Mapped[int | None] = mapped_column(ForeignKey("workers.id", ondelete=SET_NULL))
    claimed_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class EmbeddingChange(Base):
    """The outbox to Milvus: what Milvus holds of this image by this embedder is not yet what Postgres holds.

    Written by triggers in the transaction that changed an embedding, a caption or deleted the image; removed by
    whoever has made Milvus agree, if `change_id` is still what it was when they read what to write. Outlives the image.
    """

    __tablename__ = "embedding_changes"
    __table_args__ = (Index("ix_embedding_changes_queued_at", "queued_at"),)

    image_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    annotator_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    change_id: Mapped[int] = mapped_column(
        BigInteger, server_default=sql("nextval('embedding_changes_change_id_seq')")
    )
    # Milvus may hold something that Postgres no longer does. Finding it takes Lite a look at every row it has.
    lost: Mapped[bool] = mapped_column(server_default=sql("true"))
    queued_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
