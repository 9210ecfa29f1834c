"""Where a tag was seen in an image."""

from typing import Literal

from pydantic import BaseModel, Field

from search_api.schemas.images import StatedBy


class HeatOut(BaseModel):
    """A coarse map of where the tagger saw a tag: it knows no boxes, and a cell is what its surroundings look like."""

    rows: int = Field(examples=[12])
    columns: int = Field(examples=[12])
    values: list[list[float]] = Field(
        description="row by row over the whole picture, 0 to 1: how much the tag hangs on what is there, its"
        " hottest cell being 1; all 0 if on nothing in particular"
    )
    model: StatedBy
    coarse: Literal[True] = True
