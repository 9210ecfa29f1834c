"""The query language, for who writes queries by program or by hand."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue

# Room for examples; of the text itself `indexer.query.limits` counts what is too much.
MAX_QUERY = 20_000


class ParseIn(BaseModel):
    """A query to be understood."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field(max_length=MAX_QUERY, examples=["a dog in snow tag:dog -tag:grass"])


class ChipOut(BaseModel):
    """One piece of a query."""

    text: str = Field(description="as it stands in the canonical query", examples=["-tag:grass"])
    kind: str = Field(description="text, like, tag, order, group, or the key it is about", examples=["tag"])
    negated: bool = Field(description="asks for less of it, or for images that are not so")
    span: tuple[int, int] = Field(description="where it stands in the canonical query, in characters")


class ParseOut(BaseModel):
    """A query as it was understood."""

    query: str = Field(description="its canonical text")
    tree: dict[str, JsonValue] = Field(description="the same as JSON, as `POST /v1/search` takes it")
    chips: list[ChipOut] = Field(description="its pieces, in the order of the canonical text")


class KeyOut(BaseModel):
    """One key of the query language."""

    key: str = Field(examples=["taken"])
    help: str
    examples: list[str] = Field(description="queries, each of which works")
    choices: list[str] = Field(description="the only values possible; empty: any value is")


class KeysOut(BaseModel):
    """Every key of the query language."""

    keys: list[KeyOut]


class ValueOut(BaseModel):
    """A value in use."""

    value: str = Field(examples=["A-1001"])
    images: int = Field(description="how many images have it")


class ValuesOut(BaseModel):
    """Values that begin with what was typed, in order."""

    values: list[ValueOut]
