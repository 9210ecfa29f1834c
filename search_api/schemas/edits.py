"""Tags of many images edited at once."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from search_api.schemas.query import MAX_QUERY

MAX_IMAGES = 10_000
MAX_TAGS = 100

TagName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
TagNames = Annotated[list[TagName], Field(max_length=MAX_TAGS)]
ImageId = Annotated[int, Field(ge=1, lt=2**63)]


class Selection(BaseModel):
    """Which images are meant: these, or all that a query finds."""

    model_config = ConfigDict(extra="forbid")

    images: list[ImageId] | None = Field(
        None, min_length=1, max_length=MAX_IMAGES, description="ids of images", examples=[[17, 18]]
    )
    q: str | None = Field(
        None,
        max_length=MAX_QUERY,
        description=f"a query; everything it finds is meant, at most {MAX_IMAGES:,} images",
        examples=[None],
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "Selection":
        if (self.images is None) == (self.q is None):
            raise ValueError("give either `images` or `q`")
        return self


class EditIn(Selection):
    """What to say of the tags of the images meant."""

    add: TagNames = Field([], description="tags the images show; new names are created", examples=[["beach"]])
    remove: TagNames = Field([], description="tags they do not show, where somebody says so", examples=[[]])
    clear: TagNames = Field([], description="tags on which to take back your own word", examples=[[]])


class EditItemOut(BaseModel):
    """What became of one image."""

    image_id: int
    status: Literal["changed", "unchanged", "missing"] = Field(
        description="unchanged: it was said already; missing: there is no such image"
    )
    tags: list[str] = Field(description="the tags of which something else is said now")


class EditOut(BaseModel):
    """One edit."""

    id: int
    created_at: datetime
    undone_at: datetime | None = Field(description="when it was taken back")
    tags: list[str] = Field(description="the tags it changed")
    added: list[str] = Field(description="those it said are shown")
    rejected: list[str] = Field(description="those it said are not")
    cleared: list[str] = Field(
        description="those on which it took your word back; of an edit older than this distinction, all three are empty"
    )
    images: int = Field(description="how many images it changed")


class EditMade(BaseModel):
    """What an edit did."""

    edit: EditOut | None = Field(description="none when nothing was to be changed")
    changed: int = Field(description="images changed")
    unchanged: int
    missing: int
    items: list[EditItemOut]


class EditUndone(BaseModel):
    """What taking an edit back did."""

    edit: EditOut
    restored: int = Field(description="statements that are again what they were before")
    left: int = Field(description="statements left alone because you spoke of them again since")


class EditsOut(BaseModel):
    """The newest edits, newest first."""

    edits: list[EditOut]
