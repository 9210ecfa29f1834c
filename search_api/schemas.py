"""What goes over the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from indexer import old_query as query
from search_api.problems import ProblemOut

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


class StatedBy(BaseModel):
    """Who says it."""

    kind: Literal["model", "human", "file"] = Field(description="a model, a person, or the file's metadata")
    name: str = Field(description="the model's or person's name", examples=["small"])
    version: str = Field(description="the model's version: the start of its weights' SHA-256")


class TagOut(BaseModel):
    """One statement that an image shows a tag."""

    name: str = Field(examples=["dog"])
    confidence: float = Field(description="how sure, 0 to 1", examples=[0.93])
    threshold: float | None = Field(description="from which confidence on this model asserts this tag")
    source: StatedBy
    rejected: bool = Field(description="a person says the image does not show it")


class CaptionOut(BaseModel):
    """One description of an image."""

    text: str = Field(examples=["a dog runs through deep snow"])
    source: StatedBy
    guided_by: list[str] = Field(description="the tags the captioner was given")


class SourceOut(BaseModel):
    """Where an image came from."""

    kind: Literal["path", "url", "upload"]
    uri: str
    name: str = Field(description="the file's name", examples=["holiday.jpg"])
    external_id: str | None


class Refusal(BaseModel):
    """Why an image cannot be used."""

    code: str = Field(description="stable name of the reason", examples=["unsupported_format"])
    message: str


class ImageSummary(BaseModel):
    """An image as a result page shows it."""

    id: int
    state: Literal["pending", "annotated", "indexed", "failed"]
    width: int | None = Field(description="pixels, as a person sees it")
    height: int | None
    thumbnail_url: str | None = Field(description="WebP, at most 512 pixels a side")
    caption: str | None = Field(description="a person's caption if there is one, else the model's")
    tags: list[TagOut] = Field(description="the surest first")
    title: str | None
    taken_at: datetime | None = Field(description="the camera's own clock, without time zone")


class ImageOut(ImageSummary):
    """Everything known of an image."""

    content_hash: str = Field(description="SHA-256 of the file's bytes, hexadecimal")
    error: Refusal | None
    bytes: int
    format: str | None = Field(examples=["jpeg"])
    description: str | None
    place: str | None
    latitude: float | None
    longitude: float | None
    added_at: datetime
    indexed_at: datetime | None
    original_url: str
    captions: list[CaptionOut] = Field(description="people's first")
    sources: list[SourceOut]


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


class UploadItem(BaseModel):
    """What became of one file."""

    name: str
    status: Literal["accepted", "known", "refused"] = Field(
        description="accepted: will be indexed; known: the same bytes are in the library already"
    )
    image_id: int | None
    error: ProblemOut | None


class UploadOut(BaseModel):
    """The job that follows the files, and what became of each."""

    job_id: int | None = Field(description="none when every file was refused")
    items: list[UploadItem]


class FailureOut(BaseModel):
    """One input that could not be used."""

    uri: str
    name: str
    code: str
    message: str


class JobOut(BaseModel):
    """How far a job is."""

    id: int
    kind: str
    created_at: datetime
    done: bool
    total: int
    pending: int
    indexed: int
    failed: int
    stage_seconds: dict[str, float] = Field(description="seconds spent per stage, summed over workers")


class JobDetail(JobOut):
    """A job and the inputs it could not use."""

    failures: list[FailureOut] = Field(description="the first 1,000, in input order")


class JobsOut(BaseModel):
    """The newest jobs, newest first."""

    jobs: list[JobOut]


class TagCountOut(BaseModel):
    """A tag and how many images show it."""

    name: str
    images: int
    threshold: float | None


class TagsOut(BaseModel):
    """Tags by falling count."""

    tags: list[TagCountOut]


class StatsOut(BaseModel):
    """The library at a glance."""

    images: dict[str, int] = Field(
        description="images by state", examples=[{"pending": 3, "annotated": 0, "indexed": 997, "failed": 1}]
    )
    queued_tasks: int | None = Field(description="messages waiting for a worker; none if Redis is away")
    max_bytes: int = Field(description="largest file accepted, in bytes")


class CaptionIn(BaseModel):
    """A person's caption."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=2000, examples=["Rex in his first snow"])


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
