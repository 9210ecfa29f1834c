"""What a query means: terms to rank by, one filter tree, an order. Plain values, knowing neither text nor SQL.

A filter is built of leaves (one condition each) and of `All`, `Any` and `Not`. Two trees that mean the same
by construction are equal once `normal` has been applied; the parsers return normal trees.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Literal

Annotating = Literal["human", "model", "file"]
RangeKey = Literal["taken", "added", "width", "height", "ratio", "size", "tagcount", "id"]
ValueKey = Literal["source", "format", "sku", "title", "collection", "path", "origin"]
FieldKey = Literal[
    "caption", "alt_text", "tag", "title", "description", "place", "taken", "sku", "location", "collection"
]
OrderKey = Literal["relevance", "taken", "added", "size"]
# Start and end of a condition in the query text, in characters.
Span = tuple[int, int]


@dataclass(frozen=True)
class TextTerm:
    """Words to rank by. Weights lie in -1000..1000 and are not zero; a negative one asks for less of this."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class ImageTerm:
    """An indexed image to resemble."""

    image_id: int
    weight: float = 1.0


@dataclass(frozen=True)
class ExampleTerm:
    """An uploaded picture to resemble, as the token its upload answered with: "e1." and base64url."""

    token: str
    weight: float = 1.0


Term = TextTerm | ImageTerm | ExampleTerm


@dataclass(frozen=True)
class Ago:
    """Midnight (UTC) so many days before the day on which the query is asked; 0 is today's."""

    days: int

    def moment(self, now: datetime) -> datetime:
        """That midnight, seen from `now` (aware)."""
        today = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
        return today - timedelta(days=self.days)


Bound = float | int | datetime | Ago | None


@dataclass(frozen=True)
class TagIs:
    """Images that show a tag.

    Confidences lie in 0..1; `*_open` leaves the end itself out. `by` asks who asserts it. `tag_id` is unknown
    until `catalog.names.resolve` has looked the name up.
    """

    name: str
    min_confidence: float | None = None
    max_confidence: float | None = None
    by: Annotating | None = None
    tag_id: int | None = None
    span: Span | None = field(default=None, compare=False)
    min_open: bool = False
    max_open: bool = False


@dataclass(frozen=True)
class Between:
    """Images whose value of `key` lies in a range; None is unbounded, `*_open` leaves the end itself out.

    `taken` has naive datetimes (the camera's clock), `added` aware ones, both may have `Ago`, which is always
    included as the low end and left out as the high one; `size` is in bytes, `width` and `height` in pixels,
    `ratio` is width / height. An image without the value is in no range.
    """

    key: RangeKey
    low: Bound = None
    high: Bound = None
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True)
class OneOf:
    """Images whose value of `key` is one of these.

    `source`: who described it (human, model or file). `origin`: how it came (path, url, upload).
    `path`: a glob if it has * or ?, else a part of a source's address. `sku`: a source's external id, in any case.
    `title`: words of the title next to one another, in which * is anything.
    """

    key: ValueKey
    values: tuple[str, ...]


@dataclass(frozen=True)
class Has:
    """Images of which anything at all is known under `key`."""

    key: FieldKey


@dataclass(frozen=True)
class Rejected:
    """Images of which a person says that they do not show a tag; `tag_id` and `span` as in `TagIs`."""

    name: str
    tag_id: int | None = None
    span: Span | None = field(default=None, compare=False)


Leaf = TagIs | Rejected | Between | OneOf | Has


@dataclass(frozen=True)
class All:
    """Images in every part; of no parts, every image."""

    parts: tuple["Node", ...] = ()


@dataclass(frozen=True)
class Any:
    """Images in at least one part; of no parts, no image."""

    parts: tuple["Node", ...] = ()


@dataclass(frozen=True)
class Not:
    """Images not in `part`."""

    part: "Node"


Node = Leaf | All | Any | Not
EVERYTHING = All(())
NOTHING = Any(())


@dataclass(frozen=True)
class Order:
    """By what hits are sorted."""

    key: OrderKey
    descending: bool = True


@dataclass(frozen=True)
class Query:
    """One question. Without an order: by relevance where there are terms, else the newest added first."""

    terms: tuple[Term, ...] = ()
    filter: Node = EVERYTHING
    order: Order | None = None

    @property
    def semantic(self) -> bool:
        """Whether images are ranked by meaning."""
        return bool(self.terms)


def leaves(node: Node) -> Iterator[Leaf]:
    """Every leaf, from left to right."""
    if isinstance(node, Not):
        yield from leaves(node.part)
    elif isinstance(node, All | Any):
        for part in node.parts:
            yield from leaves(part)
    else:
        yield node


def map_leaves(node: Node, change: Callable[[Leaf], Leaf]) -> Node:
    """The same tree with each leaf changed."""
    if isinstance(node, Not):
        return Not(map_leaves(node.part, change))
    if isinstance(node, All | Any):
        return type(node)(tuple(map_leaves(part, change) for part in node.parts))
    return change(node)


def normal(node: Node) -> Node:
    """The tree without what changes nothing: groups within like groups or of one part, double negation."""
    if isinstance(node, Not):
        part = normal(node.part)
        return _opposite(part)
    if isinstance(node, All | Any):
        kind = type(node)
        parts: list[Node] = []
        for part in map(normal, node.parts):
            parts.extend(part.parts if isinstance(part, kind) else (part,))
        return parts[0] if len(parts) == 1 else kind(tuple(parts))
    return node


def _opposite(part: Node) -> Node:
    if isinstance(part, Not):
        return part.part
    if part == EVERYTHING:
        return NOTHING
    return EVERYTHING if part == NOTHING else Not(part)


def at(node: Node, now: datetime) -> Node:
    """The tree with ages ("7d", "today") replaced by moments, as seen from `now` (aware).

    Printed or saved queries keep their ages; what is looked up and cached must not change with the day.
    """

    def fix(leaf: Leaf) -> Leaf:
        if not isinstance(leaf, Between):
            return leaf
        low, high = (_moment(bound, now, leaf.key) for bound in (leaf.low, leaf.high))
        return replace(leaf, low=low, high=high)

    return map_leaves(node, fix)


def _moment(bound: Bound, now: datetime, key: RangeKey) -> Bound:
    if not isinstance(bound, Ago):
        return bound
    moment = bound.moment(now)
    return moment.replace(tzinfo=None) if key == "taken" else moment
