"""A whole answer as a file, and pictures that are there twice."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from search_api.schemas.query import MAX_QUERY

ExportFormat = Literal["csv", "jsonl", "parquet"]


class ExportIn(BaseModel):
    """What to export and how."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field("", max_length=MAX_QUERY, description="a query; empty: the whole library")
    format: ExportFormat = "csv"
    columns: list[str] = Field(
        [],
        max_length=50,
        description="which columns, in which order; none: all",
        examples=[["id", "caption"]],
    )
    all: StrictBool = Field(False, description="also what does not stand out from the query's background")


class DuplicateOut(BaseModel):
    """One image of a group."""

    id: int
    name: str | None = Field(description="its file's name")
    width: int | None
    height: int | None
    bytes: int
    format: str | None
    thumbnail_url: str | None
    similarity: float = Field(description="cosine to the first image of the group")


class DuplicateGroupOut(BaseModel):
    """Images that are one picture, the largest first."""

    similarity: float = Field(description="the least cosine between any two of them")
    images: list[DuplicateOut]


class DuplicatesOut(BaseModel):
    """Near-duplicates within an answer."""

    query: str
    threshold: float
    compared: int = Field(description="images compared with each other")
    groups: list[DuplicateGroupOut] = Field(description="the most alike first")
    more: int = Field(description="groups found beyond `limit`")
