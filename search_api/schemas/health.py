"""How the server and the library are."""

from typing import Literal

from pydantic import BaseModel, Field


class StatsOut(BaseModel):
    """The library at a glance."""

    images: dict[str, int] = Field(
        description="images by state", examples=[{"pending": 3, "annotated": 0, "indexed": 997, "failed": 1}]
    )
    waiting: dict[str, int] = Field(
        description="what is left to do, by kind of work", examples=[{"index": 3, "fetch": 0, "writes": 0}]
    )
    workers: int = Field(description="worker processes alive; with none, what waits goes on waiting")
    queued_tasks: int | None = Field(description="messages that wake workers; none if Redis is away")
    max_bytes: int = Field(description="largest file accepted, in bytes")


class PartStatus(BaseModel):
    """Whether one part works, and why not."""

    ok: bool
    detail: str | None


class ReadyOut(BaseModel):
    """Which parts work."""

    status: Literal["ready", "degraded", "unavailable"] = Field(
        description="degraded: search works, though a part is missing; unavailable: it cannot"
    )
    parts: dict[str, PartStatus]


class AliveOut(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
