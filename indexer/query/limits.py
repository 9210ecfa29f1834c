"""How large a query may be, and what no text can hold."""

from indexer.errors import QuerySyntaxError
from indexer.query.tree import All, Any, ExampleTerm, Node, Not, OneOf, Query, leaves

# Of the query's text, pictures' tokens not counted.
MAX_CHARACTERS = 4_000
MAX_LEAVES = 200
MAX_DEPTH = 20
MAX_TERMS = 20
# Of everything, tokens counted: what is looked at at all.
MAX_LENGTH = 200_000


def check_characters(text: str, path: str = "") -> None:
    """Refuse what neither Postgres nor UTF-8 can hold.

    Raises:
        QuerySyntaxError: names the character.
    """
    if text.isprintable():
        return
    for position, character in enumerate(text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise QuerySyntaxError(
                f"The character U+{ord(character):04X} cannot be searched: leave it out",
                text.encode("utf-8", "replace").decode(),
                position,
                1,
                path=path,
            )


def check_size(query: Query, text: str, path: str = "") -> None:
    """Refuse a query too large to answer.

    Raises:
        QuerySyntaxError: names the limit.
    """
    tokens = sum(len(term.token) for term in query.terms if isinstance(term, ExampleTerm))
    for what, size, limit in (
        ("characters", len(text) - tokens, MAX_CHARACTERS),
        ("terms to rank by", len(query.terms), MAX_TERMS),
        ("conditions", _conditions(query.filter), MAX_LEAVES),
        ("groups within groups", _depth(query.filter), MAX_DEPTH),
    ):
        if size > limit:
            message = f"The query has {size:,} {what}; at most {limit:,} are answered"
            raise QuerySyntaxError(message, text, 0, len(text), path=path)


def _conditions(node: Node) -> int:
    return sum(len(leaf.values) if isinstance(leaf, OneOf) else 1 for leaf in leaves(node))


def _depth(node: Node) -> int:
    if isinstance(node, Not):
        return _depth(node.part)
    return 1 + max(map(_depth, node.parts), default=0) if isinstance(node, All | Any) else 0
