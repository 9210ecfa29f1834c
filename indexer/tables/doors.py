"""Who may come in, and which requests have been answered already."""

from datetime import datetime

from sqlalchemy import ARRAY, CheckConstraint, DateTime, Identity, Index, LargeBinary, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from indexer.tables.base import Base


class ApiKey(Base):
    """A key, of which only a hash is kept, and what it opens."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("octet_length(key_hash) = 32", name="key_hash"),
        CheckConstraint("name <> ''", name="name"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    prefix: Mapped[str] = mapped_column(Text)  # shown in lists, to tell keys apart
    key_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class AnsweredRequest(Base):
    """The answer to a request that carried an idempotency key: the same request gets it again."""

    __tablename__ = "answered_requests"
    __table_args__ = (Index("ix_answered_requests_created_at", "created_at"),)

    owner: Mapped[str] = mapped_column(Text, primary_key=True)  # the API key's id, or empty on loopback
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int | None]  # none while it is being answered
    headers: Mapped[str | None] = mapped_column(Text)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
