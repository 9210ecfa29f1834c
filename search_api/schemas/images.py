"""Images, what is said of them, and files on their way in."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from search_api.problems import ProblemOut


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
    collections: list[str] = Field(description="the names of those it is in", examples=[["For Anna"]])


class CaptionIn(BaseModel):
    """A person's caption."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=2000, examples=["Rex in his first snow"])


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


class ExampleOut(BaseModel):
    """A picture to search by."""

    example: str = Field(
        description="what it looks like, as a token: `like:<example>` in a query", examples=["e1.5fWZ8gww..."]
    )
