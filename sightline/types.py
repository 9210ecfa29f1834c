"""What the server answers, as it comes: JSON objects with known members.

A newer server may send more; only what is named here is promised.
"""

from typing import Any, Literal, TypedDict

# A row of an export: a value for each column, lists for `tags`, `confidences`, `human_tags`, `rejected_tags`.
Row = dict[str, Any]


class Source(TypedDict):
    """Who says something: a model, a person, or the file's metadata."""

    kind: Literal["model", "human", "file"]
    name: str
    version: str


class Tag(TypedDict):
    """One statement that an image shows a tag, or, `rejected`, that it does not."""

    name: str
    confidence: float
    threshold: float | None
    source: Source
    rejected: bool


class Summary(TypedDict):
    """An image as a hit shows it."""

    id: int
    state: Literal["pending", "annotated", "indexed", "failed"]
    width: int | None
    height: int | None
    thumbnail_url: str | None
    caption: str | None
    tags: list[Tag]
    title: str | None
    taken_at: str | None


class Image(Summary):
    """Everything known of an image."""

    content_hash: str
    error: dict[str, str] | None
    bytes: int
    format: str | None
    description: str | None
    place: str | None
    latitude: float | None
    longitude: float | None
    added_at: str
    indexed_at: str | None
    original_url: str
    captions: list[dict[str, Any]]
    sources: list[dict[str, Any]]
    collections: list[str]


class Hit(TypedDict):
    """One image found, and why; `score` is None where nothing was ranked by meaning."""

    id: int
    score: float | None
    channels: dict[str, Any]
    why: dict[str, Any]
    image: Summary


class Count(TypedDict):
    """A number of images, exact ("eq"), at least so many ("gte") or at most ("lte")."""

    value: int
    relation: Literal["eq", "gte", "lte"]


class Facet(TypedDict):
    """One value of a facet, how many images of the answer have it, how many there would be with it excluded."""

    value: str
    count: int
    without: int
    selected: Literal["include", "exclude"] | None


class Missing(TypedDict):
    """A part that does not work at the moment, and what that means."""

    part: Literal["milvus", "redis", "workers"]
    detail: str


class Page(TypedDict):
    """A page of hits; `next_cursor` is None on the last."""

    query: str
    hits: list[Hit]
    total: Count
    hidden_below_cutoff: Count
    facets: dict[str, list[Facet]]
    next_cursor: str | None
    took_ms: float
    degraded: list[Missing]
    explain: dict[str, Any] | None


class Completion(TypedDict):
    """A tag that the letters typed may become, and the other name by which they lead to it."""

    name: str
    count: int
    alias: str | None


class TagCount(TypedDict):
    """A tag and how many images show it."""

    name: str
    images: int
    threshold: float | None


class Edit(TypedDict):
    """One edit of tags."""

    id: int
    created_at: str
    undone_at: str | None
    tags: list[str]
    added: list[str]
    rejected: list[str]
    cleared: list[str]
    images: int


class EditMade(TypedDict):
    """What an edit did, image by image; `edit` is None when nothing was to be changed."""

    edit: Edit | None
    changed: int
    unchanged: int
    missing: int
    items: list[dict[str, Any]]


class EditUndone(TypedDict):
    """What taking an edit back did."""

    edit: Edit
    restored: int
    left: int


class Collection(TypedDict):
    """A named set of images."""

    id: int
    name: str
    created_at: str
    images: int


class SavedSearch(TypedDict):
    """A search kept under a name, with how many images it finds now; None where it cannot be answered any more."""

    id: int
    name: str
    query: str
    created_at: str
    count: int | None
    exact: bool


class Upload(TypedDict):
    """What became of files sent, and the job that follows them."""

    job_id: int | None
    items: list[dict[str, Any]]


class _Url(TypedDict):
    url: str


class Address(_Url, total=False):
    """A picture to fetch, and what is said of it; all but the url may be left out."""

    sku: str
    title: str
    alt_text: str
    tags: list[str]
    collection: str


class DryRun(TypedDict):
    """What would become of each row of a manifest, and columns of it that are passed over."""

    counts: dict[str, int]
    rows: list[dict[str, Any]]
    unknown_columns: list[str]


class Import(DryRun):
    """What became of each row of a manifest or address, and the job that follows what is fetched."""

    job_id: int


class Failure(TypedDict):
    """One input that could not be used, and why; `position` is its place among the inputs, from 1."""

    position: int
    uri: str
    name: str
    code: str
    message: str


class Job(TypedDict):
    """How far a request to index is."""

    id: int
    kind: str
    created_at: str
    done: bool
    total: int
    pending: int
    indexed: int
    failed: int
    stage_seconds: dict[str, float]
    failures: list[Failure]


class DuplicateGroup(TypedDict):
    """Images that are one picture, the largest first; `similarity` is the least cosine between two of them."""

    similarity: float
    images: list[dict[str, Any]]


class Duplicates(TypedDict):
    """Groups of near-duplicates within a query's answer."""

    query: str
    threshold: float
    compared: int
    groups: list[DuplicateGroup]
    more: int


class Parsed(TypedDict):
    """A query as it was understood: its canonical text, the same as JSON, and its parts for showing."""

    query: str
    tree: dict[str, Any]
    chips: list[dict[str, Any]]


class Stats(TypedDict):
    """The library at a glance."""

    images: dict[str, int]
    waiting: dict[str, int]
    workers: int
    queued_tasks: int | None
    max_bytes: int
