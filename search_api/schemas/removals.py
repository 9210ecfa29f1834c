"""Images taken out of the library."""

from typing import Literal

from pydantic import BaseModel, Field

from search_api.schemas.edits import Selection


class RemovalIn(Selection):
    """Which images to remove, and whether what the store keeps of uploads goes too."""

    originals: bool = Field(True, description="also the originals kept of uploads")


class RemovedItem(BaseModel):
    """What became of one image."""

    image_id: int
    status: Literal["removed", "missing"] = Field(description="missing: there is no such image")


class RemovalOut(BaseModel):
    """What was removed."""

    removed: int
    missing: int
    items: list[RemovedItem]
