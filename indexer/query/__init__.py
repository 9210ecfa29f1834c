"""The query language: one tree, two spellings.

- `tree`: what a query means
- `keys`: the one table of keys
- `words`, `parser`: the query box's text -> tree
- `conditions`, `ranges`, `dates`, `numbers`, `extent`: what stands after a key
- `printer`: tree -> canonical text; `chips`: in pieces
- `json_form`: the tree as JSON, both ways
- `limits`: how large a query may be
"""

from indexer.query.chips import Chip, chips
from indexer.query.json_form import filter_json, from_json, to_json
from indexer.query.keys import KEYS, Key
from indexer.query.parser import parse
from indexer.query.printer import leaf_text, pieces, to_text
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
    Rejected,
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
    "KEYS",
    "NOTHING",
    "Ago",
    "All",
    "Any",
    "Between",
    "Chip",
    "ExampleTerm",
    "Has",
    "ImageTerm",
    "Key",
    "Leaf",
    "Node",
    "Not",
    "OneOf",
    "Order",
    "Query",
    "Rejected",
    "TagIs",
    "Term",
    "TextTerm",
    "at",
    "chips",
    "filter_json",
    "from_json",
    "leaf_text",
    "leaves",
    "map_leaves",
    "normal",
    "parse",
    "pieces",
    "to_json",
    "to_text",
]
