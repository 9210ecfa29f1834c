"""The query language: one tree, two spellings.

- `tree`: what a query means
"""

from indexer.query.tree import (
    EVERYTHING,
    NOTHING,
    Ago,
    All,
    Any,
    Between,
    ExampleTerm,
    Has,
    ImageTerm,
    Leaf,
    Node,
    Not,
    OneOf,
    Order,
    Query,
    TagIs,
    Term,
    TextTerm,
    at,
    leaves,
    map_leaves,
    normal,
)

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "Ago",
    "All",
    "Any",
    "Between",
    "ExampleTerm",
    "Has",
    "ImageTerm",
    "Leaf",
    "Node",
    "Not",
    "OneOf",
    "Order",
    "Query",
    "TagIs",
    "Term",
    "TextTerm",
    "at",
    "leaves",
    "map_leaves",
    "normal",
]
