"""Collections of images, and searches kept under a name."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=200)]


class CollectionIn(BaseModel):
    """A collection's name."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(examples=["For Anna"])


class CollectionOut(BaseModel):
    """A collection."""

    id: int
    name: str = Field(description="`collection:NAME` in a query finds its images")
    created_at: datetime
    images: int = Field(description="how many images it holds")


class CollectionsOut(BaseModel):
    """Every collection, by name."""

    collections: list[CollectionOut]


class MembersChanged(BaseModel):
    """What became of a collection."""

    collection: CollectionOut
    changed: int = Field(description="images added, or taken out")
