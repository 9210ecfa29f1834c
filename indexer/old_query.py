"""What a person asks: words, example images, tags to show and tags to leave out."""

from dataclasses import dataclass, field

from indexer.errors import QueryError

MAX_LIMIT = 500
MAX_OFFSET = 10_000
MAX_TEXT = 1_000
MAX_TAGS = 50


@dataclass(frozen=True)
class TagFilter:
    """Which tags an image must show: `all` of these, `any` of those, `none` of the others.

    `min_confidence` (0..1) is asked of the tags in `all` and `any`. A tag in `none` leaves an image out
    however unsurely it was asserted.
    """

    all: tuple[str, ...] = ()
    any: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    min_confidence: float = 0.0


@dataclass(frozen=True)
class Query:
    """One search. Without text and examples it browses, the newest first.

    `like_ids` are indexed images to resemble, `like_images` the bytes of image files to resemble.
    """

    text: str = ""
    like_ids: tuple[int, ...] = ()
    like_images: tuple[bytes, ...] = ()
    tags: TagFilter = field(default_factory=TagFilter)
    limit: int = 50
    offset: int = 0

    @property
    def semantic(self) -> bool:
        """Whether images are ranked by meaning."""
        return bool(self.text.strip() or self.like_ids or self.like_images)

    def check(self) -> None:
        """Refuse what cannot be answered.

        Raises:
            QueryError: names the part and the limit.
        """
        if not 1 <= self.limit <= MAX_LIMIT:
            raise QueryError(f"limit is {self.limit}; it must be between 1 and {MAX_LIMIT}.")
        if not 0 <= self.offset <= MAX_OFFSET:
            raise QueryError(f"offset is {self.offset}; it must be between 0 and {MAX_OFFSET}.")
        if len(self.text) > MAX_TEXT:
            raise QueryError(f"The text has {len(self.text)} characters; at most {MAX_TEXT} are searched.")
        if not 0 <= self.tags.min_confidence <= 1:
            raise QueryError(f"min_confidence is {self.tags.min_confidence}; it must be between 0 and 1.")
        named = len(self.tags.all) + len(self.tags.any) + len(self.tags.none)
        if named > MAX_TAGS:
            raise QueryError(f"The filter names {named} tags; at most {MAX_TAGS} are allowed.")
