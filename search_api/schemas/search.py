"""A search and what it finds."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from indexer import old_query as query
from search_api.schemas.images import ImageSummary

Confidence = Annotated[float, Field(ge=0, le=1)]


class TagFilterIn(BaseModel):
    """Which tags an image must show."""

    model_config = ConfigDict(extra="forbid")

    all: list[str] = Field([], description="tags it must show, every one", examples=[["dog", "snow"]])
    any: list[str] = Field([], description="tags of which it must show at least one", examples=[[]])
    none: list[str] = Field([], description="tags it must not show", examples=[["grass"]])
    min_confidence: Confidence = Field(
        0.0, description="how sure the tags in `all` and `any` must be, 0 to 1", examples=[0.6]
    )


class SearchIn(BaseModel):
    """One search. Without text and examples it lists what passes the filter, the newest first."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(
        "",
        max_length=query.MAX_TEXT,
        description="what the picture shows, in words",
        examples=["a dog in the snow"],
    )
    like: list[int] = Field([], max_length=20, description="ids of indexed images to resemble", examples=[[]])
    tags: TagFilterIn = TagFilterIn()
    limit: int = Field(50, ge=1, le=query.MAX_LIMIT, description="hits to return")
    offset: int = Field(0, ge=0, le=query.MAX_OFFSET, description="hits to skip")


class HitOut(BaseModel):
    """One image found, and why."""

    id: int
    score: float | None = Field(description="weighted sum of `scores`; none when only tags were asked")
    scores: dict[str, float] = Field(
        description="cosine of the query with the image's and with its caption's embedding",
        examples=[{"image": 0.31, "caption": 0.58}],
    )
    matched_tags: list[str] = Field(description="the asked tags it shows")
    image: ImageSummary


class Total(BaseModel):
    """How many images pass the filter."""

    value: int
    relation: Literal["eq"] = "eq"


class SearchOut(BaseModel):
    """A page of hits, best first."""

    hits: list[HitOut]
    total: Total
    weights: dict[str, float] = Field(description="each channel's weight in the score; empty without ranking")
    next_offset: int | None = Field(description="`offset` of the next page; none if this is the last")
    took_ms: float = Field(description="time the search took, in milliseconds")
