"""A query in pieces small enough to show, include, exclude and take away one by one."""

from dataclasses import dataclass

from indexer.query.printer import pieces
from indexer.query.tree import (
    Between,
    ExampleTerm,
    Has,
    ImageTerm,
    Node,
    Not,
    OneOf,
    Order,
    Query,
    Rejected,
    Span,
    TagIs,
    Term,
    TextTerm,
)


@dataclass(frozen=True)
class Chip:
    """One piece: its canonical text, the key it is about, and where it stands in the canonical query.

    `kind` is "text", "like", "tag", "order", "group", or a key that filters. `negated`: it asks for less of it, or
    for images that are not so; the minus is part of `text`.
    """

    text: str
    kind: str
    negated: bool
    span: Span


def chips(query: Query) -> list[Chip]:
    """The pieces of the query in the order its canonical text has them."""
    found, position = [], 0
    for part, text in pieces(query):
        kind, negated = _about(part)
        found.append(Chip(text, kind, negated, (position, position + len(text))))
        position += len(text) + 1
    return found


def _about(part: Term | Node | Order) -> tuple[str, bool]:
    if isinstance(part, Not):
        return _kind(part.part), True
    if isinstance(part, TextTerm | ImageTerm | ExampleTerm):
        return "text" if isinstance(part, TextTerm) else "like", part.weight < 0
    return _kind(part), False


def _kind(part: Term | Node | Order) -> str:
    if isinstance(part, Between | OneOf):
        return part.key
    kinds: dict[type, str] = {TagIs: "tag", Rejected: "rejected", Has: "has", Order: "order"}
    return kinds.get(type(part), "group")
