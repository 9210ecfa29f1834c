"""Which tags there are."""

from pydantic import BaseModel


class TagCountOut(BaseModel):
    """A tag and how many images show it."""

    name: str
    images: int
    threshold: float | None


class TagsOut(BaseModel):
    """Tags by falling count."""

    tags: list[TagCountOut]
