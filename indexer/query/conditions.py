"""One condition: a key and its value, as a part of the filter, as terms to rank by, or as an order.

Knows no text around it: both spellings, the query box's and JSON's, end here.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from indexer.query.extent import Slip
from indexer.query.keys import ANNOTATING, BY_NAME, SAME_FORMAT, Key, nearest
from indexer.query.numbers import MAX_WHOLE, read_confidence
from indexer.query.ranges import read_range
from indexer.query.tree import (
    Annotating,
    Any,
    ExampleTerm,
    FieldKey,
    Has,
    ImageTerm,
    Node,
    OneOf,
    Order,
    OrderKey,
    RangeKey,
    Rejected,
    Span,
    TagIs,
    Term,
    ValueKey,
    normal,
)
from indexer.vocabulary import canonical

_COMPARED = re.compile(r"(>=|<=|≥|≤|=>|=<|>|<)\s*(.*)", re.DOTALL)
_BOUNDS = re.compile(r"(?=.*\d)([\d.]+?%?)?\.\.([\d.]+%?)?", re.ASCII)
_EXAMPLE = re.compile(r"e1\.[A-Za-z0-9_-]{1,8192}")
_DIRECTION = re.compile(r"(-?)(.*?)(_asc|_desc)?", re.DOTALL)
T = TypeVar("T")


@dataclass(frozen=True)
class Piece:
    """One of a value's pieces between commas, where it stood, and whether quotes or escapes make it literal."""

    text: str
    quoted: bool = False
    span: Span = (0, 0)


class PieceSlip(Slip):
    """A slip in one piece of several."""

    def __init__(self, slip: Slip, piece: Piece) -> None:
        self.piece = piece
        super().__init__(str(slip), slip.suggestions)


def read_filter(key: Key, pieces: Sequence[Piece], span: Span | None = None) -> Node:
    """The condition `key:piece,piece`, any of the pieces; `span` is where it stands.

    Raises:
        PieceSlip: names the piece.
    """
    if key.takes == "tag":
        return read_tags(pieces, span)
    if key.takes == "name":
        return _any(_each(pieces, lambda piece: Rejected(tag_name(piece.text), span=span and piece.span)))
    if key.takes == "values":
        values = dict.fromkeys(_each(pieces, lambda piece: _value(key, piece.text)))
        return OneOf(cast(ValueKey, key.name), tuple(values))
    if key.takes == "field":
        return _any(_each(pieces, lambda piece: Has(cast(FieldKey, choice(key, piece.text)))))
    return _any(_each(pieces, lambda piece: read_range(cast(RangeKey, key.name), piece.text)))


def _each(pieces: Sequence[Piece], read: Callable[[Piece], T]) -> list[T]:
    values = []
    for piece in pieces:
        try:
            values.append(read(piece))
        except Slip as slip:
            raise PieceSlip(slip, piece) from slip
    return values


def _any(parts: Sequence[Node]) -> Node:
    return normal(Any(tuple(parts)))


def choice(key: Key, written: str) -> str:
    """One of the few values the key can have.

    Raises:
        Slip: with the nearest, or all where none is near.
    """
    value = written.casefold()
    value = SAME_FORMAT.get(value, value) if key.name == "format" else value
    if value not in key.choices:
        listed = ", ".join(key.choices)
        raise Slip(f"`{key.name}:` is one of {listed}, not {written!r}", nearest(value, key.choices))
    return value


def _value(key: Key, written: str) -> str:
    if key.choices:
        return choice(key, written)
    if not written.strip():
        raise Slip(f"`{key.name}:` needs a value, for example {key.examples[0]}")
    return written


def states_confidence(piece: Piece) -> bool:
    """Whether a piece after a tag's name says how surely or by whom, rather than naming another tag."""
    if piece.quoted:
        return False
    compared = _COMPARED.fullmatch(piece.text) or _BOUNDS.fullmatch(piece.text)
    return compared is not None or piece.text.casefold() in ANNOTATING


def read_tags(pieces: Sequence[Piece], span: Span | None) -> Node:
    """Any of the tags named; what is said of confidence or source holds for each of them."""
    named = [piece for number, piece in enumerate(pieces) if number == 0 or not states_confidence(piece)]
    stated = [piece for piece in pieces if piece not in named]
    tags = _each(named, lambda piece: TagIs(tag_name(piece.text), span=span and piece.span))
    return _any([with_statements(tag, stated) for tag in tags])


def tag_name(written: str) -> str:
    """The name in its one spelling.

    Raises:
        Slip: there is nothing in it.
    """
    name = canonical(written)
    if not name:
        raise Slip(f"A tag needs a name, not {written!r}; for example tag:dog")
    return name


def with_statements(tag: TagIs, pieces: Sequence[Piece]) -> TagIs:
    """The tag with ">=0.8", "0.5..0.8" or "human" said of it."""

    def add(piece: Piece) -> None:
        nonlocal tag
        tag = _stated(tag, piece.text)

    _each(pieces, add)
    return tag


def _stated(tag: TagIs, written: str) -> TagIs:
    if written.casefold() in ANNOTATING:
        if tag.by is not None:
            raise Slip(f"Who says so is already given ({tag.by}): leave one of the two out")
        return replace(tag, by=cast(Annotating, written.casefold()))
    if compared := _COMPARED.fullmatch(written):
        return _compared(tag, compared[1], read_confidence(compared[2]))
    low, _, high = written.partition("..")
    tag = _compared(tag, ">=", read_confidence(low)) if low else tag
    return _compared(tag, "<=", read_confidence(high)) if high else tag


def _compared(tag: TagIs, sign: str, value: float) -> TagIs:
    lower, is_open = sign in (">=", "=>", "≥", ">"), sign in (">", "<")
    if (tag.min_confidence if lower else tag.max_confidence) is not None:
        raise Slip(f"The {'least' if lower else 'greatest'} confidence is already given: leave one out")
    if lower:
        tag = replace(tag, min_confidence=value, min_open=is_open)
    else:
        tag = replace(tag, max_confidence=value, max_open=is_open)
    low, high = tag.min_confidence, tag.max_confidence
    if low is not None and high is not None and low > high:
        raise Slip("The confidences run backwards: put the smaller one first")
    return tag


def read_like(pieces: Sequence[Piece], weight: float) -> list[Term]:
    """Images to resemble, by id or token."""
    return _each(pieces, lambda piece: _like(piece.text, weight))


def _like(written: str, weight: float) -> Term:
    if _EXAMPLE.fullmatch(written):
        return ExampleTerm(written, weight)
    if written.isascii() and written.isdigit() and len(written) < 19 and int(written) <= MAX_WHOLE:
        return ImageTerm(int(written), weight)
    raise Slip(f"`like:` takes an image's id or an uploaded picture's token, not {written[:40]!r}")


def read_order(written: str) -> Order:
    """`taken` falls, `taken_asc` and `-taken` rise.

    Raises:
        Slip: there is no such order.
    """
    match = _DIRECTION.fullmatch(written)
    assert match is not None
    key = choice(BY_NAME["order"], match[2])
    return Order(cast(OrderKey, key), descending=(match[1] == "-") == (match[3] == "_asc"))
