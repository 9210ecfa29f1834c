"""How the server and the library are."""

from typing import Literal

from pydantic import BaseModel, Field


class StatsOut(BaseModel):
    """The library at a glance."""

    images: dict[str, int] = Field(
        description="images by state", examples=[{"pending": 3, "annotated": 0, "indexed": 997, "failed": 1}]
    )
    queued_tasks: int | None = Field(description="messages waiting for a worker; none if Redis is away")
    max_bytes: int = Field(description="largest file accepted, in bytes")


class PartStatus(BaseModel):
    """Whether one part works, and why not."""

    ok: bool
    detail: str | None


class ReadyOut(BaseModel):
    """Which parts work."""

    status: Literal["ready", "degraded", "unavailable"] = Field(
        description="degraded: search works, adding pictures does not"
    )
    parts: dict[str, PartStatus]


class AliveOut(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
