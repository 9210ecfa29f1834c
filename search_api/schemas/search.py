"""A search and what it finds."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictBool

from indexer.search import MAX_FACET_LIMIT, MAX_LIMIT
from search_api.schemas.images import ImageSummary, StatedBy

Facet = Literal["tag", "year", "format", "source", "collection"]
MAX_TEXT = 20_000  # twenty uploaded pictures, each a token of some 700 characters, and words

Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="hits a page")]
FacetLimit = Annotated[
    int, Field(ge=1, le=MAX_FACET_LIMIT, description="so many of the commonest values of each facet")
]
Cursor = Annotated[
    str | None,
    Field(max_length=4_000, description="`next_cursor` of the page before; leave out for the first"),
]


class SearchIn(BaseModel):
    """One search: `q` in the query language, or the same as a tree. With neither it lists everything."""

    model_config = ConfigDict(extra="forbid")

    q: str | None = Field(
        None,
        max_length=MAX_TEXT,
        description="the query as one types it",
        examples=["a dog in the snow tag:dog -tag:grass taken:2024..2025"],
    )
    text: str | None = Field(None, max_length=MAX_TEXT, description="what the picture shows, in words")
    terms: list[dict[str, JsonValue]] | None = Field(
        None,
        max_length=20,
        description='texts and pictures with weights: `{"text": "in red", "weight": 0.5}`, `{"image": 17}`, '
        '`{"example": "e1.…", "weight": -1}`',
        examples=[None],
    )
    filter: JsonValue = Field(
        None,
        description='conditions: `{"all": ["dog"], "none": ["grass"], "width": {"gte": 2000}}`, nested at will',
        examples=[{"all": ["dog", "snow"], "none": ["grass"]}],
    )
    order: str | None = Field(
        None, description="relevance, taken, added, size; with `_asc` the other way", examples=[None]
    )
    limit: Limit = 50
    cursor: Cursor = None
    facets: list[Facet] = Field([], description="what to count the answer by")
    facet_limit: FacetLimit = 20
    fields: list[str] | None = Field(
        None,
        max_length=50,
        description="only these of each hit: `id`, `score`, `image.caption` …",
        examples=[None],
    )
    all: StrictBool = Field(False, description="also what does not stand out from the query's background")
    explain: StrictBool = Field(False, description="tell the plan and its times")


class ChannelOut(BaseModel):
    """What one channel adds to a score."""

    cosine: float | None = Field(None, description="of the query's and the image's or caption's embedding")
    standing: float | None = Field(
        None, description="standard deviations that is above this query's own background"
    )
    part: float = Field(description="its part of the score")


class MatchedTagOut(BaseModel):
    """A tag that was asked for, or that the words name, and that the image shows."""

    name: str
    confidence: float
    threshold: float | None
    source: StatedBy


class MatchedCaptionOut(BaseModel):
    """The caption, and where in it words of the query stand."""

    text: str
    spans: list[tuple[int, int]] = Field(description="start and end, in characters")


class MatchedTermOut(BaseModel):
    """How much of its score a hit owes to one of several terms."""

    term: str = Field(description="the words, `image 17`, or `your picture`")
    part: float


class WhyOut(BaseModel):
    """Why an image is a hit."""

    tags: list[MatchedTagOut]
    caption: MatchedCaptionOut | None
    terms: list[MatchedTermOut]


class HitOut(BaseModel):
    """One image found, and why."""

    id: int
    score: float | None = Field(
        description="sum of the channels' parts; 0 is this query's background. None when nothing was ranked by meaning"
    )
    channels: dict[str, ChannelOut] = Field(description="image, caption and tag")
    why: WhyOut
    image: ImageSummary


class PartialHit(BaseModel):
    """A hit of which only the `fields` asked for are told."""

    model_config = ConfigDict(extra="allow")


class Total(BaseModel):
    """A number of images: exactly so many (`eq`), at least (`gte`), or at most (`lte`)."""

    value: int
    relation: Literal["eq", "gte", "lte"] = "eq"


class FacetOut(BaseModel):
    """One value, how many hits there are with it, and how many there would be with it excluded."""

    value: str
    count: int
    without: int
    selected: Literal["include", "exclude"] | None


class ExplainOut(BaseModel):
    """How the answer was come by."""

    plan: str
    estimates_ms: dict[str, float]
    stages_ms: dict[str, float]
    background: dict[str, dict[str, float]] = Field(
        description="mean and deviation of the cosines, by channel"
    )
    detail: dict[str, Any]


class MissingOut(BaseModel):
    """A part that does not work at the moment, and what that means for this answer or the library."""

    part: Literal["milvus", "redis", "workers"]
    detail: str


class SearchOut(BaseModel):
    """A page of hits, best first."""

    query: str = Field(description="the query as it was understood, in the query language")
    filter: JsonValue = Field(description="its conditions as a tree")
    terms: list[dict[str, JsonValue]]
    hits: list[HitOut | PartialHit]
    total: Total
    hidden_below_cutoff: Total = Field(description="pass the filter and do not stand out; `all` shows them")
    cutoff: float | None = Field(description="the score that tells them apart; none if nothing stands out")
    facets: dict[str, list[FacetOut]]
    next_cursor: str | None = Field(description="`cursor` of the next page; none if this is the last")
    took_ms: float = Field(description="time the search took, in milliseconds")
    degraded: list[MissingOut] = Field(description="what does not work at the moment; empty when all is well")
    explain: ExplainOut | None
