"""Pictures at addresses, and manifests."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from search_api.problems import ProblemOut


class UrlIn(BaseModel):
    """A picture at an address, and what is said of it."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=1, max_length=4096, examples=["https://shop.example/a-1001.jpg"])
    sku: str | None = Field(None, max_length=200, examples=["A-1001"])
    title: str | None = Field(None, max_length=1000)
    alt_text: str | None = Field(None, max_length=2000, description="kept as a person's caption")
    tags: list[str] = Field([], max_length=100)
    collection: str | None = Field(None, max_length=200, description="made if there is none of this name")


class UrlsIn(BaseModel):
    """Pictures to bring."""

    model_config = ConfigDict(extra="forbid")

    items: list[UrlIn] = Field(min_length=1, max_length=1000)
    refetch: bool = Field(False, description="also fetch addresses again that are in the library")


class RowOut(BaseModel):
    """What became of one item or row."""

    row: int = Field(description="as a spreadsheet counts, the heading being row 1; of a list, from 1")
    status: Literal["fetching", "accepted", "changed", "unchanged", "refused"] = Field(
        description="fetching: its address waits to be fetched; changed, unchanged: of an image of the library"
        " something, or nothing, is said anew"
    )
    sku: str | None
    image_id: int | None
    error: ProblemOut | None
    said: list[str] = Field(
        [],
        description="of a changed row: which of sku, title, alt_text, tags, rejected_tags it says anew; collection,"
        " if nothing else",
    )
    note: str | None = Field(
        None,
        description="of a row that was taken: what may have been meant otherwise, as a SKU that others have too, an"
        " edit of what no table can change, or a person's word that it takes back, from what to what",
    )


class DryRunOut(BaseModel):
    """What would become of each row."""

    counts: dict[str, int] = Field(description="rows by status", examples=[{"changed": 2, "unchanged": 98}])
    rows: list[RowOut]
    unknown_columns: list[str] = Field(
        [], description="columns passed over: they mean nothing here, or no table can change them"
    )


class ImportOut(DryRunOut):
    """The job that follows what is fetched, and what became of each row."""

    job_id: int
