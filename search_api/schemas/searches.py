"""Searches kept under a name."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from search_api.schemas.query import MAX_QUERY

Name = Annotated[str, Field(min_length=1, max_length=200, examples=["Dogs at the sea"])]
Text = Annotated[str, Field(max_length=MAX_QUERY, examples=["a dog tag:sea"])]


class SavedIn(BaseModel):
    """A search to keep."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    query: Text


class SavedChange(BaseModel):
    """What to change of a saved search."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    query: Text | None = None


class SavedOut(BaseModel):
    """A saved search."""

    id: int
    name: str
    query: str = Field(description="in canonical form")
    created_at: datetime
    count: int | None = Field(
        description="how many images it finds now; none if it cannot be answered any more, as when a tag is gone"
    )
    exact: bool = Field(description="whether it finds exactly so many, or more")


class SavedList(BaseModel):
    """Every saved search, by name."""

    searches: list[SavedOut]
