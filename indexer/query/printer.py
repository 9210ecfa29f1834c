"""Query -> the canonical text of the query box, which reads back as the same query."""

import re

from indexer.errors import QuerySyntaxError
from indexer.query.numbers import write_number
from indexer.query.parser import parse
from indexer.query.ranges import write_range
from indexer.query.tree import (
    EVERYTHING,
    NOTHING,
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
    normal,
)

_SAFE = re.compile(r"[\w.*?/@+~-]+")


def to_text(query: Query) -> str:
    """The query as one would type it; `parse` gives it back, its filter in normal form."""
    return " ".join(text for _, text in pieces(query))


def pieces(query: Query) -> list[tuple[Term | Node | Order, str]]:
    """What the query says, one thing after the other: terms, conditions each image must meet, the order."""
    filter_ = normal(query.filter)
    said: list[tuple[Term | Node | Order, str]] = list(zip(query.terms, _terms(query.terms), strict=True))
    order = [(query.order, f"order:{write_order(query.order)}")] if query.order else []
    if isinstance(filter_, All):
        said += [(part, _node(part)) for part in filter_.parts]
    else:
        said.append((filter_, _node(filter_, alone=not said and not order)))
    return said + order


def _terms(terms: tuple[Term, ...]) -> list[str]:
    """The first text of weight 1 stands bare, everything else says its key."""
    first = next((n for n, t in enumerate(terms) if isinstance(t, TextTerm) and t.weight == 1), None)
    return [
        _bare(term.text) if n == first and isinstance(term, TextTerm) else _term(term)
        for n, term in enumerate(terms)
    ]


def _term(term: Term) -> str:
    if isinstance(term, TextTerm):
        value = f"text:{value_text(term.text)}"
    elif isinstance(term, ImageTerm):
        value = f"like:{term.image_id}"
    else:
        assert isinstance(term, ExampleTerm)
        value = f"like:{term.token}"
    weight = abs(term.weight)
    return ("-" if term.weight < 0 else "") + value + (f"^{write_number(weight)}" if weight != 1 else "")


def _bare(text: str) -> str:
    """The text unquoted where it means itself, else with quotes around the words that would not."""
    if _means_itself(text, text):
        return text
    words = text.split(" ")
    if all(word and not re.search(r"\s", word) for word in words):
        quoted = " ".join(w if _is_plain_word(w) else quote(w) for w in words)
        if _means_itself(quoted, text):
            return quoted
    return quote(text)


def _is_plain_word(word: str) -> bool:
    return word.casefold() not in ("or", "and") and _means_itself(word, word)


def _means_itself(written: str, text: str) -> bool:
    """Whether it is read as this text whatever stands around it."""
    around = ImageTerm(0)
    try:
        return parse(f"like:0 {written} like:0") == Query((around, TextTerm(text), around))
    except QuerySyntaxError:
        return False


def quote(text: str) -> str:
    """In quotes, with what would end them escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def value_text(value: str) -> str:
    """A key's value, quoted where its characters would mean something."""
    address = value.startswith("//")  # after a colon the beginning of one, which is text
    return value if _SAFE.fullmatch(value) and not address else quote(value)


def _node(node: Node, *, alone: bool = False) -> str:
    if node == EVERYTHING:
        return "*"
    if node == NOTHING:
        return "-*"
    if isinstance(node, Not):
        return f"-{_node(node.part)}"
    if isinstance(node, All | Any):
        inner = (" " if isinstance(node, All) else " or ").join(map(_node, node.parts))
        return inner if alone else f"({inner})"
    return leaf_text(node)


def leaf_text(leaf: Leaf) -> str:
    """One condition as `key:value`."""
    if isinstance(leaf, TagIs):
        return "tag:" + ",".join([value_text(leaf.name), *_statements(leaf)])
    if isinstance(leaf, Rejected):
        return f"rejected:{value_text(leaf.name)}"
    if isinstance(leaf, OneOf):
        return f"{leaf.key}:{','.join(map(value_text, leaf.values))}"
    if isinstance(leaf, Has):
        return f"has:{leaf.key}"
    assert isinstance(leaf, Between)
    return f"{leaf.key}:{write_range(leaf)}"


def _statements(tag: TagIs) -> list[str]:
    """What is said of its confidence and by whom."""
    said = []
    if tag.min_confidence is not None:
        said.append(f"{'>' if tag.min_open else '>='}{write_number(tag.min_confidence)}")
    if tag.max_confidence is not None:
        said.append(f"{'<' if tag.max_open else '<='}{write_number(tag.max_confidence)}")
    return said + ([tag.by] if tag.by else [])


def write_order(order: Order) -> str:
    """`taken` falls, `taken_asc` rises."""
    return order.key if order.descending else f"{order.key}_asc"
