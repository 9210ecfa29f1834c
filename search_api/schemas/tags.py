"""Which tags there are."""

from pydantic import BaseModel, Field


class TagCountOut(BaseModel):
    """A tag and how many images show it."""

    name: str
    images: int
    threshold: float | None


class TagsOut(BaseModel):
    """Tags by falling count."""

    tags: list[TagCountOut]


class CompletionOut(BaseModel):
    """A tag that the letters typed may become."""

    name: str
    count: int = Field(description="how many images show it")
    alias: str | None = Field(description="the other name by which the letters lead to it")


class CompletionsOut(BaseModel):
    """Tags that the letters typed may become, the likeliest first."""

    tags: list[CompletionOut]
